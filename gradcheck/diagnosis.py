"""From what the rules saw at many points to one cause: named only if it holds at every point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gradcheck.points import Point
from gradcheck.rules import Match, rank
from gradcheck.rules.factors import describe

ENOUGH_POINTS = 3
"""An explanation that no single point can tell from chance counts when it holds at so many."""

Key = tuple[str, str | None]


@dataclass
class Sightings:
    """The matches of all points so far: rivals by group, the others by code and argument."""

    rivals: dict[tuple[str, ...], list[tuple[Point, dict[str, Match]]]] = field(default_factory=dict)
    single: dict[Key, tuple[Point, Match]] = field(default_factory=dict)

    def add(self, point: Point, matches: Iterable[Match]) -> None:
        here: dict[tuple[str, ...], dict[str, Match]] = {}
        for m in matches:
            if m.group:
                here.setdefault(m.group, {})[m.code] = m
            else:
                self.single.setdefault((m.code, m.argument), (point, m))
        for group, codes in here.items():
            self.rivals.setdefault(group, []).append((point, codes))

    def conclusions(self) -> list[tuple[Point, Match, str]]:
        """One (first point, match, cause) for every defect, the most telling first.

        A broken law is not reported beside a wrong value: it follows from it.
        """
        chosen = [_consensus(seen) for seen in self.rivals.values()]
        chosen += [(point, m, m.cause) for point, m in self.single.values()]
        wrong_value = any(m.code in ("V101", "V102", "V104") for _, m, _ in chosen)
        kept = [c for c in chosen if not (wrong_value and c[1].code == "V103")]
        return sorted(kept, key=lambda c: (rank(c[1].code), c[1].argument or ""))


def _consensus(seen: list[tuple[Point, dict[str, Match]]]) -> tuple[Point, Match, str]:
    codes = set.intersection(*(set(found) for _, found in seen))
    for code in sorted(codes, key=rank):
        signature = frozenset.intersection(*(found[code].signature for _, found in seen))
        sure = any(found[code].sure for _, found in seen) or len(seen) >= ENOUGH_POINTS
        if signature and sure:
            point, found = next(((p, f) for p, f in seen if f[code].sure), seen[0])
            m = found[code]
            return point, m, m.cause or describe(signature)
    point, found = seen[0]
    general = max(found, key=rank)
    return point, found[general], found[general].cause


def shows(matches: Iterable[Match], key: Key) -> Mapping[str, Match] | None:
    """The match of ``key`` among ``matches``, as a mapping of one; None if it is not there."""
    for m in matches:
        if (m.code, m.argument) == key:
            return {m.code: m}
    return None
