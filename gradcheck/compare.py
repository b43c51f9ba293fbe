"""Comparing balls: three outcomes, never a guess."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from flint import arb, ctx

from gradcheck.bounds import ENOUGH_BITS, SMALLEST, TIE_BITS
from gradcheck.exact.array import lift

Agreement = Literal["equal", "different", "undecided"]


def entry(balls: np.ndarray, index: tuple[int, ...]) -> Any:
    """One ball of an object array (to a type checker, indexing might give an array)."""
    return balls[index]


def is_null(a: arb) -> bool:
    return bool(a.contains(0)) and ctx.prec >= TIE_BITS


def is_lost(a: arb) -> bool:
    """Not finite, and not for want of bits: e^x of a large float wants as many as its exponent has."""
    return not a.is_finite() and ctx.prec >= TIE_BITS


def accurate(data: np.ndarray) -> bool:
    """Good to ENOUGH_BITS, or an exact number, or nothing (a zero, no number) that more bits would resolve."""
    return all(a.rel_accuracy_bits() >= ENOUGH_BITS or a.is_exact() or is_lost(a) or is_null(a) for a in data.ravel())


def near(a: np.ndarray, b: np.ndarray, relative: float, absolute: Any) -> tuple[Agreement, tuple[int, ...]]:
    """Whether two object arrays agree in every entry, and the entry furthest off if they do not.

    ``absolute`` (a number, or object array of the same shape) is allowed beside the relative
    tolerance. What is not finite on either side is undecided.
    """
    worst = -1.0
    where: tuple[int, ...] = ()
    outcome: Agreement = "equal"
    allowed = np.broadcast_to(lift(absolute), a.shape)
    for i in np.ndindex(a.shape):
        p, q, extra = entry(a, i), entry(b, i), entry(allowed, i)
        difference, size = abs(p - q), abs(p) + abs(q)
        allowance = relative * size + (extra if extra.is_finite() else 0) + SMALLEST
        if difference <= allowance:
            continue
        if difference > allowance:
            outcome = "different"
            share = float((difference / size).mid())
            if share > worst:
                worst, where = share, i
        elif outcome == "equal":
            outcome = "undecided"
    return outcome, where
