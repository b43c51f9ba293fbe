"""A gradient entry by entry: which entries lie outside their range, and what would have shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from flint import arb

from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE
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


@dataclass(frozen=True)
class Entries:
    """Entries outside their subgradients, why some could not be told ("" if all could), and the largest relative error."""

    wrong: np.ndarray
    unknown: str
    error: float


def compare(claimed: np.ndarray, local: Local, excused: np.ndarray | None = None, tolerance: float = FORMULA_TOLERANCE) -> Entries:
    """Every entry against its range; differences that ``excused`` (rounded constants) explains are no error.

    If they could explain more than half the digits, nothing can be told. With ``excused``, balls are as
    narrow as they get, and one that holds zero is zero. Without, they are those of floats: what they
    leave open counts as right if it is within the tolerance of the largest entry, else it cannot be told.
    """
    wrong, unknown, worst = np.zeros(claimed.shape, dtype=bool), "", 0.0
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
        if not g.is_finite() or outside > tolerance * size + excuse:
            wrong[i] = True
            worst = max(worst, float((outside / size).mid()) if g.is_finite() else math.inf)
        elif outside > tolerance * size and excuse > FLOAT_TOLERANCE * size:
            unknown = unknown or "so ill-conditioned that rounded constants might explain the difference"
        elif not outside <= tolerance * size.max(largest) + excuse and (excused is None or not outside.contains(0)):
            unknown = unknown or "not decided at the highest precision"
    return Entries(wrong, unknown, worst)


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
