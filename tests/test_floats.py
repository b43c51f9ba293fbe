"""The float way: decided where its bounds allow, undecided where they do not, never wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck.bounds import FLOAT_TOLERANCE, LARGE_ERROR, MOST_LOOKS
from gradcheck.floats import float_gradients, float_values
from gradcheck.gradients import GradientEvidence
from gradcheck.points import Point
from gradcheck.subject import NumpyPair, TorchCallable
from gradcheck.ways.analytic import run
from gradcheck.ways.autograd import Reference


def measured(f: Callable[..., Any], df: Callable[..., Any], x: Any, dtype: str = "float64", seed: int = 1) -> GradientEvidence:
    subject, point = NumpyPair("f", f, df, ("x",), ("x",)), Point({"x": np.array(x, dtype)}, dtype, seed)
    (found,) = float_gradients(subject, point, run(subject, point), None)
    return found


SMOOTH: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "square": (lambda x: x * x, lambda dy, x: 2 * x * dy, [1.5, -3.0, 0.25]),
    "exp": (np.exp, lambda dy, x: np.exp(x) * dy, [0.5, -2.0]),
    "sin": (np.sin, lambda dy, x: np.cos(x) * dy, [0.3, 2.0, -5.0]),
    "tanh": (np.tanh, lambda dy, x: dy / np.cosh(x) ** 2, [0.5, -1.0]),
    "norm": (lambda x: np.sqrt((x * x).sum()), lambda dy, x, y: dy * x / y, [3.0, 4.0]),
    "softmax": (lambda x: np.exp(x) / np.exp(x).sum(), lambda dy, x, y: y * (dy - (dy * y).sum()), [0.5, 1.0, -1.0]),
    "linear": (lambda x: 3 * x, lambda dy, x: 3 * dy, [1.0, 2.0]),
    "zero": (lambda x: x * 0, lambda dy, x: dy * 0, [1.0, 2.0]),
    "inverse": (np.linalg.pinv, lambda dy, x, y: -y.T @ dy @ y.T, [[2.0, 0.5], [0.25, 1.0]]),
    "scalar": (lambda x: x**3, lambda dy, x: 3 * x * x * dy, 1.25),
    "empty": (lambda x: x * 3, lambda dy, x: 3 * dy, []),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SMOOTH)
def test_right_gradients_pass(name: str, dtype: str) -> None:
    f, df, x = SMOOTH[name]
    if name == "inverse":
        f = lambda x: np.linalg.pinv(x)  # noqa: E731
    found = measured(f, df, x, dtype)
    assert found.agreement == "equal", found.reason
    assert found.numeric is None or not found.numeric.exact
    assert found.detects > FLOAT_TOLERANCE or math.isinf(found.detects)


@pytest.mark.parametrize("factor", [-1.0, 2.0, 0.0, 1.01, 1 + 1e-6])
@pytest.mark.parametrize("name", [n for n in SMOOTH if n not in ("zero", "empty")])
def test_wrong_gradients_fail_or_stay_open_but_never_pass(name: str, factor: float) -> None:
    f, df, x = SMOOTH[name]
    arguments = df.__code__.co_argcount
    wrong = (lambda dy, x: factor * df(dy, x)) if arguments == 2 else (lambda dy, x, y: factor * df(dy, x, y))
    found = measured(f, wrong, x)
    assert found.agreement == "different", found.reason
    assert found.wrong is not None
    assert found.wrong.any()
    assert found.worst in {tuple(i) for i in np.argwhere(found.wrong)}


def test_one_wrong_entry_is_found() -> None:
    found = measured(np.exp, lambda dy, x: np.exp(x) * dy * np.array([1, 1.001, 1]), [0.5, 1.0, -1.0])
    assert found.wrong.tolist() == [False, True, False]
    assert found.worst == (1,)


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_subgradients_at_a_kink_pass(at_zero: float) -> None:
    found = measured(lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, at_zero, x > 0), [0.0, 1.5, -2.0])
    assert found.agreement != "different"


@pytest.mark.parametrize("at_zero", [-0.5, 2.0])
def test_what_is_no_subgradient_fails(at_zero: float) -> None:
    found = measured(lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, at_zero, x > 0), [0.0, 1.5, -2.0])
    assert found.agreement == "different"
    assert found.wrong.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("f", "df", "x"),
    [
        (lambda x: 1e12 + np.sin(x) * 1e-6, lambda dy, x: np.cos(x) * 1e-6 * dy, [0.5]),
        (np.log, lambda dy, x: dy / x, [0.0]),
        (lambda x: x * np.nan, lambda dy, x: dy * np.nan, [1.0]),
        (lambda x: np.exp(x), lambda dy, x: np.exp(x) * dy, [800.0]),
    ],
)
def test_what_floats_cannot_tell_stays_open(f: Callable[..., Any], df: Callable[..., Any], x: Any) -> None:
    found = measured(f, df, x)
    assert found.agreement == "undecided"
    assert found.reason


@pytest.mark.parametrize("backward", [lambda dy, x: dy[:1], lambda dy, x: dy.sum()])
def test_shapes_are_told(backward: Callable[..., Any]) -> None:
    found = measured(lambda x: x * 2, backward, [1.0, 2.0])
    assert (found.agreement, found.reason) == ("different", "shape")


def test_a_missing_gradient() -> None:
    assert measured(lambda x: x * 2, lambda dy, x: (None,), [1.0, 2.0]).agreement == "different"
    assert measured(lambda x: x * 0, lambda dy, x: (None,), [1.0, 2.0]).agreement != "different"


def test_code_that_does_not_run_in_float64_stays_open() -> None:
    def only_single(x: Any) -> Any:
        if x.dtype == np.float64:
            raise TypeError("single precision only")
        return x * 2

    found = measured(only_single, lambda dy, x: 2 * dy, [1.0], "float32")
    assert found.agreement == "undecided"
    assert "in float64 it raises TypeError: single precision only" in found.reason


def test_over_many_seeds_no_right_gradient_is_accused() -> None:
    rng = np.random.default_rng(0)
    outcomes = []
    for seed in range(15):
        for name in ("square", "exp", "sin", "tanh", "norm", "softmax"):
            f, df, x = SMOOTH[name]
            outcomes.append(measured(f, df, rng.uniform(-3, 3, np.shape(x)), seed=seed).agreement)
    assert "different" not in outcomes
    assert outcomes.count("equal") >= 0.9 * len(outcomes)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_against_the_reference(dtype: str) -> None:
    point = Point({"x": np.array([0.5, -2.0], dtype)}, dtype)
    reference = TorchCallable("r", torch.tanh, ("x",), ("x",))
    for f, agreement in ((np.tanh, "equal"), (lambda x: np.tanh(x) * x.dtype.type(1.25), "different"), (lambda x: np.tanh(x)[:1], None)):
        subject = NumpyPair("f", f, lambda dy, x: dy, ("x",), ("x",))
        floats = run(subject, point)
        (found,) = float_values(floats, Reference(reference, point, floats.cotangents))
        assert found.agreement == agreement
        assert found.exact is None
        assert float_values(floats, None)[0].agreement is None


def through_floats(x: Any) -> Any:
    return np.vectorize(float)(x)


def verdict(f: Callable[..., Any], df: Callable[..., Any], *primals: Any) -> tuple[str, list[str]]:
    result = gradcheck.check(f, df, *(np.array(p, float) for p in primals))
    assert result.measurements["way"] == "float"
    return result.verdict.value, [x.code for x in result.findings]


def test_a_kink_by_itself_is_decided() -> None:
    relu = lambda x: np.maximum(through_floats(x), 0)  # noqa: E731
    assert verdict(relu, lambda dy, x: dy * (x > 0), [0, 1, -1]) == ("pass", [])
    assert verdict(relu, lambda dy, x: dy * np.where(x == 0, 2, x > 0), [0, 1, -1]) == ("fail", ["G109"])


@pytest.mark.parametrize(
    ("f", "df", "primals"),
    [
        (lambda x: np.quantile(x, 0.5, method="median_unbiased"), lambda dy, x: dy * np.eye(3)[0], [[1, 1, 1]]),
        (lambda x: through_floats(x).max(), lambda dy, x: dy * (x == x.max()), [[1, 1, 1]]),
        (lambda x: through_floats(x).max(), lambda dy, x: dy * (x == x.max()) / 3, [[1, 1, 1]]),
        (
            lambda x, y: abs(through_floats(x) - y).sum(),
            lambda dy, x, y: (dy * np.where(x >= y, 1.0, -1.0), dy * np.where(x >= y, 1.0, -1.0)),
            [[1, 2], [1, 2]],
        ),
    ],
)
def test_where_kinks_meet_floats_tell_nothing(f: Callable[..., Any], df: Callable[..., Any], primals: Any) -> None:
    assert verdict(f, df, *primals) == ("inconclusive", [])


def test_a_wrong_entry_among_many_is_found_by_bisection() -> None:
    x = np.random.default_rng(0).standard_normal(600)

    def wrong(dy: Any, x: Any) -> Any:
        g = dy * np.exp(x)
        g[417] *= 1.001
        return g

    found = measured(np.exp, wrong, x)
    assert (found.agreement, found.worst) == ("different", (417,))
    assert found.local is not None
    assert found.local.known.sum() < 100
    assert measured(np.exp, lambda dy, x: dy * np.exp(x), x).agreement == "equal"


def test_entries_that_are_dwarfed_by_others_are_not_passed_unseen() -> None:
    squares = lambda x: np.array([float(v) ** 2 for v in x])  # noqa: E731
    assert verdict(squares, lambda dy, x: 2 * dy * x * np.array([1, 0.0]), [1e6, 1.0]) == ("fail", ["G101"])
    assert verdict(squares, lambda dy, x: 2 * dy * x * np.array([1, 1.5]), [1e9, 1e-3]) == ("inconclusive", [])
    assert gradcheck.check(squares, lambda dy, x: 2 * dy * x, np.array([1.0, -2.0, 0.0])).passed


MANY = {
    "elementwise": (np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2)),
    "dense": (lambda x: np.tanh(x * np.mean(x)), lambda dy, x: _dense_vjp(dy, x)),
}


def _dense_vjp(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    g = dy * (1 - np.tanh(x * np.mean(x)) ** 2)
    return g * np.mean(x) + np.mean(g * x)


@pytest.mark.parametrize("name", MANY)
def test_many_entries_take_five_forwards_and_rule_out_a_hundredth_in_each(name: str) -> None:
    forward, vjp = MANY[name]
    x = np.random.default_rng(0).standard_normal(20_000)
    calls = []
    found = measured(lambda x: calls.append(1) or forward(x), vjp, x)
    assert (found.agreement, len(calls)) == ("equal", 5 + 2)  # two are the run in the dtype of the point, for determinism
    assert found.detects < LARGE_ERROR


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("rank", [0, 1000])
def test_one_wrong_entry_among_many_shows_however_small(name: str, rank: int) -> None:
    forward, vjp = MANY[name]
    x = np.random.default_rng(0).standard_normal(2000)
    factor = np.ones_like(x)
    factor[np.argsort(np.abs(vjp(np.ones_like(x), x)))[rank]] = 1 + 2 * LARGE_ERROR
    assert measured(forward, lambda dy, x: vjp(dy, x) * factor, x).agreement == "different"


def test_errors_that_would_cancel_in_terms_of_one_size_show() -> None:
    x = np.random.default_rng(0).standard_normal(2000)
    factor = 1 + 1e-4 * np.sign(np.arange(2000) % 2 - 0.5)
    forward, vjp = MANY["elementwise"]
    assert measured(forward, lambda dy, x: vjp(dy, x) * factor, x).agreement == "different"


def hidden(c: np.ndarray, x: np.ndarray, factor: np.ndarray) -> Any:
    """A sum of squares with weights, seen in floats alone; each entry of its gradient times ``factor``."""
    return measured(lambda x: np.sum(c * x * x), lambda dy, x: dy * 2 * c * x * factor, x)


@pytest.mark.parametrize("wrong", [0.0, 1.2, 1.001])
def test_a_small_term_is_not_hidden_by_large_ones(wrong: float) -> None:
    c, x = np.array([1.0, 1e-7, 1.0]), np.array([1.0, 2.0, 3.0])
    assert hidden(c, x, np.ones(3)).agreement == "equal"
    assert hidden(c, x, np.ones(3)).detects < 1e-2
    assert hidden(c, x, np.array([1.0, wrong, 1.0])).agreement == "different"


def test_many_of_which_the_smallest_could_be_wrong_unseen_are_not_passed() -> None:
    x = np.linspace(1, 2, MOST_LOOKS + 44)
    x[7] = 1e-12
    for factor in (1.0, 5.0):
        wrong = np.ones_like(x)
        wrong[7] = factor
        assert hidden(np.ones_like(x), x, wrong).agreement == "undecided"


def test_code_that_works_in_float32_is_judged_by_float32() -> None:
    x = np.array([0.3, 1.0, 2.0])
    forward = lambda x: np.sin(x.astype(np.float32)).astype(float)  # noqa: E731
    right, wrong = (measured(forward, lambda dy, x, c=c: c * dy * np.cos(x), x) for c in (1.0, 1.02))
    assert (right.agreement, wrong.agreement) == ("equal", "different")
    assert 1e-7 < right.detects < 1e-2


EDGES: dict[str, tuple[Any, Any, list[float]]] = {
    "log": (np.log, lambda x: 1 / x, [1e-12, 1, 2, 3]),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-12, 1e-3, 1, 1e10]),
    "arcsin": (np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), [1 - 1e-7, 0.5, 0.2]),
    "x log x": (lambda x: x * np.log(x), lambda x: 1 + np.log(x), [1e-12, 1, 2]),
}


@pytest.mark.parametrize("name", EDGES)
def test_near_the_edge_of_a_domain(name: str) -> None:
    f, slope, x = EDGES[name]
    factor = np.ones(len(x))
    assert measured(f, lambda dy, x: dy * slope(x), np.array(x)).agreement == "equal"
    factor[1] = 2
    found = measured(f, lambda dy, x: dy * slope(x) * factor, np.array(x))
    assert (found.agreement, found.worst) == ("different", (1,))


def test_the_rounding_residue_of_a_zero_gradient_is_not_accused() -> None:
    """A difference of equal numbers is zero all along, and its gradient is zero but for rounding."""
    x = np.array([0.3, 0.7])
    found = measured(lambda x: np.sum(x) - np.sum(x[::-1]), lambda dy, x: dy * (0 * x + 3.5e-18), x)
    assert found.agreement == "undecided"
    assert measured(lambda x: np.sum(x) - np.sum(x[::-1]), lambda dy, x: dy * (0 * x + 1e-6), x).agreement == "different"
