"""The numeric way in floats: central differences along a line, with a bound that the values themselves give.

Four values beside the one at the point, at t = -h, -h/2, h/2 and h, give two central differences, their
extrapolation to h = 0 (whose distance from the finer one bounds the truncation error), a fourth
difference (which is noise, if h is not too large), and the slopes to the two sides. The step is changed
only if the bound is not good enough. Sources: Ridders, Advances in Engineering Software 4 (1982);
More, Wild, Estimating computational noise, SIAM Journal on Scientific Computing 33 (2011).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.bounds import FARTHEST, FIRST_STEP, FLOAT_TOLERANCE, KINK_STAYS, LEAST_SCALE, MOST_STEPS, NOISE, STEP_CHANGE, STEP_RANGE
from gradcheck.ways import Slope

EPS = float(np.finfo(np.float64).eps)
Evaluate = Callable[[list[Any]], tuple[Any, ...]]


class Line:
    """A forward along a line through a point: ``primals`` + t ``moves``, evaluated once for every t.

    ``evaluate`` is given arrays of its own, and may write into them. ``here`` are the outputs at t = 0, if they are known.
    """

    def __init__(
        self, evaluate: Evaluate, primals: Sequence[Any], moves: Mapping[int, np.ndarray], here: Sequence[Any] | None = None
    ) -> None:
        self._evaluate, self._primals, self._moves = evaluate, primals, moves
        self._values: dict[float, tuple[np.ndarray, ...]] = {} if here is None else {0.0: tuple(here)}

    def at(self, t: float) -> tuple[np.ndarray, ...]:
        if t not in self._values:
            moves = self._moves
            primals = [np.asarray(p + t * moves[k]) if k in moves else np.copy(p) if isinstance(p, np.ndarray) else p
                       for k, p in enumerate(self._primals)]  # fmt: skip
            with np.errstate(all="ignore"):
                self._values[t] = tuple(np.asarray(o) for o in self._evaluate(primals))
        return self._values[t]

    def rise(self, cotangents: Sequence[np.ndarray], t: float) -> float:
        """How far the contracted outputs are at t from those at 0."""
        with np.errstate(all="ignore"):
            return float(sum(np.sum(v * (a - y)) for v, a, y in zip(cotangents, self.at(t), self.at(0.0), strict=True)))

    def rounding(self, cotangents: Sequence[np.ndarray]) -> float:
        """One rounding of every contracted output, in the dtype that the outputs have; one of 1 if all are zero."""
        with np.errstate(all="ignore"):
            sizes = [np.sum(np.abs(v * y)) * self.eps(j) for j, (v, y) in enumerate(zip(cotangents, self.at(0.0), strict=True))]
            return float(sum(sizes)) or EPS * float(sum(np.sum(np.abs(v)) for v in cotangents))

    def eps(self, j: int) -> float:
        """That of the narrowest dtype that holds all values of output ``j`` so far: code may work in less than it is given."""
        values = [outputs[j] for outputs in self._values.values()]
        if values[0].dtype.kind != "f":
            return 0.0
        with np.errstate(all="ignore"):
            narrow = (t for t in (np.float16, np.float32) if all(np.array_equal(v, v.astype(t)) for v in values))
            return float(np.finfo(next(narrow, values[0].dtype)).eps)


@dataclass(frozen=True)
class Difference:
    """A slope along a line, and a bound on its error: ``truncation`` and ``noise``.

    ``kink`` tells that the slopes to the two sides, ``below`` and ``above``, do not close in on each
    other with the step.
    """

    value: float
    truncation: float
    noise: float
    step: float
    kink: bool = False
    below: float = math.nan
    above: float = math.nan

    @property
    def bound(self) -> float:
        total = self.truncation + self.noise
        return total if math.isfinite(total) and not self.kink else math.inf


def difference(line: Line, cotangents: Sequence[np.ndarray], step: float) -> Difference:
    """What the five values at 0, +-``step`` / 2 and +-``step`` tell."""
    up, down, near_up, near_down = (line.rise(cotangents, t) for t in (step, -step, step / 2, -step / 2))
    coarse, fine = (up - down) / (2 * step), (near_up - near_down) / step
    value = fine + (fine - coarse) / 3
    arrival = EPS * (abs(up) + abs(down)) / step  # what is moved is rounded where it arrives
    rounding = NOISE * (line.rounding(cotangents) + arrival)
    noise = max(rounding, NOISE * abs(up + down - 4 * (near_up + near_down)) / 8)
    gap, near_gap = abs(up + down), 2 * abs(near_up + near_down)
    if near_gap > KINK_STAYS * gap and near_gap > FLOAT_TOLERANCE * (abs(up) + abs(down)) + 12 * rounding:
        above, below = (4 * near_up - up) / step, (down - 4 * near_down) / step
        curvature = max(abs(above - 2 * near_up / step), abs(below + 2 * near_down / step))
        return Difference(value, curvature, 3 * rounding / step, step, True, below, above)
    return Difference(value, abs(value - fine), 3 * noise / step, step)


@dataclass(frozen=True)
class Each:
    """The slopes of every entry of an output, times its cotangent: their ranges (wider than a number at kinks) and error bounds."""

    low: np.ndarray
    high: np.ndarray
    bound: np.ndarray

    def outside(self, claimed: np.ndarray) -> np.ndarray:
        """How far ``claimed`` is from the ranges."""
        return np.asarray(np.maximum(np.maximum(claimed - self.high, self.low - claimed), 0.0))


def each(line: Line, cotangent: np.ndarray, step: float) -> Each:
    """What ``difference`` tells, for every entry of the only output by itself."""
    here = line.at(0.0)[0]
    with np.errstate(all="ignore"):
        up, down, near_up, near_down = (cotangent * (line.at(t)[0] - here) for t in (step, -step, step / 2, -step / 2))
        fine = (near_up - near_down) / step
        value = fine + (fine - (up - down) / (2 * step)) / 3
        rounding = NOISE * (np.abs(cotangent * here) * line.eps(0) + EPS * (np.abs(up) + np.abs(down)) / step)
        noise = np.maximum(rounding, NOISE * np.abs(up + down - 4 * (near_up + near_down)) / 8)
        near_gap = 2 * np.abs(near_up + near_down)
        kink = (near_gap > KINK_STAYS * np.abs(up + down)) & (near_gap > FLOAT_TOLERANCE * (np.abs(up) + np.abs(down)) + 12 * rounding)
        above, below = (4 * near_up - up) / step, (down - 4 * near_down) / step
        curvature = np.maximum(np.abs(above - 2 * near_up / step), np.abs(below + 2 * near_down / step))
        bound = np.where(kink, curvature + 3 * rounding / step, np.abs(value - fine) + 3 * noise / step)
        ends = np.where(kink, np.minimum(above, below), value), np.where(kink, np.maximum(above, below), value)
    return Each(*ends, np.where(np.isfinite(bound), bound, np.inf))


def slope(line: Line, cotangents: Sequence[np.ndarray], wanted: float | None = None, expected: float | None = None) -> Difference:
    """The slope of the contracted outputs, its bound ``wanted`` (absolute; FLOAT_TOLERANCE of the slope if None) or as good as it gets.

    One step is enough if it confirms what is ``expected``. Otherwise a slope is believed as far as one with
    another step confirms it.
    """
    found = [difference(line, cotangents, _first_step(line, cotangents, wanted))]
    best = found[0] if expected is not None else None
    for _ in range(MOST_STEPS - 1):
        target = FLOAT_TOLERANCE * abs(found[-1].value) if wanted is None else wanted
        if best is not None and best.bound <= target and (len(found) > 1 or abs(best.value - (expected or 0.0)) <= best.bound + target):
            return best
        step = _next(found)
        if step is None or _enclosed(found):
            break
        found.append(difference(line, cotangents, step))
        best = confirmed(found)
    best, kinks = confirmed(found), [d for d in found if d.kink]
    ends = [d.step for d in kinks] or [0.0]
    if math.isinf(best.bound) and all(d.kink for d in found if min(ends) <= d.step <= max(ends)) and kinks:
        return min(kinks, key=lambda d: d.truncation + d.noise)  # smaller steps than a kink's are lost in rounding
    return best


def _first_step(line: Line, cotangents: Sequence[np.ndarray], wanted: float | None) -> float:
    """FIRST_STEP, or as much longer, up to FARTHEST times, as brings the noise to expect down to half of ``wanted``."""
    if not wanted:
        return FIRST_STEP
    with np.errstate(all="ignore"):
        rounding = EPS * float(sum(np.sum(np.abs(v * y)) for v, y in zip(cotangents, line.at(0.0), strict=True)))
    longer = 2 * 3 * NOISE * rounding / (FIRST_STEP * wanted)
    return FIRST_STEP * min(max(longer, 1.0), FARTHEST) if math.isfinite(longer) else FIRST_STEP


def _next(found: Sequence[Difference]) -> float | None:
    """The step to try next: larger where noise dominates the last, else smaller; None at the end of STEP_RANGE."""
    last, tried = found[-1], [d.step for d in found]
    larger, smaller = max(tried) * STEP_CHANGE, min(tried) / STEP_CHANGE
    first, second = (larger, smaller) if last.truncation < last.noise and not last.kink else (smaller, larger)
    return next((step for step in (first, second) if STEP_RANGE[0] <= step <= STEP_RANGE[1]), None)


def _enclosed(found: Sequence[Difference]) -> bool:
    """Whether two neighbouring steps have the best between them: the shorter has more noise than truncation, the longer less."""
    if any(d.kink or not math.isfinite(d.bound) for d in found):
        return False
    rising = sorted(found, key=lambda d: d.step)
    return any(short.noise > short.truncation and long.truncation > long.noise for short, long in itertools.pairwise(rising))


def confirmed(found: Sequence[Difference]) -> Difference:
    """The slope with the smallest bound that another confirms; the bound is infinite if there are no such two.

    The noise is the larger that the two have seen.
    """
    best = replace(found[0], truncation=math.inf, kink=False)
    for one, other in itertools.permutations([d for d in found if math.isfinite(d.bound)], 2):
        error = max(one.noise * one.step, other.noise * other.step)
        bounds = [d.truncation + error / d.step for d in (one, other)]
        apart = abs(one.value - other.value)
        if apart <= sum(bounds) and max(bounds[0], apart) < best.bound:
            best = replace(one, truncation=max(one.truncation, apart), noise=error / one.step)
    return best


ENOUGH_FOR_A_MEDIAN = 1024
"""Entries, evenly spread, of which a typical size is taken."""


def scaled(x: np.ndarray) -> np.ndarray:
    """How far each entry moves for t = 1: by its own size, at least LEAST_SCALE of the median; a zero by the median (1 if all are zero)."""
    sizes = np.abs(x)
    some = sizes.reshape(-1)[:: max(1, sizes.size // ENOUGH_FOR_A_MEDIAN)]
    known = some[(some > 0) & np.isfinite(some)]
    typical = float(np.median(known)) if known.size else 1.0
    return np.asarray(np.where(sizes == 0, typical, np.maximum(sizes, LEAST_SCALE * typical)))


def classical(evaluate: Evaluate, primals: Sequence[Any], k: int, direction: np.ndarray, cotangents: Sequence[np.ndarray]) -> Slope:
    """The float slope along ``direction``: no entry moves by more than the step, relative to its own size."""
    x = np.asarray(primals[k], dtype=np.float64)
    moving = direction != 0
    reach = float(np.min(scaled(x)[moving] / np.abs(direction)[moving], initial=np.inf))
    if not np.isfinite(reach):
        return Slope("numeric", 0.0, 0.0, exact=False)
    found = slope(Line(evaluate, primals, {k: direction * reach}), cotangents)
    return Slope("numeric", found.value / reach, found.bound / reach, exact=False)
