"""Blocks of entries that act apart: found where they are, never where they are not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import ctx

from gradcheck.exact.array import exact, flat, lift
from gradcheck.localise import Spread, localise
from gradcheck.structure import Blocks, blocks
from gradcheck.ways.numeric import sides

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _bits() -> Any:
    with ctx.workprec(1024):
        yield


def found(f: Callable[..., Any], x: np.ndarray) -> Blocks:
    def evaluate(ps: Any) -> tuple[Any, ...]:
        y = f(*ps)
        return y if isinstance(y, tuple) else (y,)

    held = [exact(x)]
    here = evaluate(held)

    def along(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = sides(evaluate, held, here, {0: direction}, 0)
        return flat(both.plus), flat(both.minus)

    direction = np.copysign(RNG.uniform(0.5, 2, x.shape), RNG.standard_normal(x.shape))
    return blocks(along, lift(direction), [lift(y).shape for y in here], np.random.default_rng(1))


X = RNG.standard_normal((4, 3))
W = RNG.standard_normal((3, 5))
CASES: dict[str, tuple[Callable[..., Any], np.ndarray, str]] = {
    "exp": (np.exp, X, "elementwise"),
    "relu at kinks": (lambda x: np.maximum(x, 0), np.zeros((2, 3)), "elementwise"),
    "a product with constants": (lambda x: x * np.arange(12.0).reshape(4, 3), X, "elementwise"),
    "two elementwise outputs": (lambda x: (np.sin(x), x * x), X, "elementwise"),
    "broadcast": (lambda b: np.ones((4, 3)) * b, X[0], "elementwise"),
    "softmax": (lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), X, "in blocks of 3"),
    "a matrix product": (lambda x: x @ W, X, "in blocks of 3"),
    "a row sum": (lambda x: x.sum(1), X, "in blocks of 3"),
    "a column sum": (lambda x: x.sum(0), X, "in blocks of 4"),
    "batch norm": (lambda x: (x - x.mean(0)) / x.std(0), X, "in blocks of 4"),
    "a maximum of each row": (lambda x: x.max(1), X, "in blocks of 3"),
    "ties in each row": (lambda x: x.max(1), np.zeros((4, 3)), "in blocks of 3"),
    "the whole sum": (lambda x: x.sum(), X, "dense"),
    "a cumulative sum": (lambda x: np.cumsum(x), X[0], "dense"),
    "neighbours": (lambda x: x + 2.0**-30 * np.roll(x, 1), X[0], "dense"),
    "ties with a neighbour": (lambda x: np.maximum(x, np.roll(x, 1)), np.zeros(5), "dense"),
    "reversed": (lambda x: x[::-1], X[0], "dense"),
    "one elementwise, one not": (lambda x: (np.sin(x), x.sum()), X, "dense"),
    "a number": (np.sin, np.array(0.5), "elementwise"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_structure_is_told(name: str) -> None:
    f, x, expected = CASES[name]
    assert found(f, x).name == expected


@pytest.mark.parametrize("name", CASES)
def test_entries_that_are_moved_at_once_give_the_same_slopes(name: str) -> None:
    f, x, _ = CASES[name]

    def evaluate(ps: Any) -> tuple[Any, ...]:
        y = f(*ps)
        return y if isinstance(y, tuple) else (y,)

    held = [exact(x)]
    here = evaluate(held)
    cotangents = [exact(RNG.uniform(0.5, 2, lift(y).shape)) for y in here]
    u = lift(np.copysign(RNG.uniform(0.5, 2, x.size), RNG.standard_normal(x.size)))
    slow, fast = (localise(evaluate, held, here, cotangents, 0, 0, b) for b in (None, found(f, x)))
    for column in ("numeric", "lower", "upper", "weight", "ones"):
        assert all(p.overlaps(q) for p, q in zip(getattr(slow, column).flat, getattr(fast, column).flat, strict=True)), column
    assert slow.kink.tolist() == fast.kink.tolist()
    one, other = (functools.reduce(Spread.__add__, [look.spread(u) for look in local.looks]) for local in (slow, fast))
    for part in ("plus", "minus", "low", "high"):
        assert all(abs(p - q) < 2.0**-100 for p, q in zip(getattr(one, part), getattr(other, part), strict=True)), part


def test_blocks_of_nothing() -> None:
    assert found(np.exp, np.empty((0, 2))).entries.size == 0
    assert found(lambda x: x[:, :0], X).outputs.size == 0
