"""From what the rules saw at many points to one cause: named only if it holds at every point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck.points import Point
from gradcheck.rules import Match, rank
from gradcheck.rules.factors import describe

ENOUGH_POINTS = 3
"""An explanation that no single point can tell from chance counts when its signature (a factor,
say) is the same at so many."""

EVERYWHERE = frozenset({"G103", "G104", "G112"})
"""Slips that spare no point: one right gradient that is not zero, with the same options, refutes them."""

FACT, GENERAL = "G107", "G101"
"""A wrong shape, be it at some points only, is a fact: it is shown rather than that there is no explanation."""

FORWARD = ("V101", "V102", "V104")
"""The codes that say that the forward is not the reference."""


Options = tuple[tuple[str, str], ...]


@dataclass
class Sightings:
    """The matches of all points so far: rivals by group, the others by code and argument."""

    rivals: dict[tuple[str, ...], list[tuple[Point, dict[str, Match]]]] = field(default_factory=dict)
    single: dict[tuple[str, str | None], tuple[Point, Match]] = field(default_factory=dict)
    right: dict[tuple[str, ...], dict[Options, frozenset[str]]] = field(default_factory=dict)

    def add(self, point: Point, matches: Iterable[Match], right: Mapping[str, frozenset[str]] | None = None) -> None:
        """Note what was seen at ``point``; ``right`` as given by ``right_gradients``."""
        for argument, names in (right or {}).items():
            known = self.right.setdefault(("gradient", argument), {})
            known[_options(point)] = known.get(_options(point), names) & names
        here: dict[tuple[str, ...], dict[str, Match]] = {}
        for m in matches:
            if m.group:
                here.setdefault(m.group, {})[m.code] = m
            elif m.key not in self.single or _entries(point) < _entries(self.single[m.key][0]):
                self.single[m.key] = point, m
        for group, codes in here.items():
            self.rivals.setdefault(group, []).append((point, codes))

    def conclusions(self) -> list[tuple[Point, Match, str]]:
        """One (smallest point, match, cause) for every defect, the most telling first.

        A broken law is not reported beside a wrong value or gradient: it follows from it. Nor is
        a gradient that is right for the reference beside a wrong value.
        """
        groups = self.rivals
        if any(m.code in FORWARD for seen in groups.values() for _, found in seen for m in found.values()):
            groups = {g: seen for g, seen in groups.items() if not all(m.by_forward for _, found in seen for m in found.values())}
        chosen = [_consensus(seen, self.right.get(group, {})) for group, seen in groups.items()]
        chosen += [(point, m, m.cause) for point, m in self.single.values()]
        wrong = any(m.code[0] in "VG" and m.code not in ("V103", "G115") for _, m, _ in chosen)
        kept = [c for c in chosen if not (wrong and c[1].code == "V103")]
        return sorted(kept, key=lambda c: (rank(c[1].code), c[1].argument or ""))


def _entries(point: Point) -> int:
    """Numbers in all arguments that are arrays: what a reader has to look at."""
    return sum(np.size(value) for value in point.primals.values() if isinstance(value, np.ndarray))


def _options(point: Point) -> Options:
    """The arguments that are no arrays: with others the function is another one."""
    return tuple((name, repr(value)) for name, value in point.primals.items() if not isinstance(value, np.ndarray))


def _consensus(seen: list[tuple[Point, dict[str, Match]]], right: Mapping[Options, frozenset[str]]) -> tuple[Point, Match, str]:
    """The most telling explanation that holds at every wrong point, and that no right point refutes.

    A point that is wrong at a kink alone, where much is possible, counts only if there are no others.
    """
    seen = [(p, found) for p, found in seen if "G109" not in found] or seen
    seen = sorted(seen, key=lambda s: _entries(s[0]))
    codes = set.intersection(*(set(found) for _, found in seen))
    if any(FACT in found for _, found in seen):
        codes.discard(GENERAL)
    refuting = [right[options] for options in {_options(p) for p, _ in seen} if options in right]
    for code in sorted(codes - EVERYWHERE if refuting else codes, key=rank):
        signature = frozenset.intersection(*(found[code].signature for _, found in seen))
        if code == "G102":
            signature = signature.intersection(*refuting)
        repeated = len(seen) >= ENOUGH_POINTS and "" not in signature
        if signature and (repeated or any(found[code].sure for _, found in seen)):
            point, found = next(((p, f) for p, f in seen if f[code].sure), seen[0])
            m = replace(found[code], signature=signature)
            return point, m, m.cause or describe(signature)
    point, found = next(((p, f) for p, f in seen if FACT in f), seen[0])
    general = FACT if FACT in found else max(found, key=rank)
    return point, found[general], found[general].cause


def again(matches: Iterable[Match], first: Match) -> Match | None:
    """The match among ``matches`` that shows the same defect as ``first``, no less surely; or None.

    The same defect has the same signature: a factor 1/2 is no factor 1/3. None in ``first`` stands for any.
    """
    for m in matches:
        if m.key == first.key and (m.sure or not first.sure) and (not first.signature or m.signature & first.signature):
            return m
    return None
