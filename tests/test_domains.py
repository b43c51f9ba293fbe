"""Every draw lies in its domain, in every dtype and regime, and reaches the corners that matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from gradcheck import domains
from gradcheck.domains import CODES, REGIMES, Domain, Labels, Mask, OneHot, Option, Real, Shapes, Sign, Simplex, least_sizes
from gradcheck.errors import SpecError

DTYPES = [np.dtype(name) for name in ("float16", "float32", "float64")]
always = hypothesis.settings(
    max_examples=25,
    database=None,
    derandomize=True,
    deadline=None,
    phases=(hypothesis.Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@st.composite
def drawn(draw: Any, domain: Domain, dtype: np.dtype[Any]) -> tuple[Any, Shapes]:
    shapes = Shapes(draw, least_sizes(domain.dims))
    return domain.draw(draw, shapes, dtype), shapes


def each(domain: Domain, dtype: np.dtype[Any], check: Callable[[Any, Shapes], None], settings: Any = always) -> None:
    @settings
    @given(drawn(domain, dtype))
    def run(pair: tuple[Any, Shapes]) -> None:
        check(*pair)

    run()


REALS = {
    "everything": Real("*s"),
    "no limit": Real("*s", upto=np.inf),
    "positive": Real("n", low=0),
    "positive, no limit": Real("n", low=0, upto=np.inf),
    "at least one": Real("n", low=1, closed=True),
    "at most minus two": Real("n", high=-2),
    "below one": Real("*s", high=1, upto=np.inf),
    "probability": Real("*s", low=0, high=1),
    "closed interval": Real("*s", low=-1, high=1, closed=True),
    "narrow": Real("n", low=0.1, high=0.2),
    "kinks": Real("n", kinks=(-1, 0.5, 6)),
    "small": Real("n", upto=8),
    "scalar": Real(),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", REALS)
def test_reals_lie_in_their_domain(name: str, dtype: np.dtype[Any]) -> None:
    domain = REALS[name]
    low = -np.inf if domain.low is None else float(dtype.type(domain.low))
    high = np.inf if domain.high is None else float(dtype.type(domain.high))

    def check(x: np.ndarray, shapes: Shapes) -> None:
        assert isinstance(x, np.ndarray)
        assert x.dtype == dtype
        assert x.shape == shapes.of(domain.dims)
        assert np.isfinite(x).all()
        wide = x.astype(np.float64)
        assert (np.abs(wide) <= max(domain.upto, abs(low) if np.isfinite(low) else 0, abs(high) if np.isfinite(high) else 0)).all()
        if domain.closed:
            assert ((wide >= low) & (wide <= high)).all()
        else:
            assert ((wide > low) & (wide < high)).all()

    each(domain, dtype, check)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", ["everything", "no limit", "positive", "positive, no limit", "below one", "kinks", "small"])
def test_every_regime_stays_in_the_domain(name: str, regime: str, dtype: np.dtype[Any]) -> None:
    domain = REALS[name]
    codes = np.concatenate([np.arange(2000), CODES - 1 - np.arange(2000), np.random.default_rng(0).integers(0, CODES, 2000)])
    scale = domains._Scale(np.finfo(dtype), domain.upto, np.array(domain.kinks), domain.low is None and domain.high is None)
    for start in range(0, len(codes), 500):
        x = domain.inside(np.asarray(REGIMES[regime](codes[start : start + 500], scale)), dtype)
        assert x.dtype == dtype
        assert np.isfinite(x).all()
        assert (np.abs(x.astype(np.float64)) <= domain.upto).all()
        assert domain.low is None or (x > domain.low).all()
        assert domain.high is None or (x < domain.high).all()


def sample(domain: Domain, dtype: str = "float64", examples: int = 200) -> list[Any]:
    found: list[Any] = []
    each(domain, np.dtype(dtype), lambda x, _: found.append(x), hypothesis.settings(always, max_examples=examples))
    return found


def test_reals_meet_zeros_kinks_ties_subnormals_and_large_values() -> None:
    arrays = sample(Real("n", kinks=(0.5,), upto=np.inf))
    flat = np.concatenate([a.ravel() for a in arrays])
    assert (flat == 0).any()
    assert (flat == 0.5).any()
    assert ((np.abs(flat - 0.5) < 1e-6) & (flat != 0.5)).any()
    assert ((np.abs(flat) > 0) & (np.abs(flat) < 1e-300)).any()
    assert (np.abs(flat) > 1e100).any()
    assert (flat < 0).any()
    assert any(a.size > 1 and len(np.unique(a)) < a.size and np.abs(a).max() > 0 for a in arrays)
    assert any(a.size > 2 and np.ptp(a) < 1 < np.abs(a).min() and np.ptp(a) > 0 for a in arrays)


def test_an_argument_shares_entries_with_the_one_that_it_ties_now_and_then() -> None:
    pairs = []

    @hypothesis.settings(always, max_examples=200)
    @given(st.data())
    def run(data: Any) -> None:
        shapes = Shapes(data.draw, {})
        shapes.values["x"] = Real("n").draw(data.draw, shapes, np.dtype("float64"))
        pairs.append((shapes.values["x"], Real("n", ties="x").draw(data.draw, shapes, np.dtype("float64"))))

    run()
    shared = [np.mean(x == y) for x, y in pairs if (x != 0).all()]
    assert any(share == 1 for share in shared)
    assert any(share == 0 for share in shared)


def test_intervals_are_met_near_both_ends_and_in_their_middle() -> None:
    flat = np.concatenate([a.ravel() for a in sample(Real("n", low=0, high=1))])
    codes = np.random.default_rng(0).integers(0, CODES, 2000)
    assert 0.03 < (domains._between(codes, 0.0, 1.0, False) == 0.5).mean() < 0.1
    assert flat.min() < 1e-6
    assert flat.max() > 1 - 1e-6
    assert ((flat > 0.2) & (flat < 0.8)).mean() > 0.2


def test_whole_shapes_cover_scalars_vectors_empty_and_more() -> None:
    shapes = {a.ndim for a in sample(Real("*s"))}
    assert shapes >= {0, 1, 2, 3}
    assert any(a.size == 0 for a in sample(Real("*s")))


def test_shapes_are_shared_by_word_and_minima_are_kept() -> None:
    @always
    @given(st.data())
    def run(data: Any) -> None:
        shapes = Shapes(data.draw, {"batch": 2})
        a = Real("batch>=2", "3", "*rest").draw(data.draw, shapes, np.dtype("float64"))
        b = Real("*rest", "batch").draw(data.draw, shapes, np.dtype("float32"))
        assert a.shape[:2] == (shapes.size("batch"), 3)
        assert a.shape[0] >= 2
        assert b.shape == (*a.shape[2:], a.shape[0])

    run()


@pytest.mark.parametrize("dims", [("*s",), ("batch", "n"), ("2", "3", "n"), ()])
def test_broadcast_shapes_broadcast(dims: tuple[str, ...]) -> None:
    seen = set()

    @always
    @given(st.data())
    def run(data: Any) -> None:
        shapes = Shapes(data.draw, {})
        full = Real(*dims).draw(data.draw, shapes, np.dtype("float64"))
        part = Real(*dims, broadcast=True).draw(data.draw, shapes, np.dtype("float64"))
        assert np.broadcast_shapes(full.shape, part.shape) == full.shape
        seen.add((full.ndim - part.ndim, full.shape == part.shape))

    run()
    assert len(seen) > (1 if dims else 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("zeros", [False, True])
def test_simplex_rows_are_probabilities(zeros: bool, dtype: np.dtype[Any]) -> None:
    def check(p: np.ndarray, _: Shapes) -> None:
        assert p.dtype == dtype
        assert (p >= 0).all()
        assert (p <= 1).all()
        assert zeros or ((p > 0) & (p < 1)).all()
        assert np.abs(p.astype(np.float64).sum(-1) - 1).max(initial=0) <= 8 * np.finfo(dtype).eps

    each(Simplex("batch", "classes>=2", zeros=zeros), dtype, check)
    assert any((p == 0).any() for p in sample(Simplex("batch", "classes>=2", zeros=zeros), examples=60)) == zeros


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_data_arguments(dtype: np.dtype[Any]) -> None:
    def one_hot(y: np.ndarray, _: Shapes) -> None:
        assert y.dtype == dtype
        assert set(np.unique(y)) <= {0.0, 1.0}
        assert (y.sum(-1) == 1).all()

    def labels(y: np.ndarray, shapes: Shapes) -> None:
        assert y.dtype == np.int64
        assert y.shape == (shapes.sizes["batch"],)
        assert ((y >= 0) & (y < shapes.sizes["classes"])).all()

    def among(*values: float) -> Callable[[np.ndarray, Shapes], None]:
        def check(y: np.ndarray, shapes: Shapes) -> None:
            assert y.dtype == dtype
            assert y.shape == shapes.of(("batch", "n"))
            assert set(np.unique(y)) <= set(values)

        return check

    each(OneHot("batch", "classes"), dtype, one_hot)
    each(Labels("batch", below="classes"), dtype, labels)
    each(Sign("batch", "n"), dtype, among(-1, 1))
    each(Mask("batch", "n"), dtype, among(0, 1))
    for domain in (OneHot("n"), Labels("n", below="n"), Sign("n"), Mask("n"), Option(1, 2)):
        assert not domain.differentiable
    assert Real().differentiable
    assert not Real(differentiable=False).differentiable


def test_options_are_drawn_as_they_are() -> None:
    found = sample(Option("mean", "sum", None), examples=60)
    assert set(found) == {"mean", "sum", None}


def test_data_arguments_take_every_value() -> None:
    assert {v for y in sample(Labels("4", below="n")) for v in y.tolist()} == {0, 1, 2, 3}
    assert {v for y in sample(Sign("n")) for v in y.tolist()} == {-1.0, 1.0}
    assert {v for y in sample(Mask("n")) for v in y.tolist()} == {0.0, 1.0}
    assert {tuple(row) for y in sample(OneHot("n", "2")) for row in y.tolist()} == {(0.0, 1.0), (1.0, 0.0)}


@pytest.mark.parametrize("word", ["", "a b", "batch>2", ">=2", "3x", "*", "*1", "batch>=", "-1", "batch >= 2"])
def test_a_malformed_axis_is_named(word: str) -> None:
    with pytest.raises(SpecError, match="is no axis"):
        least_sizes((word,))


def test_well_formed_axes() -> None:
    assert least_sizes(("batch>=2", "n", "7", "*rest", "classes>=0")) == {"batch": 2, "classes": 0}


def test_an_axis_may_be_empty_if_the_spec_says_so() -> None:
    assert any(a.shape == (0,) for a in sample(Real("n>=0")))


def test_the_simplest_draw_is_the_simplest_point() -> None:
    simplest = hypothesis.find(
        drawn(Real("*s"), np.dtype("float64")),
        lambda pair: pair[0].size > 0,
        settings=hypothesis.settings(database=None, derandomize=True, deadline=None, max_examples=200),
    )[0]
    assert simplest.tolist() in ([0.0], 0.0)


def test_digits_fill_the_mantissa() -> None:
    fractions = domains._digits(np.arange(CODES // 4096))
    assert fractions[0] == 0
    assert ((fractions >= 0) & (fractions < 1)).all()
    assert len(np.unique(fractions)) == len(fractions)
    assert np.mean(fractions * 2.0**20 % 1 != 0) > 0.99
