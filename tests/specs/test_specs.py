"""The catalog's own pages: every house form passes, in exact arithmetic, and each exhibit shows what it expects at any seed."""

from __future__ import annotations

import pytest

from gradcheck.catalog import load
from gradcheck.examine import Settings, examine
from gradcheck.function_spec import Exhibit, FunctionSpec
from gradcheck.subject import house, on_show, reference

SPECS = load().specs
EXHIBITS = {f"{spec.name}: {exhibit.title}": (spec, exhibit) for spec in SPECS.values() for exhibit in spec.exhibits}
ANOTHER_SEED = 7


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_house_form_passes_exactly(spec: FunctionSpec) -> None:
    result = examine(house(spec), spec, reference(spec), Settings(examples=10, seed=ANOTHER_SEED), laws=spec.laws)
    assert [(f.code, f.argument) for f in result.findings if f.severity.value != "note"] == []
    assert (result.measurements["way"], result.measurements["why_not_exact"]) == ("exact", [])
    assert result.measurements["mathematics"] == "pass"


@pytest.mark.parametrize(("spec", "exhibit"), EXHIBITS.values(), ids=EXHIBITS)
def test_an_exhibit_shows_just_what_it_expects_at_another_seed(spec: FunctionSpec, exhibit: Exhibit) -> None:
    settings = Settings(examples=30, seed=ANOTHER_SEED)
    result = examine(on_show(spec, exhibit), spec, reference(spec), settings, kind="exhibit", exhibit=exhibit)
    assert result.measurements["found"] == result.measurements["expects"]
