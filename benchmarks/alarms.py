"""False alarms: right gradients at inputs that stress a checker, and how many of them are accused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.checkers import CHECKERS, Answer
from benchmarks.samples import STRESS, Entries, points
from gradcheck.function_spec import FunctionSpec


@dataclass(frozen=True)
class Alarms:
    """What one checker said of the right gradients of one spec at the points of one case."""

    spec: str
    case: str
    checker: str
    points: int
    accused: int
    undecided: int


def measure(specs: Iterable[FunctionSpec], count: int, cases: Mapping[str, Entries] = STRESS) -> list[Alarms]:
    """Every checker at ``count`` points of every spec and case, the same for all checkers."""
    rows = []
    for spec in specs:
        for case, entries in cases.items():
            at = points(spec, entries, count)
            for name, checker in CHECKERS.items():
                said = Counter(checker(spec, p) for p in at)
                rows.append(Alarms(spec.name, case, name, len(at), said[Answer.ACCUSED], said[Answer.OPEN]))
    return rows
