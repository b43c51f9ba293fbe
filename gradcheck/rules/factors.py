"""A constant factor between two arrays, and what it may stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE
from gradcheck.evidence import Evidence

SIZES = ("the number of entries of ", "the number of rows of ", "the size of axis ")
EACH = " for each of "

CONSTANTS = {
    2.0: "2",
    0.5: "1/2",
    1 / math.log(2): "1/ln 2: log2 where the natural logarithm belongs",
    math.log(2): "ln 2: the natural logarithm where log2 belongs",
    1 / math.log(10): "1/ln 10: log10 where the natural logarithm belongs",
    math.log(10): "ln 10: the natural logarithm where log10 belongs",
}

NEAR_ONE = ": so near to 1, a constant may be written in two ways (in floats 1 - 0.999999 is not 1e-6)"


@dataclass(frozen=True)
class Factor:
    """``ratio`` = mine / theirs in every entry; ``names`` are all that it may stand for here."""

    ratio: float
    names: frozenset[str]
    sure: bool


DIGITS = 9
"""Of a factor that are shown, and compared from point to point: more than any two of its names share."""


def digits(ratio: float) -> str:
    """``ratio`` in DIGITS digits, or two of its distance from 1 where so few would not show it."""
    away = ratio - 1
    return f"1 {'-' if away < 0 else '+'} {abs(away):.2g}" if abs(away) < 10.0 ** (3 - DIGITS) else f"{ratio:.{DIGITS}g}"


def _tolerance(evidence: Evidence) -> float:
    return FLOAT_TOLERANCE if evidence.why_not_exact else FORMULA_TOLERANCE


def common_factor(mine: np.ndarray, theirs: np.ndarray, evidence: Evidence) -> Factor | None:
    """The one factor other than 1 between two object arrays of balls; None if there is none.

    It must hold in every entry, and none may be right as it is. Sure if two entries of
    different size agree on it: equal ones may be equally wrong in any other way. A number that stands for
    nothing must come back at other points, where there are any: at one of them, whatever passes through a single unit is
    off by one factor. Every ratio is known to the tolerance of a formula, so that two differ by at most twice that.
    """
    if mine.shape != theirs.shape:
        return None
    tolerance = _tolerance(evidence)
    pairs = [(p, q) for p, q in zip(mine.ravel(), theirs.ravel(), strict=True) if p.is_finite() and q.is_finite()]
    nonzero = [(p, q) for p, q in pairs if not q.contains(0)]
    if not nonzero:
        return None
    p, q = max(nonzero, key=lambda pair: pair[1].rel_accuracy_bits())
    ratio = p / q
    if ratio.contains(0) or abs(ratio - 1) < tolerance:
        return None
    if any(abs(p - ratio * q).abs_lower() > 2 * tolerance * abs(ratio * q) for p, q in pairs):
        return None
    if any(abs(p - q) < tolerance * abs(q) for p, q in nonzero):
        return None
    number = float(ratio.mid())
    distinct = {float(abs(q).mid()) for _, q in nonzero}
    found = frozenset(names(number, evidence))
    telling = len(found) > 1 or _constant(number) is not None or evidence.point.origin != "generated"
    return Factor(number, found, len(distinct) >= 2 and telling)


def names(ratio: float, evidence: Evidence) -> set[str]:
    """What ``ratio`` may stand for: the number itself, the sizes of arrays, the options of the function."""
    found = {digits(ratio)}
    size, sign, tolerance = abs(ratio), "minus " if ratio < 0 else "", _tolerance(evidence)
    for what, n in _quantities(evidence):
        for prefix, over, times in (("", "one over ", 1.0), ("twice ", "two over ", 2.0), ("half ", "half over ", 0.5)):
            if math.isclose(size, times * n, rel_tol=tolerance):
                found.add(f"{sign}{prefix}{what}")
            if math.isclose(size, times / n, rel_tol=tolerance):
                found.add(f"{sign}{over}{what}")
    return found


def _quantities(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Numbers other than 0 that the arguments bring in, and their names."""
    arrays = {name: v for name, v in evidence.point.primals.items() if isinstance(v, np.ndarray) and v.size}
    for name, value in evidence.point.primals.items():
        if name in arrays:
            yield f"{SIZES[0]}{name}", value.size
            yield f"{SIZES[1]}{name}", value.size // value.shape[-1] if value.ndim else 1
            for axis, n in enumerate(value.shape):
                yield f"{SIZES[2]}{axis} of {name}", n
            yield from ((f"{SIZES[0]}{name}{EACH}{other}", value.size / v.size) for other, v in arrays.items() if other != name)
        elif isinstance(value, float) and math.isfinite(value):
            for what, number in ((name, value), (f"(1 - {name})", 1 - value)):
                if number:
                    yield what, number


def _constant(value: float) -> str | None:
    """What a well-known number (or minus it) stands for."""
    return next((text for constant, text in CONSTANTS.items() if math.isclose(abs(value), constant, rel_tol=10.0 ** (1 - DIGITS))), None)


def is_number(name: str) -> bool:
    return name[:1].isdigit() or name[:1] == "-"


def describe(given: frozenset[str]) -> str:
    """The cause that a surviving set of names stands for: a well-known constant, a size or an option, another number."""
    numbers = sorted(n for n in given if is_number(n))
    others = sorted((n for n in given if n and n not in numbers), key=lambda n: (_far_fetched(n, given), n))
    if numbers:
        if numbers[0] == "-1":
            return "a factor -1: a sign the wrong way round"
        value = float(numbers[0].partition(" ")[0])
        if (text := _constant(value)) is not None:
            return f"a factor {'-' if value < 0 else ''}{text}"
    if not others:
        return f"a factor {numbers[0]}{NEAR_ONE if ' ' in numbers[0] else ''}" if numbers else ""
    mean = " (a mean in one place and a sum in the other)" if any(s in others[0] for s in SIZES) else ""
    second = _alternative(others)
    return f"a factor {others[0]}{f', or {second}' if second else ''}{mean}"


SCALED = ("twice ", "half ", "two over ")


def _far_fetched(name: str, given: frozenset[str]) -> tuple[bool, bool, int]:
    """How far from the first guess ``name`` is among all that are ``given``.

    A batch of 4 with 4 features has as many rows as there are entries in a bias: a mean is taken over rows.
    """
    entries, rows, axis = (size in name for size in SIZES)
    vector = entries and name.replace(SIZES[0], f"{SIZES[2]}0 of ") in given
    return EACH in name, any(word in name for word in SCALED), 3 if axis else 2 if vector else 1 if rows else 0


def _alternative(ranked: list[str]) -> str:
    """The next name in line if it is as plain as the first, and about another size of another array."""
    first = ranked[0]
    kind = next((size for size in SIZES if size in first), "")
    for name in ranked[1:] if kind else ():
        plain = EACH not in name and not any(word in name for word in SCALED)
        if plain and kind not in name and any(size in name for size in SIZES[:2]):
            return name
    return ""
