"""The exact check itself: the numeric and the analytic way along one direction of some arguments, and whether they agree."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from flint import arb, ctx

from gradcheck.bounds import ALIKE, CONFIRM_BITS, EXACT_AGREEMENT, SMALLEST, START_BITS, TIE_BITS, WELL_BELOW
from gradcheck.compare import is_lost, is_null
from gradcheck.entries import alike
from gradcheck.exact.array import ExactArray, flat, lift
from gradcheck.exact.balls import ZERO
from gradcheck.exact.precision import settle
from gradcheck.localise import slopes
from gradcheck.points import Point
from gradcheck.ways.analytic import Exactly, differentiable
from gradcheck.ways.numeric import Sides, central, kinks, sides, smallest_exponent, suspicious


@dataclass(frozen=True)
class Along:
    """Both exact ways along the point's direction; ``scale`` is the sum of the magnitudes of the terms, ``sizes``.

    ``claims`` are the gradients of the arguments that move, as the backward gave them.
    """

    claims: tuple[np.ndarray | None, ...]
    numeric: arb
    analytic: arb | None
    scale: arb
    sides: Sides
    sizes: Sequence[arb] = ()

    @property
    def claimed(self) -> np.ndarray | None:
        """The gradient of the one argument that moves."""
        (claimed,) = self.claims
        return claimed

    @property
    def difference(self) -> arb:
        """Between the two ways; NaN without a gradient of the right shape."""
        return arb.nan() if self.analytic is None else abs(self.analytic - self.numeric)


class Moved:
    """Differentiable arguments of the subject at one point, numbered ``which`` among them, ready to be moved together."""

    def __init__(self, exactly: Exactly, point: Point, which: Iterable[int]) -> None:
        self.exactly, self.point, self.which = exactly, point, tuple(which)
        places = [differentiable(exactly.subject)[i] for i in self.which]
        self.directions = {k: point.direction(exactly.subject.arguments[k]) for k in places}
        self.exponent = smallest_exponent(list(point.primals.values()))

    def only(self, mask: np.ndarray) -> Self:
        """The same, of which only the entries in ``mask`` (flat, over all arguments) move."""
        some = copy.copy(self)
        parts = np.split(mask, np.cumsum([d.size for d in self.directions.values()])[:-1])
        some.directions = {k: np.where(m.reshape(d.shape), d, 0.0) for (k, d), m in zip(self.directions.items(), parts, strict=True)}
        return some

    def sides(self, closer: int = 0) -> Sides:
        exactly, directions = self.exactly, {k: lift(d) for k, d in self.directions.items()}
        return sides(exactly.at, exactly.primals, exactly.value(), directions, self.exponent - closer)

    def claims(self) -> tuple[np.ndarray | None, ...]:
        """The gradients that the backward gives."""
        given = self.exactly.gradient()
        return tuple(None if given[i] is None else lift(given[i]) for i in self.which)

    def terms(self, claims: Sequence[np.ndarray | None]) -> list[arb] | None:
        """The terms of the slope that ``claims`` make; None where one is missing, or of another shape."""
        found: list[arb] = []
        for claimed, direction in zip(claims, self.directions.values(), strict=True):
            if claimed is None or claimed.shape != direction.shape:
                return None
            found += [p * q for p, q in zip(claimed.ravel(), lift(direction).ravel(), strict=True)]
        return found

    def along_direction(self) -> Along:
        both = self.sides()
        return self.compared(central(self.exactly.cotangents, both), both)

    def compared(self, numeric: arb, both: Sides) -> Along:
        """The analytic way beside the ``numeric`` one."""
        claims = self.claims()
        terms = self.terms(claims)
        if terms is None:
            return Along(claims, numeric, None, abs(numeric), both)
        sizes = [abs(t) for t in terms]
        return Along(claims, numeric, sum(terms, ZERO), sum(sizes, abs(numeric)), both, sizes)

    def still_differs(self, first: Sides, bits: int) -> bool:
        """Whether the two sides differ as much when the step shrinks: a kink."""
        with ctx.workprec(bits + 2 * CONFIRM_BITS):
            return bool(kinks(first, self.sides(CONFIRM_BITS)).any())

    def limit(self) -> arb:
        """The slope along the direction for ever smaller steps."""
        exactly, directions = self.exactly, {k: lift(d) for k, d in self.directions.items()}
        plus, minus, _ = slopes(exactly.at, exactly.primals, exactly.value(), directions, self.exponent)
        return central([ExactArray(flat(exactly.cotangents))], Sides((plus,), (minus,)))


M = TypeVar("M", bound=Moved)


def agrees(exactly: Exactly, point: Point, i: int) -> bool:
    """Whether the ``i``-th gradient is right along the point's direction: the exact check by itself, and no evidence."""
    at = Moved(exactly, point, [i])
    found, bits = settle(at.along_direction, is_sure, start=START_BITS - at.exponent)
    return agree(found, bits) and hidden_part(at, found, bits) is None


def all_agree(exactly: Exactly, point: Point) -> tuple[Along, int] | None:
    """Both ways along the directions of all arguments together, and the bits; None where they differ, or meet a kink.

    Each argument has random numbers of its own, so that errors in several cancel no more than those in several entries do.
    """
    all_ = Moved(exactly, point, range(len(exactly.subject.differentiable)))
    found, bits = settle(all_.along_direction, is_sure, start=START_BITS - all_.exponent)
    if suspicious(found.sides) and all_.still_differs(found.sides, bits):
        return None
    if not agree(found, bits) and not vanishes(all_, found, bits):
        return None
    return None if hidden_part(all_, found, bits) is not None else (found, bits)


def agree(found: Along, bits: int) -> bool:
    """Whether the two ways differ by no more than the step's own error, or are both zero as far as ``bits`` tell."""
    if not found.difference.is_finite():
        return False
    return bool(found.difference <= EXACT_AGREEMENT * found.scale) or both_null(found, bits)


def hidden_part(at: M, found: Along, bits: int) -> tuple[M, Along, int] | None:
    """The first entries that are wrong by themselves where all agree together: their terms are too small to show in the sum."""
    for mask in alike(found.sizes, ALIKE):
        some = at.only(mask)
        part, finer = settle(some.along_direction, is_sure, start=bits)
        if not agree(part, finer) and not vanishes(some, part, finer):
            return some, part, finer
    return None


def vanishes(at: Moved, found: Along, bits: int) -> bool:
    """Whether the gradient is zero in every entry that moves, and the slope tends to zero with the step: what differs is the step's own."""
    if found.analytic is None or not all(size.is_finite() and size.contains(0) for size in found.sizes):
        return False
    with ctx.workprec(max(TIE_BITS, bits + 4 * CONFIRM_BITS)):
        if not all(is_null(term) for term in at.terms(at.claims()) or ()):
            return False
        slope = at.limit()
        return bool(slope.is_finite() and slope.contains(0))


def is_sure(found: Along) -> bool:
    """Whether more bits would not tell more: the difference is known far below what decides."""
    if found.analytic is None:
        return True
    difference = found.difference
    if is_lost(difference) or difference.rad() <= WELL_BELOW * EXACT_AGREEMENT * found.scale:
        return True
    return both_null(found, ctx.prec)


def both_null(found: Along, bits: int) -> bool:
    """Whether the numeric slope is zero, as far as ``bits`` tell, and the analytic one too, or below every float."""
    if found.analytic is None:
        return False
    with ctx.workprec(bits):
        return is_null(found.numeric) and (is_null(found.analytic) or bool(abs(found.analytic) < SMALLEST))
