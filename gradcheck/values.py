"""What is measured of the value: the forward's exact outputs against torch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE, QUICK_ULPS, SMALLEST_NORMAL, constant_share
from gradcheck.compare import Agreement, near
from gradcheck.exact.array import lift
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.points import Point
from gradcheck.ways.analytic import FloatRun
from gradcheck.ways.autograd import Reference


@dataclass(frozen=True)
class ValueEvidence:
    """One output of the forward.

    ``exact`` and ``reference`` are object arrays of balls (the latter float64 of torch, or
    torch's own exact value where the two seemed to differ); ``agreement`` is theirs.
    """

    output: int
    computed: np.ndarray
    exact: np.ndarray | None
    reference: np.ndarray | None
    agreement: Agreement | None
    index: tuple[int, ...] = ()


def compare_values(
    floats: FloatRun,
    objects: Sequence[np.ndarray],
    torch_side: Reference | None,
    unavoidable: Callable[[bool], Any],
    point: Point,
    bits: int,
    rounding: float,
) -> tuple[ValueEvidence, ...]:
    if torch_side is None:
        return tuple(ValueEvidence(j, c, o, None, None) for j, (c, o) in enumerate(zip(floats.outputs, objects, strict=True)))
    if torch_side.shapes != tuple(o.shape for o in objects):
        return tuple(ValueEvidence(j, c, o, None, None) for j, (c, o) in enumerate(zip(floats.outputs, objects, strict=True)))
    found = []
    exact_reference: list[np.ndarray] | None = None
    share = constant_share(point.dtype, rounding)
    smaller = np.frompyfunc(lambda mine, theirs: share * mine.min(theirs), 2, 1)
    for j, (c, o, t) in enumerate(zip(floats.outputs, objects, torch_side.outputs, strict=True)):
        agreement, at = near(o, lift(t), QUICK_ULPS * 2.0**-52, 0.0)
        if agreement == "equal":
            found.append(ValueEvidence(j, c, o, lift(t), "equal"))
            continue
        try:
            exact_reference = exact_reference or torch_side.exactly()
            agreement, at = near(o, exact_reference[j], FORMULA_TOLERANCE, 0.0)
            if agreement == "different":
                excused = smaller(lift(unavoidable(False)[j]), lift(torch_side.moves(point.dtype, point.seed, bits)[j]))
                agreement, at = near(o, exact_reference[j], FORMULA_TOLERANCE, excused)
            found.append(ValueEvidence(j, c, o, exact_reference[j], agreement, at))
        except (NotExact, Undecided):
            largest = float(np.max(np.abs(t), initial=0.0))
            lost = SMALLEST_NORMAL + (FLOAT_TOLERANCE * largest if np.isfinite(largest) else 0.0)
            agreement, at = near(o, lift(t), FLOAT_TOLERANCE, lost)
            found.append(ValueEvidence(j, c, o, lift(t), agreement, at))
    return tuple(found)
