"""A cause is named only if it holds at every failing point."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.diagnosis import Sightings, again
from gradcheck.points import Point
from gradcheck.rules import Match

GROUP = ("gradient", "x")


def _point(seed: int = 0) -> Point:
    return Point({"x": np.array([1.0, 2.0])}, seed=seed)


def _match(code: str, **more: Any) -> Match:
    return Match(code, "x", code, GROUP, **more)


def _factor(*names: str, sure: bool = True) -> Match:
    return _match("G102", signature=frozenset(names), sure=sure)


def _codes(*seen: list[Match]) -> list[tuple[str, str]]:
    sightings = Sightings()
    for seed, matches in enumerate(seen):
        sightings.add(_point(seed), matches)
    return [(m.code, cause) for _, m, cause in sightings.conclusions()]


def test_the_most_telling_explanation_that_holds_everywhere() -> None:
    everywhere = [_match("G101"), _factor("0.5"), _match("G105")]
    assert _codes(everywhere, everywhere) == [("G105", "")]
    assert _codes(everywhere, [_match("G101"), _factor("0.5")]) == [("G102", "a factor 1/2")]
    assert _codes(everywhere, [_match("G101")]) == [("G101", "")]


def test_a_wrong_shape_at_some_points_is_shown_rather_than_no_explanation() -> None:
    assert _codes([_match("G101")], [_match("G101"), _match("G107")]) == [("G107", "")]
    assert _codes([_match("G101"), _match("G103")], [_match("G101"), _match("G107"), _match("G103")]) == [("G103", "")]


def test_another_factor_elsewhere_is_no_factor() -> None:
    assert _codes([_match("G101"), _factor("0.5")], [_match("G101"), _factor("0.25")]) == [("G101", "")]


def test_what_is_common_to_all_points_is_the_cause() -> None:
    first = [_match("G101"), _factor("0.5", "one over the size of axis 0 of x")]
    second = [_match("G101"), _factor("0.25", "one over the size of axis 0 of x")]
    assert _codes(first, second)[0][0] == "G102"
    assert "one over the size of axis 0 of x" in _codes(first, second)[0][1]


def test_one_entry_cannot_tell_a_factor_from_chance() -> None:
    unsure = [_match("G101"), _factor("0.5", sure=False)]
    assert _codes(unsure)[0][0] == "G101"
    assert _codes(unsure, unsure)[0][0] == "G101"
    assert _codes(unsure, unsure, unsure) == [("G102", "a factor 1/2")]


def test_a_broken_law_follows_from_a_wrong_value() -> None:
    law = Match("V103", None, "law", ("law", "its law"))
    assert _codes([law]) == [("V103", "")]
    assert _codes([law, _match("G101")]) == [("G101", "")]
    value = Match("V101", None, "value", ("value", "0"))
    assert _codes([law], [value]) == [("V101", "")]


def test_findings_without_rivals_are_kept_once_each() -> None:
    overflow = Match("N101", None, "overflow")
    other = Match("N101", "x", "overflow")
    assert _codes([overflow, other], [overflow]) == [("N101", ""), ("N101", "")]


def test_what_was_seen_often_is_shown_at_its_smallest_point() -> None:
    sightings = Sightings()
    for seed, size in enumerate((4, 1, 3)):
        point = Point({"x": np.ones(size), "eps": 0.1}, seed=seed)
        sightings.add(point, [_factor("0.5"), Match("N104", "x", "lost")])
    assert [(p.seed, m.code) for p, m, _ in sightings.conclusions()] == [(1, "G102"), (1, "N104")]


def test_again_wants_the_same_defect() -> None:
    half, third, unsure = _factor("0.5"), _factor("0.333333333"), _factor("0.5", sure=False)
    assert again([third, half], half) is half
    assert again([third], half) is None
    assert again([unsure], half) is None
    assert again([half], unsure) is half
    assert again([_match("G101")], half) is None
    assert again([third], Match("G102", "x", "", signature=frozenset(), sure=False)) is third
