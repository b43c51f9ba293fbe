"""Power: the smallest relative error put into a gradient that a checker still finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.checkers import FAST, NO_SLIP, SLOW, Answer, Checker, Slip, ours
from benchmarks.samples import ORDINARY, points
from gradcheck.function_spec import FunctionSpec
from gradcheck.points import Point

DELTAS = tuple(10.0**-n for n in range(2, 15))
POINTS = 8
COMPARED: dict[str, Checker] = {"gradcheck": ours, "torch fast": FAST, "torch slow": SLOW}


@dataclass(frozen=True)
class Power:
    """For one spec and one kind of slip: the smallest error found, by checker; None where not even the largest was."""

    spec: str
    family: str
    one_entry: bool
    found: dict[str, float | None]


def smallest(checker: Checker, spec: FunctionSpec, at: Sequence[Point], one_entry: bool, deltas: Sequence[float] = DELTAS) -> float | None:
    """The smallest of ``deltas`` (falling) down to which every one is found at some point of ``at``.

    A point at which the checker does not accept the right gradient proves nothing, and is left out.
    """
    accepts: dict[int, bool] = {}

    def found(delta: float) -> bool:
        for p in at:
            if p.seed not in accepts:
                accepts[p.seed] = checker(spec, p, NO_SLIP) is Answer.ACCEPTED
            if accepts[p.seed] and checker(spec, p, Slip(delta, one_entry)) is Answer.ACCUSED:
                return True
        return False

    least = None
    for delta in deltas:
        if not found(delta):
            break
        least = delta
    return least


def measure(specs: Iterable[FunctionSpec], count: int = POINTS, deltas: Sequence[float] = DELTAS) -> list[Power]:
    """Both kinds of slip in every spec, at up to ``count`` ordinary float64 points, the same for every checker."""
    rows = []
    for spec in specs:
        at = points(spec, ORDINARY, count)
        for one_entry in (False, True):
            found = {name: smallest(checker, spec, at, one_entry, deltas) for name, checker in COMPARED.items()}
            rows.append(Power(spec.name, spec.family, one_entry, found))
    return rows
