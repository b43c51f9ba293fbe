"""From what the rules saw at many points to one cause: named only if it holds at every point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradcheck.points import Point
from gradcheck.rules import Match, rank
from gradcheck.rules.factors import describe

ENOUGH_POINTS = 3
"""An explanation that no single point can tell from chance counts when its signature (a factor,
say) is the same at so many."""

FORWARD = ("V101", "V102", "V104")
"""The codes that say that the forward is not the reference."""


@dataclass
class Sightings:
    """The matches of all points so far: rivals by group, the others by code and argument."""

    rivals: dict[tuple[str, ...], list[tuple[Point, dict[str, Match]]]] = field(default_factory=dict)
    single: dict[tuple[str, str | None], tuple[Point, Match]] = field(default_factory=dict)

    def add(self, point: Point, matches: Iterable[Match]) -> None:
        here: dict[tuple[str, ...], dict[str, Match]] = {}
        for m in matches:
            if m.group:
                here.setdefault(m.group, {})[m.code] = m
            else:
                self.single.setdefault(m.key, (point, m))
        for group, codes in here.items():
            self.rivals.setdefault(group, []).append((point, codes))

    def conclusions(self) -> list[tuple[Point, Match, str]]:
        """One (first point, match, cause) for every defect, the most telling first.

        A broken law is not reported beside a wrong value or gradient: it follows from it. Nor is
        a gradient that is right for the reference beside a wrong value.
        """
        groups = list(self.rivals.values())
        if any(m.code in FORWARD for seen in groups for _, found in seen for m in found.values()):
            groups = [seen for seen in groups if not all(m.by_forward for _, found in seen for m in found.values())]
        chosen = [_consensus(seen) for seen in groups]
        chosen += [(point, m, m.cause) for point, m in self.single.values()]
        wrong = any(m.code[0] in "VG" and m.code not in ("V103", "G115") for _, m, _ in chosen)
        kept = [c for c in chosen if not (wrong and c[1].code == "V103")]
        return sorted(kept, key=lambda c: (rank(c[1].code), c[1].argument or ""))


def _consensus(seen: list[tuple[Point, dict[str, Match]]]) -> tuple[Point, Match, str]:
    """The most telling explanation that holds at every point; at a kink, where all is possible, only if there are no others."""
    seen = [(p, found) for p, found in seen if "G109" not in found] or seen
    codes = set.intersection(*(set(found) for _, found in seen))
    for code in sorted(codes, key=rank):
        signature = frozenset.intersection(*(found[code].signature for _, found in seen))
        repeated = len(seen) >= ENOUGH_POINTS and "" not in signature
        if signature and (repeated or any(found[code].sure for _, found in seen)):
            point, found = next(((p, f) for p, f in seen if f[code].sure), seen[0])
            m = found[code]
            return point, m, m.cause or describe(signature)
    point, found = seen[0]
    general = max(found, key=rank)
    return point, found[general], found[general].cause


def again(matches: Iterable[Match], first: Match) -> Match | None:
    """The match among ``matches`` that shows the same defect as ``first``, no less surely; or None."""
    for m in matches:
        if m.key == first.key and (m.sure or not first.sure):
            return m
    return None
