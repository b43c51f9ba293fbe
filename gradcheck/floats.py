"""The float way: what can be said where the code cannot be run in balls.

Every number carries its bound, as a ball: a classical difference that Richardson extrapolation
bounds, and a gradient known to half its digits. What these leave open is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import FLOAT_TOLERANCE, KINK_SEEN, KINK_STAYS, LEAST_SCALE, SIDE_STEP
from gradcheck.compare import near
from gradcheck.entries import compare, furthest
from gradcheck.exact.array import lift
from gradcheck.exact.balls import ZERO
from gradcheck.gradients import GradientEvidence, like
from gradcheck.localise import Local
from gradcheck.points import Point
from gradcheck.subject import Subject
from gradcheck.values import ValueEvidence
from gradcheck.ways import Slope
from gradcheck.ways.analytic import FloatRun, copies, differentiable, in_float64
from gradcheck.ways.autograd import Reference
from gradcheck.ways.numeric import classical


def float_values(floats: FloatRun, torch_side: Reference | None) -> tuple[ValueEvidence, ...]:
    """The outputs in the dtype of the point against the reference, to half the digits of the dtype."""
    return tuple(_value(j, c, torch_side) for j, c in enumerate(floats.outputs))


def float_gradients(subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None) -> tuple[GradientEvidence, ...]:
    """The gradients in float64 against float differences; undecided where float64 does not run."""
    primals = in_float64(point)
    with np.errstate(all="ignore"):
        try:
            claimed = subject.gradient([c.copy() for c in floats.cotangents], copies(primals), subject.value(copies(primals)))
        except Exception as error:
            reason = f"in float64 it raises {type(error).__name__}: {error}"
            return tuple(_open(subject.arguments[k], np.shape(primals[k]), reason) for k in differentiable(subject))
        wanted = enumerate(differentiable(subject))
        return tuple(_gradient_or_open(subject, point, floats, torch_side, primals, k, i, claimed[i]) for i, k in wanted)


def _gradient_or_open(
    subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None, primals: Sequence[Any], k: int, i: int, given: Any
) -> GradientEvidence:
    try:
        return _gradient(subject, point, floats, torch_side, primals, k, i, given)
    except Exception as error:
        return _open(subject.arguments[k], np.shape(primals[k]), f"near the point it raises {type(error).__name__}: {error}")


def _open(argument: str, shape: tuple[int, ...], reason: str) -> GradientEvidence:
    return GradientEvidence(argument, shape, None, None, None, None, None, "undecided", reason)


def _value(j: int, computed: np.ndarray, torch_side: Reference | None) -> ValueEvidence:
    if torch_side is None or j >= len(torch_side.shapes) or torch_side.shapes[j] != computed.shape or computed.dtype.kind != "f":
        return ValueEvidence(j, computed, None, None, None)
    reference = torch_side.outputs[j]
    eps = math.sqrt(float(np.finfo(computed.dtype).eps))
    largest = float(np.max(np.abs(reference), initial=0.0))
    agreement, at = near(lift(computed), lift(reference), eps, eps * largest if np.isfinite(largest) else 0.0)
    return ValueEvidence(j, computed, None, lift(reference), agreement, at)


def _gradient(
    subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None, primals: Sequence[Any], k: int, i: int, given: Any
) -> GradientEvidence:
    name, shape = subject.arguments[k], np.shape(primals[k])
    claimed = None if given is None else lift(np.asarray(given, dtype=np.float64))
    direction = point.direction(name)
    slope = classical(lambda ps: subject.value(copies(ps)), primals, k, direction, floats.cotangents)
    reference = torch_side.gradients[i] if torch_side is not None and torch_side.gradients is not None else None
    common: dict[str, Any] = {
        "argument": name,
        "shape": shape,
        "claimed": claimed,
        "numeric": slope,
        "autograd": None
        if reference is None or reference.shape != shape
        else Slope("autograd", float(np.sum(reference * direction)), math.inf, False),
        "classical": slope,
        "computed": floats.gradients[i],
        "reference": reference,
        "like_reference": None if reference is None or claimed is None or claimed.shape != reference.shape else like(claimed, reference),
    }
    if claimed is None or claimed.shape != shape:
        local = _localise(subject, primals, floats, k, shape)
        if claimed is None and not any(abs(n) > 0 for n in local.numeric.ravel()):
            return GradientEvidence(**common, analytic=None, agreement="undecided", reason="no gradient was returned")
        return GradientEvidence(**common, analytic=None, local=local, agreement="different", reason="shape")
    terms = np.asarray(given, dtype=np.float64) * direction
    total, scale = float(np.sum(terms)), float(np.sum(np.abs(terms))) + abs(slope.value)
    common["analytic"] = Slope("analytic", total, FLOAT_TOLERANCE * scale, False)
    if not math.isfinite(total) or not math.isfinite(slope.value):
        return GradientEvidence(**common, agreement="undecided", reason="not finite in float64")
    difference = abs(total - slope.value)
    if (difference <= FLOAT_TOLERANCE * scale and slope.bound <= FLOAT_TOLERANCE * scale) or scale == 0:
        detects = (FLOAT_TOLERANCE * scale + slope.bound) / abs(total) if total else math.inf
        return GradientEvidence(**common, agreement="equal", error=difference / scale if scale else 0.0, detects=detects)
    if difference <= FLOAT_TOLERANCE * scale + 2 * slope.bound:
        return GradientEvidence(
            **common, agreement="undecided", reason=f"the error bound of the float difference, {slope.bound:.1e}, is too wide"
        )
    local = _localise(subject, primals, floats, k, shape)
    found = compare(claimed, local, tolerance=FLOAT_TOLERANCE)
    common["kink"] = bool(local.kink.any())
    if found.wrong.any():
        index = furthest(claimed, local.numeric, found.wrong)
        unit = np.zeros(shape)
        unit[index] = 1.0
        common["classical"] = classical(lambda ps: subject.value(copies(ps)), primals, k, unit, floats.cotangents)
        return GradientEvidence(**common, local=local, agreement="different", wrong=found.wrong, worst=index, error=found.error)
    if found.unknown:
        return GradientEvidence(**common, local=local, agreement="undecided", reason="the float differences are not sure enough")
    return GradientEvidence(**common, local=local, agreement="equal", wrong=found.wrong)


def _localise(subject: Subject, primals: Sequence[Any], floats: FloatRun, k: int, shape: tuple[int, ...]) -> Local:
    columns = [np.full(shape, ZERO, dtype=object) for _ in range(6)]
    for at in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[at] = 1.0
        slope = classical(lambda ps: subject.value(copies(ps)), primals, k, unit, floats.cotangents)
        ones = classical(lambda ps: subject.value(copies(ps)), primals, k, unit, [np.ones_like(c) for c in floats.cotangents])
        ball = arb(slope.value, slope.bound) if math.isfinite(slope.bound) else arb(0, float("inf"))
        low, high, kink = _sides(subject, primals, floats, k, unit)
        if not kink:
            low = high = ball
        for column, value in zip(columns, (ball, low, high, abs(ball) + (high - low), arb(ones.value), kink), strict=True):
            column[at] = value
    numeric, lower, upper, weight, one, kinked = columns
    return Local(numeric, lower, upper, weight, one, kinked.astype(bool))


def _sides(subject: Subject, primals: Sequence[Any], floats: FloatRun, k: int, unit: np.ndarray) -> tuple[arb, arb, bool]:
    """The range of one-sided slopes, and whether they differ as at a kink."""
    here = subject.value(copies(primals))
    gaps, low, high, size = [], 0.0, 0.0, 0.0
    for step in (SIDE_STEP, SIDE_STEP / 4):
        low = high = gap = size = 0.0
        up, down = list(primals), list(primals)
        h = step * max(LEAST_SCALE, float(np.max(np.abs(primals[k] * unit), initial=0.0)))
        up[k], down[k] = np.asarray(primals[k] + h * unit), np.asarray(primals[k] - h * unit)
        for v, a, y, b in zip(floats.cotangents, subject.value(copies(up)), here, subject.value(copies(down)), strict=True):
            plus, minus = v * (a - y) / h, v * (y - b) / h
            low += float(np.sum(np.minimum(plus, minus)))
            high += float(np.sum(np.maximum(plus, minus)))
            gap += float(np.sum(np.abs(plus - minus)))
            size += float(np.sum(np.abs(plus) + np.abs(minus)))
        gaps.append(gap)
    kink = gaps[1] > KINK_STAYS * gaps[0] > KINK_SEEN * size
    slack = SIDE_STEP * (size + 1)
    return arb(low - slack), arb(high + slack), kink
