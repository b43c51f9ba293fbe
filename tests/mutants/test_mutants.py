"""Every mutant is found, named, and blamed on the right argument; every valid variant is left alone."""

from __future__ import annotations

import pytest

from gradcheck.examine import Settings, examine
from gradcheck.findings import Severity
from gradcheck.rules import rules
from gradcheck.subject import NumpyPair, reference

from . import activations, layers, losses
from .registry import MUTANTS, SPECS, Mutant

FAMILIES = (activations, layers, losses)

MUST = {f"G{n}" for n in (101, 102, 103, 104, 105, 106, 107, 109, 111, 112)} | {"S101", "S102", "V101", "V102", "V103", "V104"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_is_found_and_named(mutant: Mutant) -> None:
    spec = SPECS[mutant.spec]
    forward, backward = mutant.forward or spec.forward, mutant.backward or spec.backward
    subject = NumpyPair(mutant.id, forward, backward, tuple(spec.arguments), spec.differentiable, "mutant")
    result = examine(subject, spec, reference(spec) if mutant.reference else None, Settings(examples=100), laws=spec.laws)
    found = {f.key for f in result.findings if f.severity is not Severity.NOTE}
    shown = [(f.code, f.argument, f.message, f.cause, f.measured) for f in result.findings]
    assert mutant.expects <= found <= mutant.expects | mutant.also, shown
    assert result.measurements["way"] == "exact", result.measurements["why_not_exact"]
    assert not mutant.cause or any(mutant.cause in f.cause for f in result.findings), shown
    assert all(f.example is not None for f in result.findings)


def test_cover_the_rules() -> None:
    assert sum(m.forward is None for m in MUTANTS) >= 60
    assert MUST <= {code for m in MUTANTS for code, _ in m.expects} <= set(rules())


def test_have_names_of_their_own() -> None:
    assert len({m.id for m in MUTANTS}) == len(MUTANTS)
