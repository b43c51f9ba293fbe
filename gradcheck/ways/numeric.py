"""The numeric way in balls: differences of values, exact."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import CLOSES_IN, FORMULA_TOLERANCE, KINK_GAP, KINK_SHRINKS, STEP_BITS
from gradcheck.exact.array import ExactArray, boxed, lift

Primals = list[Any]
Evaluate = Callable[[Primals], tuple[Any, ...]]


@dataclass(frozen=True)
class Sides:
    """Slopes of every output to either side along a direction, as object arrays of balls."""

    plus: tuple[np.ndarray, ...]
    minus: tuple[np.ndarray, ...]


def smallest_exponent(primals: Sequence[Any]) -> int:
    """The binary exponent, at most 0, of the smallest nonzero floating input."""
    least = 0
    for value in primals:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            nonzero = np.abs(value[(value != 0) & np.isfinite(value)]).astype(np.float64)
            if nonzero.size:
                least = min(least, math.frexp(float(nonzero.min()))[1])
    return least


Directions = Mapping[int, np.ndarray]
"""How each primal that moves does so: object arrays of balls, by the primal's number."""


def moved(primals: Sequence[Any], directions: Directions, step: arb) -> Primals:
    """Copies of exact ``primals``, those in ``directions`` moved by ``step`` times theirs."""
    copies = [p.copy() if type(p) is ExactArray else p for p in primals]
    for k, direction in directions.items():
        copies[k] = ExactArray(boxed(copies[k].balls_ + direction * step))
    return copies


def sides(evaluate: Evaluate, primals: Sequence[Any], here: Sequence[Any], directions: Directions, exponent: int) -> Sides:
    """Exact one-sided slopes along ``directions``, with a step of 2^(exponent - STEP_BITS)."""
    shift = exponent - STEP_BITS
    step, inverse = arb(2) ** shift, arb(2) ** -shift
    above = evaluate(moved(primals, directions, step))
    below = evaluate(moved(primals, directions, -step))
    return Sides(
        tuple(boxed((lift(a) - lift(y)) * inverse) for a, y in zip(above, here, strict=True)),
        tuple(boxed((lift(y) - lift(b)) * inverse) for b, y in zip(below, here, strict=True)),
    )


def contract(cotangents: Sequence[Any], slopes: Sequence[np.ndarray]) -> arb:
    """The sum over all outputs of cotangent times slope."""
    terms = [c * s for v, p in zip(cotangents, slopes, strict=True) for c, s in zip(lift(v).ravel(), p.ravel(), strict=True)]
    return functools.reduce(operator.add, terms, arb(0))


def central(cotangents: Sequence[Any], both: Sides) -> arb:
    """The slope between the two sides; where only one side is finite (an edge of the domain), that one."""
    plus, minus = contract(cotangents, both.plus), contract(cotangents, both.minus)
    if plus.is_finite() and minus.is_finite():
        return (plus + minus) / 2
    return plus if plus.is_finite() else minus


def _pairs(both: Sides) -> list[tuple[arb, arb]]:
    return [(p, m) for a, b in zip(both.plus, both.minus, strict=True) for p, m in zip(a.ravel(), b.ravel(), strict=True)]


def suspicious(both: Sides) -> bool:
    """Whether the two sides differ by more than smooth curvature usually makes them."""
    return any(abs(p - m) > KINK_GAP * abs(p) for p, m in _pairs(both))


def kinks(first: Sides, closer: Sides) -> np.ndarray:
    """For every output entry, flat: whether the sides differ at both steps alike.

    The sides of a smooth function close in with the step, those of a kink do not.
    """
    found = []
    for (p, m), (q, n) in zip(_pairs(first), _pairs(closer), strict=True):
        finite = p.is_finite() and m.is_finite() and q.is_finite() and n.is_finite()
        found.append(finite and bool(abs(q - n) > abs(p - m) * KINK_SHRINKS) and bool(abs(q - n) > 0))
    return np.array(found, dtype=bool)


def finite_only(both: Sides) -> Sides:
    """``both`` with zeros for the slopes that are not finite: outputs that are left out."""

    def kept(slopes: np.ndarray) -> np.ndarray:
        return boxed(np.frompyfunc(lambda s: s if s.is_finite() else arb(0), 1, 1)(slopes))

    return Sides(tuple(map(kept, both.plus)), tuple(map(kept, both.minus)))


def limits(far: Sides, near: Sides, nearer: Callable[[], Sides]) -> Sides:
    """The slopes for ever smaller steps, with the last change as a bound on what is still to come.

    That bound tells a slope that is zero (x^3 at 0 gives the square of the step) from a small one.
    Where the first change is more than FORMULA_TOLERANCE, a third step is taken; NaN where the
    second change is no less than CLOSES_IN of the first: such slopes have no limit.
    """

    def settled(p: arb, q: arb) -> bool:
        return not (p.is_finite() and q.is_finite()) or bool(abs(q - p) <= FORMULA_TOLERANCE * abs(q))

    def bounded(p: arb, q: arb) -> arb:
        return q + arb(0, abs(q - p).upper()) if p.is_finite() and q.is_finite() else q

    def limit(p: arb, q: arb, r: arb) -> arb:
        if settled(p, q):
            return bounded(p, q)
        return arb.nan() if abs(r - q) > CLOSES_IN * abs(q - p) else bounded(q, r)

    first, second = (far.plus, far.minus), (near.plus, near.minus)
    pairs = [
        (p, q) for a, b in zip(first, second, strict=True) for f, n in zip(a, b, strict=True) for p, q in zip(f.flat, n.flat, strict=True)
    ]
    third = near if all(settled(p, q) for p, q in pairs) else nearer()
    each = np.frompyfunc(limit, 3, 1)
    plus, minus = (
        [boxed(each(*pqr)) for pqr in zip(*three, strict=True)] for three in zip(first, second, (third.plus, third.minus), strict=True)
    )
    return Sides(tuple(plus), tuple(minus))


__all__ = [
    "Sides",
    "central",
    "contract",
    "finite_only",
    "kinks",
    "limits",
    "moved",
    "sides",
    "smallest_exponent",
    "suspicious",
]
