"""Which entries of a gradient are wrong: one-sided slopes along every coordinate.

Only a mismatch pays for this. At a kink the slopes to the two sides differ, and every gradient
between them, output by output, is a valid subgradient.
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
from gradcheck.ways.numeric import Evaluate, kinks, limits, sides, suspicious


@dataclass(frozen=True)
class Local:
    """Object arrays of balls, of the primal's shape: what every entry of the gradient must be.

    ``numeric`` is the slope between the sides, ``lower`` and ``upper`` the range of valid
    subgradients, ``weight`` the sum of the magnitudes of the terms (the scale to compare
    with), ``ones`` the gradient for a cotangent of ones, ``kink`` where the sides differ.
    """

    numeric: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    ones: np.ndarray
    kink: np.ndarray


def _mid(plus: arb, minus: arb) -> arb:
    if plus.is_finite() and minus.is_finite():
        return (plus + minus) / 2
    return plus if plus.is_finite() else minus


def localise(evaluate: Evaluate, primals: Sequence[Any], here: Sequence[Any], cotangents: Sequence[Any], k: int, exponent: int) -> Local:
    """Slopes along every coordinate of primal ``k``, exact, with a step below that of the check."""
    shape = primals[k].shape
    columns = [np.empty(shape, dtype=object) for _ in range(6)]
    weights = [c for v in cotangents for c in lift(v).ravel()]
    for i in np.ndindex(shape):
        unit = np.full(shape, ZERO, dtype=object)
        unit[i] = ONE
        far, near = (sides(evaluate, primals, here, k, unit, exponent - n * CONFIRM_BITS) for n in (1, 2))
        kinked = kinks(far, near) if suspicious(far) else np.zeros(len(weights), dtype=bool)
        both = limits(far, near)
        pairs = [(p, m) for a, b in zip(both.plus, both.minus, strict=True) for p, m in zip(a.ravel(), b.ravel(), strict=True)]
        entry = _entry(weights, pairs, kinked)
        for column, value in zip(columns, entry, strict=True):
            column[i] = value
    numeric, lower, upper, weight, ones, kink = columns
    return Local(numeric, lower, upper, weight, ones, kink.astype(bool))


def _entry(weights: Sequence[arb], pairs: Sequence[tuple[arb, arb]], kinked: np.ndarray) -> tuple[Any, ...]:
    numeric = lower = upper = weight = ones = ZERO
    for v, (plus, minus), kink in zip(weights, pairs, kinked, strict=True):
        slope = _mid(plus, minus)
        numeric, ones, weight = numeric + v * slope, ones + slope, weight + abs(v * slope)
        if kink:
            lower, upper = lower + (v * plus).min(v * minus), upper + (v * plus).max(v * minus)
            weight = weight + abs(v * (plus - minus))
        else:
            lower, upper = lower + v * slope, upper + v * slope
    return numeric, lower, upper, weight, ones, bool(kinked.any())
