"""Forwards with one small constant changed: options, literals, defaults and globals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck.api import check
from gradcheck.exact.array import ExactArray, exact
from gradcheck.subject import NumpyPair, TorchCallable
from gradcheck.variants import SMALL_CONSTANT, variations

EPS = 1e-3
BIG = 0.5
COUNT = 3


def with_global(x: Any) -> Any:
    return x / (x + EPS) + BIG * 0 + COUNT * 0


def with_literal(x: Any) -> Any:
    return x / (x + 0.001)


def with_default(x: Any, eps: float = 1e-3) -> Any:
    return x / (x + eps)


def with_option(x: Any, eps: Any) -> Any:
    return x / (x + eps)


def with_buffer(x: Any) -> Any:
    out = np.zeros(x.shape)
    out[...] = x / (x + 0.001)
    return out


def with_none(x: Any) -> Any:
    return x * 2 + 0.5 * x + 1


def pair(forward: Callable[..., Any], arguments: tuple[str, ...] = ("x",)) -> NumpyPair:
    return NumpyPair("f", forward, lambda dy, *a: dy, arguments, ("x",))


def value(subject: NumpyPair, variation: Any, primals: list[Any]) -> float:
    with variation.active():
        changed = variation.primals(primals)
        (found,) = subject.value(changed)
    assert type(found) is ExactArray
    return float(found.balls_[0])


@pytest.mark.parametrize(
    ("forward", "primals", "names"),
    [
        (with_global, [], ["EPS left out", "EPS negated"]),
        (with_literal, [], ["the constant 0.001 left out", "the constant 0.001 negated"]),
        (with_default, [], ["the default 0.001 left out", "the default 0.001 negated"]),
        (with_option, [1e-3], ["eps left out", "eps negated", "eps in another place or size"]),
        (with_buffer, [], ["the constant 0.001 left out", "the constant 0.001 negated"]),
    ],
)
def test_every_small_constant_is_left_out_and_negated(forward: Callable[..., Any], primals: list[Any], names: list[str]) -> None:
    subject = pair(forward, ("x", "eps")[: 1 + len(primals)])
    x = exact(np.array([0.5]))
    found = list(variations(subject, [x, *primals]))
    assert [v.description for v in found] == names
    assert [value(subject, v, [x, *primals]) for v in found if v.part == "forward"] == pytest.approx([1.0, 0.5 / 0.499], rel=1e-15)
    assert float(x.balls_[0]) == 0.5
    (unchanged,) = subject.value([x, *primals])
    assert float(unchanged.balls_[0]) == pytest.approx(0.5 / 0.501)
    assert EPS == 1e-3


def test_large_constants_and_integers_are_left_alone() -> None:
    assert SMALL_CONSTANT < 0.5
    assert list(variations(pair(with_none), [exact(np.ones(1))])) == []
    assert list(variations(pair(with_option, ("x", "eps")), [exact(np.ones(1)), 1])) == []
    assert list(variations(pair(with_option, ("x", "eps")), [exact(np.ones(1)), True])) == []


def test_several_constants_vary_one_at_a_time() -> None:
    found = list(variations(pair(lambda x, eps=1e-4: x + 1e-5 + eps), [exact(np.ones(1))]))
    assert [v.description for v in found] == [
        f"the {w} {how}" for w in ("constant 1e-05", "default 0.0001") for how in ("left out", "negated")
    ]


def test_the_global_is_restored_after_an_exception() -> None:
    first = next(iter(variations(pair(with_global), [exact(np.ones(1))])))

    def fail() -> None:
        with first.active():
            assert EPS == 0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert EPS == 1e-3


def test_what_is_no_python_function_has_only_its_options() -> None:
    torch_subject = TorchCallable("t", lambda x, eps: x / (x + eps), ("x", "eps"), ("x",))
    assert [v.description for v in variations(torch_subject, [exact(np.ones(1)), 1e-5])] == [
        "eps left out", "eps negated", "eps in another place or size",
    ]  # fmt: skip
    assert list(variations(pair(np.exp), [exact(np.ones(1))])) == []


class Layer:
    floor = 1e-4

    def __init__(self) -> None:
        self.eps = 1e-3

    def forward(self, x: Any) -> Any:
        return x / (x + self.eps) + self.floor

    def __call__(self, x: Any) -> Any:
        return self.forward(x)


def helper(x: Any, *, eps: float = 1e-3) -> Any:
    return x + eps


def with_helper(x: Any) -> Any:
    return x / helper(x)


class Slotted:
    __slots__ = ("eps", "unset")

    def __init__(self) -> None:
        self.eps = 1e-3

    def __call__(self, x: Any) -> Any:
        return x / (x + self.eps)


@dataclass(frozen=True)
class Frozen:
    eps: float = 1e-3


class Pair(NamedTuple):
    size: int
    eps: float


class Configured:
    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def forward(self, x: Any) -> Any:
        return x / (x + (self.cfg.floor if isinstance(self.cfg, type) else self.cfg.eps))


class Keyed:
    def __init__(self) -> None:
        self.cfg = {"eps": 1e-3, "rate": 1e-2}

    def forward(self, x: Any) -> Any:
        return x / (x + self.cfg["eps"])


class CFG:
    eps = 1e-3


TABLE = {"norm": {"eps": 1e-3}}
EACH = [1, 1e-3]
SEVERAL = (1e-3, 2)
EPS64, EPS32 = np.float64(1e-3), np.float32(1e-3)
MADE = Layer()


def with_class(x: Any) -> Any:
    return x / (x + CFG.eps)


def with_dict(x: Any) -> Any:
    return x / (x + TABLE["norm"]["eps"])


def with_list(x: Any) -> Any:
    return x / (x + EACH[1])


def with_tuple(x: Any) -> Any:
    return x / (x + SEVERAL[0])


def with_tuple_default(x: Any, several: tuple[float, int] = (1e-3, 2)) -> Any:
    return x / (x + several[0])


def with_float64(x: Any) -> Any:
    return x / (x + EPS64)


def with_float32(x: Any) -> Any:
    return x / (x + EPS32)


def with_lambda(x: Any) -> Any:
    return x / (lambda v: v + 0.001)(x)


def with_inner_default(x: Any) -> Any:
    def inner(v: Any, eps: float = 0.001) -> Any:
        return v + eps

    return x / inner(x)


def first_option(eps: float, x: Any) -> Any:
    return x / (x + eps)


PARTIAL = partial(with_option, eps=1e-3)


def with_partial(x: Any) -> Any:
    return PARTIAL(x)


def with_closure() -> Callable[..., Any]:
    eps = 1e-3
    return lambda x: x / (x + eps)


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        (Layer().forward, "eps"),
        (Layer(), "eps"),
        (Layer().forward, "floor"),
        (with_helper, "the default eps=0.001"),
        (with_closure(), "eps"),
        (Slotted(), "eps"),
        (Slotted().__call__, "eps"),
        (Configured(Frozen()).forward, "cfg.eps"),
        (Configured(SimpleNamespace(eps=1e-3)).forward, "cfg.eps"),
        (Configured(Layer).forward, "cfg.floor"),
        (Configured(Pair(2, 1e-3)).forward, "cfg.eps"),
        (Keyed().forward, "cfg['eps']"),
        (with_class, "CFG.eps"),
        (with_dict, "TABLE['norm']['eps']"),
        (with_list, "EACH[1]"),
        (with_tuple, "SEVERAL[0]"),
        (with_tuple_default, "the default[0]"),
        (with_float64, "EPS64"),
        (with_float32, "EPS32"),
        (with_lambda, "the constant 0.001"),
        (with_inner_default, "the constant 0.001"),
        (partial(with_option, eps=1e-3), "eps"),
        (partial(first_option, 1e-3), "[0]"),
        (with_partial, "PARTIAL.eps"),
        (lambda x: Layer.forward(Layer(), x) if False else MADE(x), "MADE.eps"),
    ],
)
def test_constants_of_objects_helpers_and_closures(forward: Callable[..., Any], name: str) -> None:
    subject, x = pair(forward), exact(np.array([0.5]))
    before = subject.value([x])[0].balls_[0]
    varied = next(v for v in variations(subject, [x]) if v.description == f"{name} left out")
    with varied.active():
        assert not subject.value([x])[0].balls_[0].overlaps(before)
    assert subject.value([x])[0].balls_[0].overlaps(before)


def test_the_backwards_constants_take_the_place_of_the_forwards_and_are_left_out() -> None:
    subject = NumpyPair("f", with_literal, lambda dy, x: dy / (x + 1e-8), ("x",), ("x",))
    found = [(v.part, v.description) for v in variations(subject, [exact(np.ones(1))])]
    assert found == [
        ("forward", "the constant 0.001 left out"),
        ("forward", "the constant 0.001 negated"),
        ("forward", "the constant 0.001 1e-08 instead"),
        ("backward", "the constant 1e-08 left out"),
    ]


def test_everything_is_put_back_as_it_was() -> None:
    keyed, code, options = Keyed(), with_lambda.__code__, PARTIAL.keywords
    for forward in (keyed.forward, with_lambda, with_partial, with_tuple, partial(first_option, 1e-3)):
        for varied in variations(pair(forward), [exact(np.array([0.5]))]):
            with varied.active():
                pass
    assert keyed.cfg == {"eps": 1e-3, "rate": 1e-2}
    assert with_lambda.__code__ is code
    assert PARTIAL.keywords is options
    assert (options, SEVERAL) == ({"eps": 1e-3}, (1e-3, 2))
    assert all(type(v) is float for v in (*keyed.cfg.values(), options["eps"], SEVERAL[0]))


def leaky(x: Any) -> Any:
    return np.where(x > 0, x, 0.01 * x)


def leaky_by_slopes(x: Any) -> Any:
    return x * np.where(x > 0, 1.0, 0.01)


def leaky_in_place(x: Any, slope: float = 0.01) -> Any:
    y = x.copy()
    y[x < 0] *= slope
    return y


def leaky_by_mask(x: Any) -> Any:
    return ((x > 0) + 0.01 * (x <= 0)) * x


def cubic(x: Any) -> Any:
    return np.tanh(x + 0.044715 * x**3)


@pytest.mark.parametrize(
    "forward",
    [
        leaky, leaky_by_slopes, leaky_in_place, leaky_by_mask, cubic,
        lambda x: x + 1e-4 * np.sin(x), lambda x: x / 0.05, lambda x: x**0.1, lambda x: (1 - 0.1) * x, lambda x: x * 2 * 0.01,
        lambda x: x.sum() * 1e-3, lambda x: np.multiply(x, -0.01),
    ],
)  # fmt: skip
def test_factors_are_no_eps(forward: Callable[..., Any]) -> None:
    assert list(variations(pair(forward), [exact(np.array([0.5, -0.25]))])) == []
    slope = pair(lambda x, slope: np.where(x > 0, x, slope * x), ("x", "slope"))
    assert list(variations(slope, [exact(np.array([0.5, -0.25])), 0.01])) == []


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: np.log(np.clip(x, 1e-3, 1 - 1e-3)), lambda x: np.log(np.maximum(x, 1e-3)), lambda x: np.log(x.clip(1e-3)),
        lambda x: x / np.sqrt(x.var() + 1e-3), lambda x: x / np.sqrt(2 * 1e-3 + x.var()), lambda x: x / (float(x.shape[0]) * 1e-3 + x),
        lambda x: x / np.where(x > 1e-3, x, 1.0), lambda x: x / np.where(x > 0.3, x, 1e-3), lambda x: np.log(x - 1e-3),
        lambda x: np.hypot(x, 1e-3), lambda x: np.sqrt(x * x + 1e-3**2), lambda x: x / np.add(x, 1e-3), lambda x: x / max(x.sum(), 1e-3),
        lambda x: np.log(np.array(1e-3) + x), lambda x: x / (np.abs(x) + 0.1),
    ],
)  # fmt: skip
def test_what_is_added_or_a_bound_is_an_eps(forward: Callable[..., Any]) -> None:
    assert any("left out" in v.description for v in variations(pair(forward), [exact(np.array([0.5, 0.25]))]))


def test_a_forgotten_slope_is_no_missing_eps() -> None:
    result = check(leaky, lambda dy, x: dy * (x > 0), np.array([0.5, -0.25, 2.0]))
    assert [f.code for f in result.findings] == ["G101"]
    result = check(lambda x: x + 1e-4 * np.sin(x), lambda dy, x: dy, np.array([0.5, -0.25, 2.0]))
    assert [f.code for f in result.findings] == ["G101"]


@pytest.mark.parametrize(
    "forward", [Configured(Frozen()).forward, Slotted(), with_dict, with_lambda, partial(with_option, eps=1e-3), with_float32]
)
def test_a_forgotten_eps_is_named_wherever_it_stands(forward: Callable[..., Any]) -> None:
    log = lambda x: np.log(x / forward(x))  # noqa: E731
    result = check(log, lambda dy, x: dy / x, np.array([0.5, 0.25, 2.0]))
    assert [f.code for f in result.findings] == ["G111"]
