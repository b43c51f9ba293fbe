"""The automatic mutants of the catalog: a share of them is found at every run, all of them by ``python -m mutants.automatic``."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from gradcheck.catalog import load
from gradcheck.mutation import Mutant

from .automatic import RECORD, every, finding

EQUIVALENTS = tomllib.loads(Path(__file__).with_name("equivalents.toml").read_text(encoding="utf-8"))
SHARE = 6
"""One mutant of so many is tried, another one of each function's."""

EVERY = every()
WRONG = [(name, m) for name, m in EVERY if m.change not in EQUIVALENTS.get(name, {})]
TRIED: dict[str, list[Mutant]] = {}
for _name, _mutant in WRONG[::SHARE]:
    TRIED.setdefault(_name, []).append(_mutant)


@pytest.mark.parametrize("name", TRIED)
def test_a_mutant_is_found(name: str) -> None:
    spec = load().specs[name]
    assert [m.change for m in TRIED[name] if not finding(spec, m)] == []


def test_at_least_300_are_tried() -> None:
    assert sum(map(len, TRIED.values())) >= 300


def test_the_record_is_of_these_mutants_and_only_equivalents_were_not_found() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert {name: row["tried"] for name, row in record.items()} == dict(Counter(name for name, _ in EVERY))
    missed = {(name, change) for name, row in record.items() for change in row["not found"]}
    assert missed == {(name, change) for name, changes in EQUIVALENTS.items() for change in changes}
