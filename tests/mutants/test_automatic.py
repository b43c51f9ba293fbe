"""The automatic mutants of the catalog: a share of them is found at every run, all of them by ``python -m mutants.automatic``."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gradcheck.catalog import load
from gradcheck.mutation import Mutant

from .automatic import every, finding

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


def test_every_equivalent_is_a_mutant() -> None:
    known = {(name, m.change) for name, m in EVERY}
    assert [(name, change) for name, changes in EQUIVALENTS.items() for change in changes if (name, change) not in known] == []
