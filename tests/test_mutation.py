"""Wrong variants of a function: each slip by itself, in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.mutation import mutants

EPS = 1e-5


def gradient(dy: Any, x: Any, w: Any) -> Any:
    centred = -(x - np.mean(x, axis=0))
    return np.where(x > 0, dy @ w.T, 0) / (np.sum(centred**2) + EPS)


def test_every_kind_of_slip_is_made() -> None:
    made = {(m.kind, m.change) for m in mutants(gradient)}
    assert made == {
        ("sign", "-(x - np.mean(x, axis=0)) -> x - np.mean(x, axis=0)"),
        ("term", "x - np.mean(x, axis=0) -> x"),
        ("term", "x - np.mean(x, axis=0) -> -np.mean(x, axis=0)"),
        ("sign", "x - np.mean(x, axis=0) -> x + np.mean(x, axis=0)"),
        ("sum", "np.mean(x, axis=0) -> x"),
        ("factor", "np.where(x > 0, dy @ w.T, 0) / (np.sum(centred ** 2) + EPS) -> np.where(x > 0, dy @ w.T, 0)"),
        ("mask", "np.where(x > 0, dy @ w.T, 0) -> dy @ w.T"),
        ("mask", "np.where(x > 0, dy @ w.T, 0) -> 0"),
        ("mask", "x > 0 -> x <= 0"),
        ("upstream", "dy -> 0 * dy + 1"),
        ("transpose", "w.T -> w"),
        ("term", "np.sum(centred ** 2) + EPS -> np.sum(centred ** 2)"),
        ("term", "np.sum(centred ** 2) + EPS -> EPS"),
        ("sign", "np.sum(centred ** 2) + EPS -> np.sum(centred ** 2) - EPS"),
        ("sum", "np.sum(centred ** 2) -> centred ** 2"),
        ("factor", "centred ** 2 -> centred"),
        ("eps", "EPS -> 0.0"),
    }


def test_a_mutant_runs_with_its_slip_and_names_its_line() -> None:
    x, w, dy = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 4))
    (flipped,) = [m for m in mutants(gradient) if m.change == "x > 0 -> x <= 0"]
    assert gradient(dy, x, w).any()
    assert not flipped.function(dy, x, w).any()
    assert flipped.line == gradient.__code__.co_firstlineno + 2
    assert flipped.function.__code__.co_filename == __file__


def test_the_same_slip_in_two_places_makes_two_mutants() -> None:
    def twice(dy: Any, x: Any) -> Any:
        return dy * x + np.sin(dy * x)

    assert [m.change for m in mutants(twice) if m.before == "dy * x" and m.after == "x"] == ["dy * x -> x", "dy * x -> x (2)"]


def test_defaults_stay() -> None:
    def scaled(dy: Any, factor: float = 3.0) -> Any:
        return dy * factor

    (dropped,) = [m for m in mutants(scaled) if m.after == "factor"]
    assert dropped.function(5.0) == 3.0


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Python function"):
        list(mutants(np.sin))
    with pytest.raises(TypeError, match="was not written with def"):
        list(mutants(lambda x: x))
