"""At kinks and ties: what is right passes, what is no subgradient as a whole is found, what nothing tells is left open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import xlogy

import gradcheck
from gradcheck.subgradients import NO_SLOPE, SEVERAL_KINKS

Pair = tuple[Callable[..., Any], Callable[..., Any]]
TIE = np.array([2.0, 2.0, 1.0])
MIXED = np.array([1.0, -1.0])


def chosen(where: Callable[[Any], Any], forward: Callable[[Any], Any]) -> Pair:
    """A forward that picks one entry, with the backward that gives it the whole gradient."""

    def vjp(dy: Any, x: Any) -> Any:
        g = np.zeros_like(x)
        g[where(x)] = dy
        return g

    return forward, vjp


def distance(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Pair:
    """The L1 distance, with a sign of its own in the gradient of each argument."""
    return lambda x, y: abs(x - y).sum(), lambda dy, x, y: (dy * first(x - y), -dy * second(x - y))


def upper(d: Any) -> Any:
    return np.where(d >= 0, 1.0, -1.0)


def lower(d: Any) -> Any:
    return np.where(d > 0, 1.0, -1.0)


RIGHT: dict[str, tuple[Pair, tuple[Any, ...]]] = {
    "a tie shared": ((lambda x: x.max(), lambda dy, x: dy * (x == x.max()) / (x == x.max()).sum()), (TIE,)),
    "a tie to its first": (chosen(lambda x: x.argmax(), lambda x: x.max()), (TIE,)),
    "the second largest of a pair": (chosen(lambda x: np.argsort(x)[1], lambda x: np.sort(x)[1]), (np.array([1.0, 1.0, 2.0]),)),
    "a distance, signs of zero": (distance(np.sign, np.sign), (TIE, TIE)),
    "a distance, one side": (distance(upper, upper), (TIE, TIE)),
    "a maximum of two": ((np.maximum, lambda dy, x, y: (dy * (x >= y), dy * (y > x))), (TIE, TIE)),
    "kinks that bend both ways, apart": ((lambda x: np.maximum(x, 0) @ MIXED, lambda dy, x: dy * MIXED * (x > 0)), (np.zeros(2),)),
    "a slope that closes in slowly": ((lambda x: x * abs(x) ** 0.125, lambda dy, x: dy * 1.125 * abs(x) ** 0.125), (np.zeros(2),)),
    "no slope": ((lambda x: x**3, lambda dy, x: dy * 3 * x * x), (np.zeros(2),)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_subgradient_passes(name: str) -> None:
    pair, primals = RIGHT[name]
    result = gradcheck.check(*pair, *(p.copy() for p in primals))
    assert (result.verdict.value, result.findings) == ("pass", ())


WRONG: dict[str, tuple[Pair, tuple[Any, ...], str, str | None]] = {
    "a tie counted twice": ((lambda x: x.max(), lambda dy, x: dy * (x == x.max())), (TIE,), "G109", "x"),
    "nothing at a tie": ((lambda x: x.max(), lambda dy, x: dy * (x == x.max()) * ((x == x.max()).sum() == 1)), (TIE,), "G109", "x"),
    "a tie in every row, counted twice": (
        (lambda x: x.max(axis=1), lambda dy, x: dy[:, None] * (x == x.max(axis=1, keepdims=True))),
        (np.stack([TIE, -TIE]),),
        "G109",
        "x",
    ),
    "a distance, opposite sides": (distance(upper, lower), (TIE, TIE), "G109", "x"),
    "a maximum of two, counted twice": ((np.maximum, lambda dy, x, y: (dy * (x >= y), dy * (y >= x))), (TIE, TIE), "G109", "x1"),
    "beyond both slopes": (
        (lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, 2, x > 0)),
        (np.array([0.0, 1.0]),),
        "G109",
        "x",
    ),
    "beyond both slopes, kinks that bend both ways, apart": (
        (lambda x: np.maximum(x, 0) @ MIXED, lambda dy, x: dy * MIXED * 3),
        (np.zeros(2),),
        "G109",
        "x",
    ),
    "a smooth function of two kinks": (
        (lambda x: np.maximum(x, 0) - np.maximum(-x, 0), lambda dy, x: dy * (x != 0)),
        (np.array([0.0, 1.0]),),
        "G101",
        "x",
    ),
    "a mistake beside a kink": (
        (lambda x: np.maximum(x, 0) ** 2, lambda dy, x: dy * np.maximum(x, 0)),
        (np.array([0.0, 3.0]),),
        "G102",
        "x",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_subgradient_is_found(name: str) -> None:
    pair, primals, code, argument = WRONG[name]
    result = gradcheck.check(*pair, *(p.copy() for p in primals))
    assert [(f.code, f.argument) for f in result.findings] == [(code, argument)]


def test_arguments_that_disagree_are_named_together() -> None:
    (found,) = gradcheck.check(*distance(upper, lower), TIE.copy(), TIE.copy()).findings
    assert found.message == "the gradients of x and y are in range entry by entry at a kink, but no subgradient as a whole"
    low, high = found.measured["subgradients"]
    assert not low <= found.measured["analytic"] <= high


OPEN: dict[str, tuple[Pair, Any, str]] = {
    "x log x at 0": (
        (lambda x: xlogy(x, x), lambda dy, x: dy * np.where(x == 0, 0, 1 + np.log(np.where(x == 0, 1, x)))),
        np.array([0.0, 1.0]),
        NO_SLOPE,
    ),
    "a root at 0": (
        (np.sqrt, lambda dy, x: dy * np.where(x == 0, 0, 0.5 / np.sqrt(np.where(x == 0, 1, x)))),
        np.array([0.0, 1.0]),
        NO_SLOPE,
    ),
    "a jump": ((lambda x: (x > 0) * 1.0 + x, lambda dy, x: dy), np.array([0.0, 1.0]), NO_SLOPE),
    "the median of equals": (chosen(lambda x: np.argsort(x)[1], lambda x: np.sort(x)[1]), np.ones(3), SEVERAL_KINKS),
    "kinks that meet and bend both ways": (
        (lambda x: np.maximum(x[0], 0) - np.maximum(x[0] - x[1], 0), lambda dy, x: dy * np.array([0.75, 0.75])),
        np.zeros(2),
        SEVERAL_KINKS,
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_where_the_slopes_tell_nothing_the_verdict_is_left_open(name: str) -> None:
    pair, x, reason = OPEN[name]
    result = gradcheck.check(*pair, x)
    assert (result.verdict.value, dict(result.measurements["undecided"])) == ("inconclusive", {reason: 1})
