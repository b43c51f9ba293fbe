"""A gradient entry by entry: which entries lie outside their range, and what would have shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb

from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE, LARGE_ERROR
from gradcheck.compare import entry
from gradcheck.exact.balls import ZERO
from gradcheck.localise import Local
from gradcheck.subgradients import NO_SLOPE


def positions(mask: np.ndarray) -> Iterator[tuple[int, ...]]:
    """The indices at which ``mask`` is true."""
    yield from (tuple(int(n) for n in i) for i in np.argwhere(mask))


def detects(claimed: np.ndarray, local: Local, excused: np.ndarray) -> float:
    """The smallest relative error that would have shown in every entry that is not zero; inf if all are."""
    found = [0.0]
    for i in positions(local.known):
        g, weight, excuse = (entry(balls, i) for balls in (claimed, local.weight, excused))
        if not g.contains(0):
            found.append(float(((FORMULA_TOLERANCE * (weight + abs(g)) + excuse) / abs(g)).mid()))
    return max(found) or math.inf


def alike(sizes: Sequence[arb], share: float) -> Iterator[np.ndarray]:
    """Masks of the entries that a sum hides: such below ``share`` of the whole, in groups of like size, and those that are zero.

    ``sizes`` are the magnitudes of all terms. Within a group, each term is at least the root of ``share`` of the largest.
    """
    orders = np.array([_order(a) for a in sizes])
    some = orders > -np.inf
    if not some.any():
        return
    span = math.log2(share)
    left = some & (orders < orders.max() + span + math.log2(4 * len(sizes)))
    while left.any():
        group = left & (orders >= orders[left].max() + span / 2)
        yield group
        left &= ~group
    if not some.all():
        yield ~some


def _order(a: arb) -> float:
    """The binary logarithm of ``a``, roughly; minus infinity for zero."""
    near = float(a)
    if near > 0 and math.isfinite(near):
        return math.log2(near)
    middle = abs(a).mid()
    if middle == 0 or not middle.is_finite():
        return -math.inf
    mantissa, exponent = middle.man_exp()
    return float(int(exponent) + int(mantissa).bit_length())


@dataclass(frozen=True)
class Entries:
    """Entries outside their subgradients, why some could not be told ("" if all could), and the largest relative error.

    ``seen`` is the smallest relative error that would have shown, of those that are not zero and no kink (floats only).
    """

    wrong: np.ndarray
    unknown: str
    error: float
    seen: float = math.inf


def compare(
    claimed: np.ndarray,
    local: Local,
    excused: np.ndarray | None = None,
    tolerance: float = FORMULA_TOLERANCE,
    most: float = FLOAT_TOLERANCE,
) -> Entries:
    """Every entry against its range; differences that ``excused`` (rounded constants) explains are no error.

    If they could explain more than ``most`` (half the digits), nothing can be told. With ``excused``, balls are as
    narrow as they get, and one that holds zero is zero. Without, they are those of floats: an entry is right if
    an error of LARGE_ERROR is ruled out, of one that is zero if it is so within the tolerance of the largest.
    """
    wrong, unknown, worst, seen = np.zeros(claimed.shape, dtype=bool), "", 0.0, 0.0
    finite = [w for w in local.weight[local.known] if w.is_finite()]
    largest = functools.reduce(arb.max, finite, ZERO) if excused is None else ZERO
    for i in positions(local.known):
        g, low, high = (entry(balls, i) for balls in (claimed, local.lower, local.upper))
        size = entry(local.weight, i) + abs(g)
        if not low.is_finite() or not high.is_finite():
            unknown = unknown or NO_SLOPE
            continue
        excuse = ZERO if excused is None or local.kink[i] or not entry(excused, i).is_finite() else entry(excused, i)
        outside = (g - high).max(low - g)
        right = tolerance * size + excuse if excused is not None else tolerance * largest if g == 0 else LARGE_ERROR * abs(g)
        if not g.is_finite() or outside > tolerance * size + excuse:
            wrong[i] = True
            worst = max(worst, float((outside / size).mid()) if g.is_finite() else math.inf)
        elif outside > tolerance * size and excuse > most * size:
            unknown = unknown or "so ill-conditioned that rounded constants might explain the difference"
        elif not outside <= right and (excused is None or not outside.contains(0)):
            unknown = unknown or "not decided at the highest precision"
        elif excused is None and g != 0 and not local.kink[i]:
            seen = max(seen, float(((tolerance * size + 2 * arb(outside.rad())) / abs(g)).mid()))
    return Entries(wrong, unknown, worst, seen or math.inf)


def furthest(claimed: np.ndarray, numeric: np.ndarray, wrong: np.ndarray) -> tuple[int, ...]:
    """The wrong entry with the largest difference; one that is not finite goes first."""
    best = -1.0
    where: tuple[int, ...] = ()
    for i in positions(wrong):
        difference = float(abs(entry(claimed, i) - entry(numeric, i)).mid())
        difference = difference if math.isfinite(difference) else math.inf
        if difference > best:
            best, where = difference, i
    return where
