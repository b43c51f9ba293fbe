"""Which entries of a gradient are wrong: one-sided slopes along every coordinate.

Only a mismatch pays for this. At a kink the slopes to the two sides differ, and every entry
between them, output by output, may belong to a subgradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import CONFIRM_BITS
from gradcheck.exact.array import lift
from gradcheck.exact.balls import ONE, ZERO
from gradcheck.ways.numeric import Directions, Evaluate, Sides, kinks, limits, sides, suspicious


@dataclass(frozen=True)
class Spread:
    """What the slopes along the coordinates say of those along one direction, for every output, flat.

    If the coordinates act independently, the slope along the direction is ``plus`` to one side and
    ``minus`` to the other, and those of subgradients lie between ``low`` and ``high``.
    """

    plus: np.ndarray
    minus: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def none(cls, outputs: int) -> Spread:
        return cls(*(np.full(outputs, ZERO, dtype=object) for _ in range(4)))

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.plus + other.plus, self.minus + other.minus, self.low + other.low, self.high + other.high)


def _spread(u: arb, plus: np.ndarray, minus: np.ndarray) -> Spread:
    """What one coordinate, moved by ``u``, adds."""
    first, second = (u * plus, u * minus) if u > 0 else (u * minus, u * plus)
    return Spread(first, second, _smaller(first, second), _larger(first, second))


_smaller, _larger = np.frompyfunc(arb.min, 2, 1), np.frompyfunc(arb.max, 2, 1)


@dataclass(frozen=True)
class Local:
    """Object arrays of balls, of the primal's shape: what every entry of the gradient must be.

    ``numeric`` is the slope between the sides, ``lower`` and ``upper`` the range of valid
    subgradients, ``weight`` the sum of the magnitudes of the terms (the scale to compare
    with), ``ones`` the gradient for a cotangent of ones, ``kink`` where the sides differ.
    ``spreads`` has one entry for each direction asked for; ``convex`` and ``concave`` tell of every
    output, flat, whether it may bend upwards (downwards) along every coordinate.
    """

    numeric: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    ones: np.ndarray
    kink: np.ndarray
    spreads: tuple[Spread, ...] = ()
    convex: np.ndarray | None = None
    concave: np.ndarray | None = None


def _mid(plus: arb, minus: arb) -> arb:
    if plus.is_finite() and minus.is_finite():
        return (plus + minus) / 2
    return plus if plus.is_finite() else minus


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """The entries of all ``arrays``, one after the other."""
    return np.array([a for array in arrays for a in lift(array).flat], dtype=object)


def slopes(
    evaluate: Evaluate, primals: Sequence[Any], here: Sequence[Any], directions: Directions, exponent: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-sided slopes along ``directions`` with steps below that of the check: plus, minus, and whether they differ; flat."""

    def at(n: int) -> Sides:
        return sides(evaluate, primals, here, directions, exponent - n * CONFIRM_BITS)

    far, near = at(1), at(2)
    both = limits(far, near, lambda: at(3))
    plus, minus = flat(both.plus), flat(both.minus)
    return plus, minus, kinks(far, near) if suspicious(far) else np.zeros(plus.size, dtype=bool)


def localise(
    evaluate: Evaluate,
    primals: Sequence[Any],
    here: Sequence[Any],
    cotangents: Sequence[Any],
    k: int,
    exponent: int,
    along: Sequence[np.ndarray] = (),
) -> Local:
    """Exact slopes along every coordinate of primal ``k``, and what they add up to ``along`` directions (object arrays)."""
    shape = primals[k].shape
    columns = [np.empty(shape, dtype=object) for _ in range(6)]
    weights = flat(cotangents)
    spreads = [Spread.none(len(weights)) for _ in along]
    convex, concave = (np.ones(len(weights), dtype=bool) for _ in range(2))
    for i in np.ndindex(shape):
        unit = np.full(shape, ZERO, dtype=object)
        unit[i] = ONE
        plus, minus, kinked = slopes(evaluate, primals, here, {k: unit}, exponent)
        for column, value in zip(columns, _entry(weights, plus, minus, kinked), strict=True):
            column[i] = value
        convex &= ~(kinked & (plus < minus).astype(bool))
        concave &= ~(kinked & (plus > minus).astype(bool))
        spreads = [spread + _spread(u[i], plus, minus) for u, spread in zip(along, spreads, strict=True)]
    numeric, lower, upper, weight, ones, kink = columns
    return Local(numeric, lower, upper, weight, ones, kink.astype(bool), tuple(spreads), convex, concave)


def _entry(weights: np.ndarray, pluses: np.ndarray, minuses: np.ndarray, kinked: np.ndarray) -> tuple[Any, ...]:
    numeric = lower = upper = weight = ones = ZERO
    for v, plus, minus, kink in zip(weights, pluses, minuses, kinked, strict=True):
        slope = _mid(plus, minus)
        numeric, ones, weight = numeric + v * slope, ones + slope, weight + abs(v * slope)
        if kink:
            lower, upper = lower + (v * plus).min(v * minus), upper + (v * plus).max(v * minus)
            weight = weight + abs(v * (plus - minus))
        else:
            lower, upper = lower + v * slope, upper + v * slope
    return numeric, lower, upper, weight, ones, bool(kinked.any())
