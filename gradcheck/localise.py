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
from gradcheck.exact.array import flat
from gradcheck.exact.balls import ONE, ZERO
from gradcheck.structure import Blocks, dense
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

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.plus + other.plus, self.minus + other.minus, self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Look:
    """The slopes of every output, flat, to both sides, when the ``entries`` (one of every block) are moved.

    ``block`` numbers the block of each output.
    """

    entries: np.ndarray
    block: np.ndarray
    plus: np.ndarray
    minus: np.ndarray

    def spread(self, direction: np.ndarray) -> Spread:
        """What these entries, moved by their parts of ``direction`` (flat object array), add."""
        u = direction[self.entries[self.block]]
        first, second = _first(u, self.plus, self.minus), _first(u, self.minus, self.plus)
        return Spread(first, second, _smaller(first, second), _larger(first, second))


_smaller, _larger = np.frompyfunc(arb.min, 2, 1), np.frompyfunc(arb.max, 2, 1)
_first = np.frompyfunc(lambda u, ahead, behind: ZERO if u == 0 else u * ahead if u > 0 else u * behind, 3, 1)


@dataclass(frozen=True)
class Local:
    """Object arrays of balls, of the primal's shape: what every entry of the gradient must be.

    ``numeric`` is the slope between the sides, ``lower`` and ``upper`` the range of valid
    subgradients, ``weight`` the sum of the magnitudes of the terms (the scale to compare
    with), ``ones`` the gradient for a cotangent of ones, ``kink`` where the sides differ.
    ``known`` marks the entries that were looked at; the others hold NaN.
    ``looks`` are all that was looked at; ``convex`` and ``concave`` tell of every output, flat, whether
    it may bend upwards (downwards) along every coordinate.
    """

    numeric: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    ones: np.ndarray
    kink: np.ndarray
    known: np.ndarray
    looks: tuple[Look, ...] = ()
    convex: np.ndarray | None = None
    concave: np.ndarray | None = None


NOTHING = arb.nan()


def _mid(plus: arb, minus: arb) -> arb:
    if plus.is_finite() and minus.is_finite():
        return (plus + minus) / 2
    return plus if plus.is_finite() else minus


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
    blocks: Blocks | None = None,
    at: Sequence[int] | None = None,
) -> Local:
    """Exact slopes along every coordinate of primal ``k``.

    Entries of different ``blocks`` are moved at once; without them, one at a time. ``at`` are the
    positions within the blocks to look at (default: all).
    """
    shape = primals[k].shape
    columns = [np.full(shape, NOTHING, dtype=object) for _ in range(5)]
    kink, known = (np.zeros(shape, dtype=bool) for _ in range(2))
    weights = flat(cotangents)
    looks = []
    convex, concave = (np.ones(len(weights), dtype=bool) for _ in range(2))
    apart = blocks or dense(primals[k].size, len(weights))
    members = [np.flatnonzero(apart.outputs == b) for b in range(len(apart.entries))]
    for moved in apart.entries.T if at is None else apart.entries.T[list(at)]:
        unit = np.full(shape, ZERO, dtype=object)
        unit.flat[moved] = ONE
        plus, minus, kinked = slopes(evaluate, primals, here, {k: unit}, exponent)
        for i, outputs in zip(moved, members, strict=True):
            for column, value in zip(columns, _entry(weights[outputs], plus[outputs], minus[outputs], kinked[outputs]), strict=True):
                column.flat[i] = value
            kink.flat[i], known.flat[i] = bool(kinked[outputs].any()), True
        convex &= ~(kinked & (plus < minus).astype(bool))
        concave &= ~(kinked & (plus > minus).astype(bool))
        looks.append(Look(moved, apart.outputs, plus, minus))
    numeric, lower, upper, weight, ones = columns
    return Local(numeric, lower, upper, weight, ones, kink, known, tuple(looks), convex, concave)


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
    return numeric, lower, upper, weight, ones
