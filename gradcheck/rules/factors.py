"""A constant factor between two arrays, and what it may stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE
from gradcheck.evidence import Evidence

CONSTANTS = {
    2.0: "2",
    0.5: "1/2",
    1 / math.log(2): "1/ln 2: log2 where the natural logarithm belongs",
    math.log(2): "ln 2: the natural logarithm where log2 belongs",
    1 / math.log(10): "1/ln 10: log10 where the natural logarithm belongs",
    math.log(10): "ln 10: the natural logarithm where log10 belongs",
}


@dataclass(frozen=True)
class Factor:
    """``ratio`` = mine / theirs in every entry; ``names`` are all that it may stand for here."""

    ratio: float
    names: frozenset[str]
    sure: bool


def _digits(ratio: float) -> str:
    return f"{ratio:.9g}"


def common_factor(mine: np.ndarray, theirs: np.ndarray, evidence: Evidence) -> Factor | None:
    """The one factor other than 1 between two object arrays of balls; None if there is none.

    It must hold in every entry, and none may be right as it is. Sure if two entries or more that
    are not zero agree on it.
    """
    if mine.shape != theirs.shape:
        return None
    tolerance = FLOAT_TOLERANCE if evidence.why_not_exact else FORMULA_TOLERANCE
    pairs = [(p, q) for p, q in zip(mine.ravel(), theirs.ravel(), strict=True) if p.is_finite() and q.is_finite()]
    nonzero = [(p, q) for p, q in pairs if not q.contains(0)]
    if not nonzero:
        return None
    p, q = max(nonzero, key=lambda pair: pair[1].rel_accuracy_bits())
    ratio = p / q
    if ratio.contains(0) or abs(ratio - 1) < tolerance:
        return None
    if any(abs(p - ratio * q).abs_lower() > 16 * tolerance * abs(ratio * q) for p, q in pairs):
        return None
    if any(abs(p - q) < tolerance * abs(q) for p, q in nonzero):
        return None
    number = float(ratio.mid())
    return Factor(number, frozenset(_names(number, evidence)), len(nonzero) >= 2)


def _names(ratio: float, evidence: Evidence) -> set[str]:
    found = {_digits(ratio)}
    sizes: dict[str, int] = {}
    for name, value in evidence.point.primals.items():
        if isinstance(value, np.ndarray) and value.ndim:
            sizes[f"the number of entries of {name}"] = value.size
            for axis, n in enumerate(value.shape):
                sizes[f"the size of axis {axis} of {name}"] = n
    for what, n in sizes.items():
        for prefix, times in (("", 1.0), ("twice ", 2.0), ("half ", 0.5)):
            if n and math.isclose(abs(ratio), times * n, rel_tol=1e-9):
                found.add(prefix + what)
            if n and math.isclose(abs(ratio), times / n, rel_tol=1e-9):
                found.add(f"{times:g} over {what}" if times != 1 else f"one over {what}")
    return found


def describe(names: frozenset[str]) -> str:
    """The cause that a surviving set of names stands for, constants before sizes."""
    names = names - {""}
    numbers = [n for n in names if n[:1].isdigit() or n[:1] == "-"]
    for n in numbers:
        try:
            value = float(n)
        except ValueError:
            continue
        for constant, text in CONSTANTS.items():
            if math.isclose(abs(value), constant, rel_tol=1e-7):
                return f"a factor {'-' if value < 0 else ''}{text}"
        return f"a factor {value:.6g}"
    sizes = sorted(n for n in names if n not in numbers)
    if not sizes:
        numbers = sorted(numbers)
        return f"a factor {numbers[0]}" if numbers else ""
    mean = (
        "a mean in one place and a sum in the other"
        if any(s.startswith(("the number", "the size", "one over")) for s in sizes)
        else "a constant"
    )
    return f"a factor {sizes[0]} ({mean})"
