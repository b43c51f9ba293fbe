"""Forwards with one small constant changed: options, literals, defaults and globals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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
    torch_subject = TorchCallable("t", lambda x, eps: x + 1e-3, ("x", "eps"), ("x",))
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
    subject = NumpyPair("f", with_literal, lambda dy, x: dy * 1e-8, ("x",), ("x",))
    found = [(v.part, v.description) for v in variations(subject, [exact(np.ones(1))])]
    assert found == [
        ("forward", "the constant 0.001 left out"),
        ("forward", "the constant 0.001 negated"),
        ("forward", "the constant 0.001 1e-08 instead"),
        ("backward", "the constant 1e-08 left out"),
    ]
