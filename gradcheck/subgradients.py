"""At a kink: do entries that are each in range make one subgradient together?

Where a function bends one way (a maximum, a norm: it is *regular*), every subgradient g keeps
within the one-sided slopes along every direction u, not only along the coordinates: two entries
that tie for a maximum share one gradient between them. Where it bends both ways, nothing is known.
Source: Clarke, Optimization and Nonsmooth Analysis, sections 2.1 and 2.3.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import FORMULA_TOLERANCE
from gradcheck.exact.array import flat, lift
from gradcheck.exact.balls import ONE, ZERO
from gradcheck.localise import Local, Spread, slopes
from gradcheck.ways.numeric import Evaluate

SEVERAL_KINKS = "several kinks meet at this point and bend both ways, so that its slopes do not tell its subgradients"
NO_SLOPE = "the point lies on the edge of the domain or at a jump, or its slopes have no limit"


@dataclass(frozen=True)
class Part:
    """A primal that moves: its number, its gradient, what its coordinates say, and how it moves.

    ``local`` has a spread for each of ``directions``; ``excused`` is what rounded constants explain.
    """

    k: int
    claimed: np.ndarray
    local: Local
    directions: tuple[np.ndarray, ...]
    excused: np.ndarray


@dataclass(frozen=True)
class Range:
    """The slope of a gradient along a direction, and the range that its subgradients leave."""

    analytic: arb
    lower: arb
    upper: arb


@dataclass(frozen=True)
class Meeting:
    """``outside`` is a direction along which no subgradient has this slope; ``reason`` why nothing can be said."""

    outside: Range | None = None
    reason: str = ""


def directions(random: np.ndarray) -> tuple[np.ndarray, ...]:
    """Along which a gradient at a kink is looked at: a random one, and ones, which keep ties ties."""
    return lift(random), np.full(random.shape, ONE, dtype=object)


def meet(
    evaluate: Evaluate, primals: Sequence[Any], here: Sequence[Any], cotangents: Sequence[Any], exponent: int, parts: Sequence[Part]
) -> Meeting:
    """Whether the gradients of ``parts`` are those of one subgradient, along each of their directions.

    An output must behave as if its coordinates were independent, or as if it bent one way, along
    every direction that is tried; else ``SEVERAL_KINKS``.
    """
    weights = flat(cotangents)
    found = [_Along(evaluate, primals, here, exponent, parts, d) for d in range(len(parts[0].directions))]
    for j, v in enumerate(weights):
        if v == 0:
            continue
        if not all(along.plus[j].is_finite() and along.minus[j].is_finite() for along in found):
            return Meeting(reason=NO_SLOPE)
        ways = (_Along.independent, _Along.convex, _Along.concave)
        if not any(all(way(along, j) for along in found) for way in ways):
            return Meeting(reason=SEVERAL_KINKS)
    for along in found:
        outside = along.outside(weights)
        if outside is not None:
            return Meeting(outside)
    return Meeting()


class _Along:
    """The slopes of every output along one direction, beside what the coordinates say of them."""

    def __init__(
        self, evaluate: Evaluate, primals: Sequence[Any], here: Sequence[Any], exponent: int, parts: Sequence[Part], d: int
    ) -> None:
        self.parts, self.d = parts, d
        self.plus, self.minus, _ = slopes(evaluate, primals, here, {p.k: p.directions[d] for p in parts}, exponent)
        self.spread = functools.reduce(Spread.__add__, (p.local.spreads[d] for p in parts))

    def _far(self, a: arb, b: arb) -> bool:
        """Whether ``a`` exceeds ``b``, by more than curvature makes of a step."""
        return bool(a - b > FORMULA_TOLERANCE * (abs(a) + abs(b)))

    def independent(self, j: int) -> bool:
        pairs = ((self.plus[j], self.spread.plus[j]), (self.minus[j], self.spread.minus[j]))
        return not any(self._far(a, b) or self._far(b, a) for a, b in pairs)

    def convex(self, j: int) -> bool:
        """Whether nothing speaks against ``j`` being convex: f'(x; u) is subadditive in u."""
        plus, minus, spread = self.plus[j], self.minus[j], self.spread
        bends = self._far(minus, plus) or self._far(plus, spread.plus[j]) or self._far(spread.minus[j], minus)
        return not bends and all(p.local.convex is not None and bool(p.local.convex[j]) for p in self.parts)

    def concave(self, j: int) -> bool:
        plus, minus, spread = self.plus[j], self.minus[j], self.spread
        bends = self._far(plus, minus) or self._far(spread.plus[j], plus) or self._far(minus, spread.minus[j])
        return not bends and all(p.local.concave is not None and bool(p.local.concave[j]) for p in self.parts)

    def outside(self, weights: np.ndarray) -> Range | None:
        """The gradient's slope and its range, if it lies outside."""
        analytic = lower = upper = size = ZERO
        for part in self.parts:
            for g, u, excused in zip(part.claimed.flat, part.directions[self.d].flat, part.excused.flat, strict=True):
                analytic, size = analytic + g * u, size + abs(g * u)
                excuse = excused if excused.is_finite() else ZERO
                lower, upper = lower - excuse * abs(u), upper + excuse * abs(u)
        for j, v in enumerate(weights):
            if v != 0:
                both = (self.spread.low, self.spread.high) if self.independent(j) else (self.plus, self.minus)
                first, second = (v * side[j] for side in both)
                lower, upper, size = lower + first.min(second), upper + first.max(second), size + abs(first).max(abs(second))
        distance = (analytic - upper).max(lower - analytic)
        return Range(analytic, lower, upper) if distance > FORMULA_TOLERANCE * size else None
