"""At a kink: do entries that are each in range make one subgradient together?

Where an output bends one way (a maximum, a norm: it is *regular*), a gradient g is a subgradient if and only if
g . u <= f'(x; u) along every direction u: two entries that tie for a maximum share one gradient between
them. Whether there is a direction that refutes g is decided by a search: the subgradients are the convex hull
of the gradients nearby; the way from the nearest point of those known so far to g is the next direction, and
either refutes g or leads to another gradient. Where an output bends both ways, nothing is known.
Sources: Clarke, Optimization and Nonsmooth Analysis, sections 2.1 and 2.3; Wolfe, Finding the nearest point
in a polytope, Mathematical Programming 11 (1976).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb
from scipy.optimize import nnls

from gradcheck.bounds import CONFIRM_BITS, FORMULA_TOLERANCE, MEMBER, MOST_BALLS, MOST_VERTICES, SHAKE, STEP_BITS, TRIALS
from gradcheck.exact.array import Work, flat, lift
from gradcheck.exact.balls import ONE, ZERO
from gradcheck.localise import Local, Spread, slopes
from gradcheck.ways.numeric import Directions, Evaluate, moved

SEVERAL_KINKS = "several kinks meet at this point and bend both ways, so that its slopes do not tell its subgradients"
NO_SLOPE = "the point lies on the edge of the domain or at a jump, or its slopes have no limit"
TOO_LARGE = "several kinks meet at this point, and the gradient is too large for a float"
NOT_FOUND = "several kinks meet at this point, and the search among their subgradients did not end"


@dataclass(frozen=True)
class Place:
    """Where the function is looked at: exact primals and the outputs there, cotangents, and the exponent of the step."""

    evaluate: Evaluate
    primals: Sequence[Any]
    here: Sequence[Any]
    cotangents: Sequence[Any]
    exponent: int


@dataclass(frozen=True)
class Part:
    """A primal that moves: its number, its gradient, what its coordinates say, and what rounded constants explain."""

    k: int
    claimed: np.ndarray
    local: Local
    excused: np.ndarray

    @property
    def kinks(self) -> np.ndarray:
        """The flat positions of the entries at kinks: where outputs bend one way, all subgradients agree in the others."""
        return np.flatnonzero(self.local.kink)


@dataclass(frozen=True)
class Range:
    """The slope of a gradient along a direction, and the range that its subgradients leave."""

    analytic: arb
    lower: arb
    upper: arb


@dataclass(frozen=True)
class Meeting:
    """``outside`` is the range along a direction that refutes the gradient; ``reason`` why nothing can be said.

    ``mixture`` tells that it was found to be one of gradients nearby, and so is a subgradient; ``searched``
    that nothing refuted it though several kinks meet. Both are known to MEMBER.
    """

    outside: Range | None = None
    reason: str = ""
    mixture: bool = False
    searched: bool = False


def meet(place: Place, parts: Sequence[Part], seed: int) -> Meeting:
    """Whether the gradients of ``parts`` are those of one subgradient.

    One that is a mixture of gradients nearby is, whichever way the outputs bend; any other must be
    refuted, and by outputs that bend one way.
    """
    rng = np.random.default_rng((seed, 7))
    looked = [_Along(place, parts, vectors) for vectors in (_ones(parts), *(_random(parts, rng) for _ in range(TRIALS)))]
    kinds = _Kinds(looked)
    if kinds.reason == NO_SLOPE or kinds.independent.all():
        return Meeting(reason=kinds.reason)
    found = Meeting(reason=kinds.reason) if kinds.reason else _search(place, parts, looked, kinds, rng)
    return found if found.searched or not _is_mixture(place, parts, rng) else Meeting(mixture=True)


def _search(place: Place, parts: Sequence[Part], looked: Sequence[_Along], kinds: _Kinds, rng: np.random.Generator) -> Meeting:
    """Follow the way from the nearest known subgradient to the claimed gradient until it is refuted, or reached."""
    g = _claimed(parts, [p.kinks for p in parts])
    if not np.isfinite(g).all():
        return Meeting(reason=TOO_LARGE)
    vertices: list[np.ndarray] = []
    for _ in range(1 + affordable(place, parts)):
        refuting = next((r for along in looked if (r := along.outside(kinds.independent)) is not None), None)
        if refuting is not None:
            return Meeting(refuting)
        vertices.append(_vertex(place, parts, looked[-1], kinds, rng))
        if not np.isfinite(vertices[-1]).all():
            return Meeting(reason=NO_SLOPE)
        towards = g - _nearest(np.array(vertices), g)
        if _is_reached(towards, vertices, g):
            return Meeting(searched=True)
        looked = [_Along(place, parts, _put(towards / np.max(np.abs(towards)), parts))]
        if not kinds.still(looked[0]):
            return Meeting(reason=SEVERAL_KINKS)
    return Meeting(reason=NOT_FOUND)


def _is_mixture(place: Place, parts: Sequence[Part], rng: np.random.Generator) -> bool:
    """Whether the claimed gradient is a mixture of gradients nearby: a Clarke subgradient of whatever function."""
    everywhere = [np.arange(p.claimed.size) for p in parts]
    g = _claimed(parts, everywhere)
    vertices: list[np.ndarray] = []
    few = min(affordable(place, parts), TRIALS * (g.size + 1)) // 2
    for _ in range(0 if g.size > MOST_VERTICES or not np.isfinite(g).all() else few):
        vertices += [v for v in _gradients_beside(place, parts, everywhere, _random(parts, rng)) if np.isfinite(v).all()]
        if vertices and _is_reached(g - _nearest(np.array(vertices), g), vertices, g):
            return True
    return False


def affordable(place: Place, parts: Sequence[Part]) -> int:
    """How many gradients nearby may be looked at: MOST_VERTICES, or what MOST_BALLS allow."""
    before = Work.made
    place.evaluate(list(place.primals))
    gradient = 2 * 2 * sum(len(p.local.looks) for p in parts) * max(1, Work.made - before)  # to two sides, by two evaluations each
    return min(MOST_VERTICES, MOST_BALLS // gradient)


def _claimed(parts: Sequence[Part], where: Sequence[np.ndarray]) -> np.ndarray:
    """The claimed gradients at the flat positions ``where`` of each part, as floats."""
    return np.array([float(a.mid()) for p, at in zip(parts, where, strict=True) for a in p.claimed.reshape(-1)[at]])


def _is_reached(towards: np.ndarray, vertices: Sequence[np.ndarray], g: np.ndarray) -> bool:
    size = max(float(np.max(np.abs(a), initial=0.0)) for a in (*vertices, g))
    return bool(np.max(np.abs(towards), initial=0.0) <= MEMBER * size)


def _ones(parts: Sequence[Part]) -> list[np.ndarray]:
    return [np.ones(p.claimed.size) for p in parts]


def _random(parts: Sequence[Part], rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.uniform(0.5, 2, p.claimed.size) * rng.choice((-1.0, 1.0), p.claimed.size) for p in parts]


def _put(values: np.ndarray, parts: Sequence[Part]) -> list[np.ndarray]:
    """Flat directions: ``values`` at the kinks of all parts, nothing elsewhere."""
    made = [np.zeros(p.claimed.size) for p in parts]
    for vector, part, given in zip(made, parts, np.split(values, np.cumsum([p.kinks.size for p in parts])[:-1]), strict=True):
        vector[part.kinks] = given
    return made


def _nearest(vertices: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The point of the convex hull of ``vertices`` (rows) nearest to ``g``: non-negative least squares with weights that sum to 1."""
    size = max(float(np.max(np.abs(a), initial=1e-300)) for a in (vertices, g))
    heavy = 1e3 * np.ones((1, len(vertices)))
    weights, _ = nnls(np.vstack([vertices.T / size, heavy]), np.append(g / size, 1e3))
    return np.asarray(vertices.T @ (weights / max(weights.sum(), 1e-300)))


class _Along:
    """The slopes of every output along one direction, beside what the coordinates say of them."""

    def __init__(self, place: Place, parts: Sequence[Part], vectors: Sequence[np.ndarray]) -> None:
        self.parts, self.weights, self.vectors = parts, flat(place.cotangents), vectors
        self.directions: Directions = {p.k: lift(v).reshape(p.claimed.shape) for p, v in zip(parts, vectors, strict=True)}
        self.plus, self.minus, _ = slopes(place.evaluate, place.primals, place.here, self.directions, place.exponent)
        spreads = [look.spread(self.directions[p.k].reshape(-1)) for p in parts for look in p.local.looks]
        self.spread = functools.reduce(Spread.__add__, spreads)

    def _far(self, a: arb, b: arb) -> bool:
        """Whether ``a`` exceeds ``b``, by more than curvature makes of a step."""
        return bool(a - b > FORMULA_TOLERANCE * (abs(a) + abs(b)))

    def finite(self, j: int) -> bool:
        return bool(self.plus[j].is_finite() and self.minus[j].is_finite())

    def independent(self, j: int) -> bool:
        pairs = ((self.plus[j], self.spread.plus[j]), (self.minus[j], self.spread.minus[j]))
        return not any(self._far(a, b) or self._far(b, a) for a, b in pairs)

    def bends(self, j: int, up: bool) -> bool:
        """Whether nothing speaks against output ``j`` being convex (``up``) or concave: f'(x; u) is subadditive in u."""
        ahead, behind = (self.plus, self.minus) if up else (self.minus, self.plus)
        most, least = (self.spread.plus, self.spread.minus) if up else (self.spread.minus, self.spread.plus)
        if self._far(behind[j], ahead[j]) or self._far(ahead[j], most[j]) or self._far(least[j], behind[j]):
            return False
        coordinates = [p.local.convex if up else p.local.concave for p in self.parts]
        return all(c is not None and bool(c[j]) for c in coordinates)

    def outside(self, independent: np.ndarray) -> Range | None:
        """The gradient's slope and its range, if it lies outside; where coordinates are ``independent``, theirs counts."""
        analytic = lower = upper = size = ZERO
        for part in self.parts:
            for g, u, excused in zip(part.claimed.flat, self.directions[part.k].flat, part.excused.flat, strict=True):
                if u != 0:
                    excuse = excused * abs(u) if excused.is_finite() else ZERO
                    analytic, size, lower, upper = analytic + g * u, size + abs(g * u), lower - excuse, upper + excuse
        for j, v in enumerate(self.weights):
            if v != 0:
                both = (self.spread.low, self.spread.high) if independent[j] else (self.plus, self.minus)
                first, second = (v * side[j] for side in both)
                lower, upper, size = lower + first.min(second), upper + first.max(second), size + abs(first).max(abs(second))
        distance = (analytic - upper).max(lower - analytic)
        return Range(analytic, lower, upper) if distance > FORMULA_TOLERANCE * size else None


class _Kinds:
    """How every output behaves along all directions ``looked`` at: its coordinates ``independent``, or bending ``up``, or down.

    ``reason`` tells why one of them cannot be told.
    """

    def __init__(self, looked: Sequence[_Along]) -> None:
        count = len(looked[0].weights)
        self.counted = [j for j in range(count) if looked[0].weights[j] != 0]
        self.independent, self.up, self.reason = np.ones(count, dtype=bool), np.zeros(count, dtype=bool), ""
        for j in self.counted:
            self.independent[j] = all(along.independent(j) for along in looked)
            self.up[j] = all(along.bends(j, up=True) for along in looked)
            if not all(along.finite(j) for along in looked):
                self.reason = self.reason or NO_SLOPE
            elif not self.independent[j] and not self.up[j] and not all(along.bends(j, up=False) for along in looked):
                self.reason = self.reason or SEVERAL_KINKS

    def still(self, along: _Along) -> bool:
        """Whether every output behaves so along one more direction."""
        return all(along.independent(j) if self.independent[j] else along.bends(j, bool(self.up[j])) for j in self.counted)


def _vertex(place: Place, parts: Sequence[Part], along: _Along, kinds: _Kinds, rng: np.random.Generator) -> np.ndarray:
    """The subgradient that goes farthest along a direction: the gradient a step away, where there is no kink any more.

    An output that bends up reaches it ahead, one that bends down behind; a negative weight turns them
    round. The direction is shaken a little, so that the step does not end on another kink.
    """
    shaken = [v * (1 + rng.uniform(-1, 1, v.size) * SHAKE) for v in along.vectors]

    def entry(j: int, v: arb, ahead: arb, behind: arb, ends: tuple[arb, arb], u: float) -> arb:
        if kinds.independent[j]:
            first, second = v * ends[0], v * ends[1]
            return first.max(second) if u > 0 else first.min(second)
        return v * (ahead if bool(kinds.up[j]) == bool(v > 0) else behind)

    return _beside(place, parts, [p.kinks for p in parts], shaken, entry)


def _gradients_beside(place: Place, parts: Sequence[Part], where: Sequence[np.ndarray], vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The gradients a step ahead and a step behind."""
    return [
        _beside(place, parts, where, vectors, lambda j, v, ahead, behind, ends, u: v * ahead),
        _beside(place, parts, where, vectors, lambda j, v, ahead, behind, ends, u: v * behind),
    ]


def _beside(
    place: Place, parts: Sequence[Part], where: Sequence[np.ndarray], vectors: Sequence[np.ndarray], entry: Callable[..., arb]
) -> np.ndarray:
    """The entries ``where`` of the gradient that ``entry`` makes of the slopes a step ahead and behind, and of those at the kink."""
    step, finer = arb(2) ** (place.exponent - STEP_BITS), place.exponent - STEP_BITS - CONFIRM_BITS
    directions = {p.k: lift(v).reshape(p.claimed.shape) for p, v in zip(parts, vectors, strict=True)}
    there = [moved(place.primals, directions, side) for side in (step, -step)]
    total: list[float] = []
    for part, at, vector in zip(parts, where, vectors, strict=True):
        wanted = np.isin(np.arange(part.claimed.size), at)
        gradient = np.full(part.claimed.size, ZERO, dtype=object)
        for look in part.local.looks:
            unit = np.full(part.claimed.shape, ZERO, dtype=object)
            unit.flat[look.entries] = ONE
            ahead, behind = (_slopes_at(place.evaluate, primals, {part.k: unit}, finer) for primals in there)
            for j, v in enumerate(flat(place.cotangents)):
                i = look.entries[look.block[j]]
                if v != 0 and wanted[i]:
                    gradient[i] += entry(j, v, ahead[j], behind[j], (look.plus[j], look.minus[j]), vector[i])
        total += [float(a.mid()) for a in gradient[at]]
    return np.array(total)


def _slopes_at(evaluate: Evaluate, primals: Sequence[Any], directions: Directions, exponent: int) -> np.ndarray:
    step = arb(2) ** (exponent - STEP_BITS)
    ahead, behind = (flat(evaluate(moved(primals, directions, side))) for side in (step, -step))
    return np.asarray((ahead - behind) / (2 * step))
