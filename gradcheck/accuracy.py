"""Is the arithmetic sound? A float result against its own exact value, as one number.

The amplification is the error divided by the error that no algorithm could avoid: how far the
exact value moves when the inputs move by one rounding, plus one ulp of the output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, ctx

from gradcheck.bounds import FEW_ENTRIES, NEAR_MAX, STEP_BITS, amplification_limit
from gradcheck.exact.array import ExactArray, boxed, flat, lift
from gradcheck.exact.balls import ZERO
from gradcheck.structure import Blocks, blocks, dense

Recompute = Callable[[Sequence[Any]], Sequence[Any]]

DRAWS = 2
"""Random moves tried before the worst case over every input is worked out."""


@dataclass(frozen=True)
class Accuracy:
    """How a float result compares with its exact value at one point, in the worst entry.

    ``amplification`` may overstate what is below ``limit`` (the cheap bound is then enough).
    ``trouble`` is "" or "not finite" or "inaccurate"; ``flags`` are the floating-point
    exceptions raised on the way.
    """

    dtype: str
    amplification: float
    limit: float
    output: int
    index: tuple[int, ...]
    computed: float
    exact: float
    trouble: str
    flags: frozenset[str]


def spacing(exact: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """One ulp of ``exact`` (float64) in ``dtype``; below its smallest normal number, that number.

    Results down there have no relative accuracy to lose.
    """
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        ulp = np.ldexp(float(info.eps), np.frexp(exact)[1] - 1)
    return np.where(np.abs(exact) < float(info.smallest_normal), float(info.smallest_normal), ulp)


def one_rounding(x: np.ndarray) -> np.ndarray:
    """Half an ulp of every entry of ``x``, as float64; what storing it may have cost."""
    with np.errstate(all="ignore"):
        ulp = np.spacing(np.abs(x)).astype(np.float64)
    ulp = np.where(np.isfinite(ulp), ulp, 0.0)
    return np.where((ulp / 2 == 0) & (x != 0), ulp, ulp / 2)  # half of the smallest float64 is 0


def to_float(balls: np.ndarray) -> np.ndarray:
    return np.array([float(a) for a in balls.ravel()], dtype=np.float64).reshape(balls.shape)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``|a - b|`` of two object arrays, as balls (a float would underflow); not finite where either is not."""
    return boxed(np.frompyfunc(lambda p, q: abs(p - q).mid(), 2, 1)(a, b))


_larger = np.frompyfunc(arb.max, 2, 1)


def movement(
    recompute: Recompute, inputs: Sequence[np.ndarray], here: Sequence[Any], rng: np.random.Generator, worst: bool
) -> list[np.ndarray]:
    """How far each exact result moves (object arrays of balls) when ``inputs`` move by one rounding.

    Random signs for all inputs at once, the larger of two draws; with ``worst``, the sum over every single input of what the
    larger of its two moves does: that bounds all signs where the results are smooth, and meets the ties nearby where they are not.
    """
    base = [lift(h) for h in here]
    total = [np.full(b.shape, ZERO, dtype=object) for b in base]

    def moved(shifts: Sequence[np.ndarray]) -> list[np.ndarray]:
        exact = [ExactArray(boxed(lift(x) + lift(s))) for x, s in zip(inputs, shifts, strict=True)]
        return [_distance(lift(r), b) for r, b in zip(recompute(exact), base, strict=True)]

    steps = [one_rounding(x) for x in inputs]
    if not worst:
        for _ in range(DRAWS):
            for t, d in zip(total, moved([s * rng.choice((-1.0, 1.0), s.shape) for s in steps]), strict=True):
                t[...] = _larger(t, d)
        return total
    for k, step in enumerate(steps):
        for entries in _apart(recompute, inputs, base, k, rng).entries.T:
            shifts = [np.zeros(s.shape) for s in steps]
            shifts[k].reshape(-1)[entries] = step.reshape(-1)[entries]
            for t, up, down in zip(total, moved(shifts), moved([-s for s in shifts]), strict=True):
                t[...] = t + _larger(up, down)
    return total


def _apart(recompute: Recompute, inputs: Sequence[np.ndarray], base: Sequence[np.ndarray], k: int, rng: np.random.Generator) -> Blocks:
    """Which entries of input ``k`` act on different results, so that moving them at once tells them apart; few are moved alone.

    Entries that move alike keep the ties that one of them would break.
    """
    if inputs[k].size <= FEW_ENTRIES:
        return dense(inputs[k].size, sum(b.size for b in base))
    step = arb(2) ** -STEP_BITS

    def slopes(direction: np.ndarray) -> tuple[np.ndarray]:
        exact = [ExactArray(lift(x)) for x in inputs]
        exact[k] = ExactArray(boxed(lift(inputs[k]) + direction * step))
        return (flat([(lift(r) - b) / step for r, b in zip(recompute(exact), base, strict=True)]),)

    direction = np.copysign(rng.uniform(0.5, 2, inputs[k].shape), rng.uniform(-1, 1, inputs[k].shape))
    return blocks(slopes, lift(direction), [b.shape for b in base], rng)


def unavoidable_error(
    recompute: Recompute,
    inputs: Sequence[np.ndarray],
    here: Sequence[Any],
    seed: int,
    bits: int,
    options: Sequence[Sequence[Callable[[], Sequence[Any]]]] = (),
) -> Callable[[bool], list[np.ndarray]]:
    """``movement`` at ``bits``, worked out when (and only if) it is asked for.

    ``options`` are, for each number among the inputs that may have been rounded (a rate of 0.1), what gives the results with
    it moved up, and down, by one rounding: they count in the worst case.
    """

    @functools.cache
    def unavoidable(worst: bool) -> list[np.ndarray]:
        with ctx.workprec(bits):
            total = movement(recompute, inputs, here, np.random.default_rng((seed, 3)), worst)
            for both in options if worst else ():
                up, down = ([_distance(lift(r), lift(h)) for r, h in zip(results(), here, strict=True)] for results in both)
                total = [boxed(t + _larger(u, d)) for t, u, d in zip(total, up, down, strict=True)]
            return total

    return unavoidable


def judge(
    computed: Sequence[np.ndarray],
    exact: Sequence[Any],
    dtype: np.dtype[Any],
    steps: int,
    flags: frozenset[str],
    unavoidable: Callable[[bool], list[np.ndarray]],
    stored: bool = False,
) -> tuple[Accuracy, ...]:
    """The worst finite entry of ``computed`` against ``exact``, and one that is not finite but should be.

    ``unavoidable(worst)`` gives the movements; it is called only when the ulps alone do not
    already clear the result. Empty where nothing can be compared. Where results are ``stored``, each along the
    first axis is made from the one before, whose rounding none of those after it can avoid.
    """
    limit = amplification_limit(steps)
    rows = [_rough_errors(c, lift(e), dtype) for c, e in zip(computed, exact, strict=True)]
    if stored:
        rows = [(error, np.maximum.accumulate(ulp, axis=0), value) for error, ulp, value in rows]
    finite = _worst(rows, computed, None, dtype, limit, flags)
    if finite is not None and finite.trouble:
        rows = [_errors(row, c, lift(e)) for row, c, e in zip(rows, computed, exact, strict=True)]
        finite = _worst(rows, computed, None, dtype, limit, flags)
    for worst in (False, True):
        if finite is None or not finite.trouble:
            break
        finite = _worst(rows, computed, unavoidable(worst), dtype, limit, flags)
    broken = _not_finite(rows, computed, dtype, limit, flags)
    return tuple(a for a in (broken, finite) if a is not None)


def _worst(
    rows: Sequence[Row],
    computed: Sequence[np.ndarray],
    moves: Sequence[np.ndarray] | None,
    dtype: np.dtype[Any],
    limit: float,
    flags: frozenset[str],
) -> Accuracy | None:
    """The finite entry with the largest amplification."""
    found: Accuracy | None = None
    for output, ((error, ulp, value), c) in enumerate(zip(rows, computed, strict=True)):
        if not error.size:
            continue
        move = to_float(moves[output]) if moves is not None else 0.0
        with np.errstate(all="ignore"):
            ratio = np.where((error > 0) & np.isfinite(error), error / (ulp + move), 0.0)
        ratio = np.where(np.isnan(ratio), 0.0, ratio)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
        if found is None or ratio[index] > found.amplification:
            trouble = "inaccurate" if ratio[index] > limit else ""
            found = Accuracy(
                dtype.name, float(ratio[index]), limit, output, index, float(np.asarray(c)[index]), float(value[index]), trouble, flags
            )
    return found


def _not_finite(
    rows: Sequence[Row], computed: Sequence[np.ndarray], dtype: np.dtype[Any], limit: float, flags: frozenset[str]
) -> Accuracy | None:
    for output, ((error, _, value), c) in enumerate(zip(rows, computed, strict=True)):
        for at in np.argwhere(np.isinf(error)):
            index = tuple(int(i) for i in at)
            return Accuracy(dtype.name, np.inf, limit, output, index, float(np.asarray(c)[index]), float(value[index]), "not finite", flags)
    return None


Row = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of one output: absolute errors (inf where a finite value became none, 0 where none can be told), ulps, exact values."""


def _rough_errors(computed: Any, exact: np.ndarray, dtype: np.dtype[Any]) -> Row:
    """Upper bounds of the errors, in float64: the exact values rounded, and half their ulp added."""
    value = to_float(exact)
    c = np.asarray(computed, dtype=np.float64).reshape(value.shape)
    with np.errstate(all="ignore"):
        known = np.abs(value) <= float(np.finfo(dtype).max) * NEAR_MAX
        ulp = spacing(np.where(known, value, 1.0), dtype)
        error = np.where(c == value, 0.0, np.abs(c - value) + np.spacing(np.abs(value)) / 2)
    error = np.where(known, np.where(np.isfinite(c), error, np.inf), 0.0)
    return error, ulp, value


def _errors(row: Row, computed: Any, exact: np.ndarray) -> Row:
    """The errors themselves, by subtraction in balls."""
    rough, ulp, value = row
    error = rough.copy()
    c = np.asarray(computed, dtype=np.float64).reshape(value.shape)
    for i in np.ndindex(value.shape):
        if 0 < rough[i] < np.inf:
            error[i] = float(abs(exact[i] - arb(float(c[i]))).mid())
    return error, ulp, value
