"""At kinks and ties: what is right passes, what is no subgradient as a whole is found, what nothing tells is left open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import xlogy

import gradcheck
from gradcheck.subgradients import NO_SLOPE, SEVERAL_KINKS, TOO_LARGE

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
    "a tie of slopes beyond every float": (
        (lambda x: 1e300 * np.max(x) * 1e9, lambda dy, x: dy * np.array([1e300, 0.0]) * 1e9),
        np.ones(2),
        TOO_LARGE,
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_where_the_slopes_tell_nothing_the_verdict_is_left_open(name: str) -> None:
    pair, x, reason = OPEN[name]
    result = gradcheck.check(*pair, x)
    assert (result.verdict.value, dict(result.measurements["undecided"])) == ("inconclusive", {reason: 1})


def seeds(pair: Pair, x: Any) -> set[tuple[str, tuple[str, ...]]]:
    """The verdicts, with the codes, at several seeds: other cotangents and other random directions."""
    results = [gradcheck.check(*pair, np.array(x, float), seed=seed) for seed in range(6)]
    return {(r.verdict.value, tuple(f.code for f in r.findings)) for r in results}


@pytest.mark.parametrize(
    ("pair", "x"),
    [
        ((lambda x: np.max(abs(x)), lambda dy, x: dy * np.sign(x) * (abs(x) == np.max(abs(x)))), [1, -1, 1, -1]),
        ((lambda x: x.max() - x.min(), lambda dy, x: dy * ((x == x.max()) * 1.0 - (x == x.min()))), [3, 3, 1, 1]),
        ((lambda x: np.sqrt(np.sum(x * x)), lambda dy, x: dy * np.array([1.0, -1.0, 1.0])), [0, 0, 0]),
        ((lambda x: np.max(x), lambda dy, x: dy * (x == x.max())), [[1, 1], [1, 1]]),
        ((lambda x: np.sqrt(np.sum(x * x)), lambda dy, x: dy * np.ones(3)), [0, 0, 0]),
    ],
)
def test_what_is_no_subgradient_is_refuted_at_every_seed(pair: Pair, x: Any) -> None:
    assert seeds(pair, x) == {("fail", ("G109",))}


def bent_both_ways(x: Any) -> Any:
    return abs(x[0]) + abs(x[1]) - 0.5 * abs(x[0] + x[1])


@pytest.mark.parametrize(
    ("pair", "x"),
    [
        ((lambda x: np.sqrt(np.sum(x * x)), lambda dy, x: dy * np.array([0.5, -0.5, 0.5])), [0, 0, 0]),
        ((lambda x: x.max() - x.min(), lambda dy, x: dy * np.array([0.25, 0.75, -1.0, 0.0])), [3, 3, 1, 1]),
        ((bent_both_ways, lambda dy, x: dy * np.array([0.5, -1.5])), [0, 0]),
        ((bent_both_ways, lambda dy, x: dy * np.array([0.5, 0.5])), [0, 0]),
        ((lambda x: x.max(axis=1), lambda dy, x: dy[:, None] * np.eye(3)[[0, 2]]), [[1, 1, 1], [0, 2, 2]]),
    ],
)
def test_a_subgradient_passes_at_every_seed(pair: Pair, x: Any) -> None:
    assert seeds(pair, x) == {("pass", ())}


def test_random_sums_of_maxima() -> None:
    """Limiting gradients are never accused, mixtures of entries of two are passed only if they are subgradients."""
    rng, told = np.random.default_rng(7), 0
    for turn in range(30):
        weights = rng.choice([1.0, 2.0, -1.0, -0.5] if turn % 2 else [1.0, 2.0, 0.5], rng.integers(1, 4))
        planes = [rng.integers(-2, 3, (3, 2)).astype(float) for _ in weights]

        def f(x: Any, weights: Any = weights, planes: Any = planes) -> Any:
            return sum(w * np.max(m @ x) for w, m in zip(weights, planes, strict=True))

        def limit(u: Any, weights: Any = weights, planes: Any = planes) -> Any:
            return sum(w * m[np.argmax(m @ u)] for w, m in zip(weights, planes, strict=True))

        g, other = limit(rng.standard_normal(2)), limit(rng.standard_normal(2))
        assert gradcheck.check(f, lambda dy, x, g=g: dy * g, np.zeros(2), seed=turn).verdict.value != "fail"
        mixed = np.array([g[0], other[1]])
        around = [np.array([np.cos(a), np.sin(a)]) for a in np.linspace(0, 2 * np.pi, 721)]
        if turn % 2 == 0 and any(mixed @ u > f(u) + 1e-9 for u in around):
            told += 1
            result = gradcheck.check(f, lambda dy, x, g=mixed: dy * g, np.zeros(2), seed=turn)
            assert [x.code for x in result.findings] == ["G109"]
    assert told > 2


@pytest.mark.parametrize("share", [1e-6, 1e-9, 1e-11])
def test_a_small_error_at_meeting_kinks_is_found(share: float) -> None:
    """Two entries tie for a maximum, and share slightly more than one gradient."""
    split = np.array([0.5, 0.5 + share, 0.0])
    assert gradcheck.check(lambda x: x.max(), lambda dy, x: dy * split, TIE).verdict.value == "fail"
    right = gradcheck.check(lambda x: x.max(), lambda dy, x: dy * np.array([0.5, 0.5, 0.0]), TIE)
    assert right.passed
    assert right.detects is not None
    assert right.detects < share


def test_a_mixture_says_what_it_would_have_caught() -> None:
    result = gradcheck.check(lambda x: max(x[0], x[1]) - max(x[1], x[2]), lambda dy, x: dy * np.array([0.5, 0.0, -0.5]), np.ones(3))
    assert result.passed
    assert result.detects is not None
    assert result.detects < 1e-10


def test_a_gradient_far_larger_than_those_nearby_is_not_near_any() -> None:
    from gradcheck.subgradients import _nearest

    with np.errstate(over="raise", invalid="raise"):
        nearest = _nearest(np.array([[0.0, 0.0], [1e-300, 0.0]]), np.array([1e300, 1e300]))
    assert np.abs(nearest).max() <= 1e-300
