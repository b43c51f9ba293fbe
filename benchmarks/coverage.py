"""Coverage: how often the error bound of the float way holds the true error, which balls know."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.samples import STRESS, Entries, points
from gradcheck.evidence import gather
from gradcheck.function_spec import FunctionSpec
from gradcheck.subject import house


@dataclass(frozen=True)
class Coverage:
    """Slopes along random directions of one case: how many have a finite bound, and for how many of those it holds.

    ``width`` is the median of the bounds, relative to the slopes.
    """

    case: str
    slopes: int
    bounded: int
    held: int
    width: float


def measure(specs: Iterable[FunctionSpec], count: int, cases: Mapping[str, Entries] = STRESS) -> list[Coverage]:
    """Every differentiable argument of every spec at ``count`` points of each case, but for slopes at kinks, which have no one value."""
    known = list(specs)
    rows = []
    for case, entries in cases.items():
        slopes = [
            (g.numeric, g.classical)
            for spec in known
            for point in points(spec, entries, count)
            for g in gather(house(spec), point, parts=frozenset({"gradients", "classical"})).gradients
            if g.numeric is not None and g.numeric.exact and math.isfinite(g.numeric.value) and g.classical is not None and not g.kink
        ]
        bounded = [(n, c) for n, c in slopes if math.isfinite(c.bound)]
        held = [abs(n.value - c.value) <= c.bound + n.bound + 2.0**-52 * abs(n.value) for n, c in bounded]
        widths = sorted(c.bound / abs(n.value) for n, c in bounded if n.value)
        rows.append(Coverage(case, len(slopes), len(bounded), sum(held), widths[len(widths) // 2] if widths else math.nan))
    return rows
