"""Every row that the mission asks for has its specs, and every spec its row."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

from click.testing import CliRunner

from gradcheck.catalog import load
from gradcheck.cli import main

ROWS = tomllib.loads(Path(__file__).with_name("rows.toml").read_text(encoding="utf-8"))
NAMED = [name for family in ROWS.values() for specs in family.values() for name in specs]


def test_every_row_is_listed() -> None:
    shown = CliRunner().invoke(main, ["list", "--json"])
    listed = {entry["name"] for entry in json.loads(shown.stdout)}
    assert [name for name in NAMED if name not in listed] == []


def test_every_spec_has_a_row() -> None:
    assert [name for name in load().specs if name not in NAMED] == []


def test_only_relu_and_sigmoid_stand_in_two_rows() -> None:
    assert sorted(name for name, times in Counter(NAMED).items() if times > 1) == ["relu", "sigmoid"]
