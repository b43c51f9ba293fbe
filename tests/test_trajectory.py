"""Optimizers: a right update rule passes, a wrong one is found against torch or by a law, and what is bound is an update too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Option
from gradcheck.catalog import load
from gradcheck.errors import SpecError
from gradcheck.evidence import gather
from gradcheck.examine import Settings, examine
from gradcheck.findings import Result
from gradcheck.points import Point
from gradcheck.rules import match
from gradcheck.subject import bind, house, reference
from gradcheck.trajectory import OptimizerSpec, along, optimizer

SPECS = {name: made for name, made in load().specs.items() if isinstance(made, OptimizerSpec)}


def judged(name: str, update: Callable[..., Any], torch: bool = True, examples: int = 60) -> Result:
    spec = SPECS[name]
    return examine(bind(spec, update, None), spec, reference(spec) if torch else None, Settings(examples=examples), laws=spec.laws)


def test_the_path_holds_the_weights_after_every_step() -> None:
    path = along(lambda w, g, state, lr: (w - lr * g, None))(np.array([1.0, 2.0]), np.ones((3, 2)), 0.5)
    assert path.tolist() == [[0.5, 1.5], [0.0, 1.0], [-0.5, 0.5]]


def test_a_rule_that_works_in_place_is_followed() -> None:
    def update(w: Any, g: Any, state: Any, lr: float, decay: float) -> Any:
        w -= lr * (g + decay * w)
        return w, None

    assert judged("sgd", update).passed


@pytest.mark.parametrize("name", SPECS)
def test_the_way_is_exact_and_has_no_gradient(name: str) -> None:
    spec = SPECS[name]
    result = examine(house(spec), spec, reference(spec), Settings(examples=5), laws=spec.laws)
    assert (result.verdict.value, result.measurements["way"], result.detects) == ("pass", "exact", None)
    assert result.measurements["confidence"].startswith("there is no gradient to check")


def adam(w: Any, g: Any, state: Any, beta1: float, beta2: float, late: int = 0) -> Any:
    t, m, v = state or (late, 0 * w, 0 * w)
    return t + 1, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g


def test_adam_as_everyone_writes_it_is_right_in_mathematics_and_fails_in_float16() -> None:
    def update(w: Any, g: Any, state: Any, lr: float, beta1: float, beta2: float, eps: float, decay: float) -> Any:
        t, m, v = adam(w, g + decay * w, state, beta1, beta2)
        return w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), (t, m, v)

    found = judged("adam", update, examples=150)
    assert found.measurements["mathematics"] == "pass"
    assert {f.code for f in found.findings} == {"N103", "N104"}  # eps is flushed to 0; squares are lost and overflow


def moved(w: Any, lr: float, v: Any) -> Any:
    return w - lr * v, v


def falling(w: Any, g: Any, state: Any, lr: float, beta1: float, beta2: float, eps: float) -> Any:
    t, m, v = adam(w, g, state, beta1, beta2)
    return w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), (t, m, v)


def averaged(w: Any, g: Any, state: Any, lr: float, mu: float, damping: float) -> Any:
    return moved(w, lr, mu * (0 * g if state is None else state) + (1 - mu) * g)


WRONG: dict[str, tuple[str, Callable[..., Any], bool]] = {
    "momentum of the average": ("momentum", averaged, True),
    "nesterov without the look ahead": ("nesterov", lambda w, g, v, lr, mu: moved(w, lr, g if v is None else mu * v + g), True),
    "the sign of the step": ("sgd", lambda w, g, state, lr, decay: (w + lr * (g + decay * w), None), True),
    "the sign of the step, seen by the laws alone": ("sgd", lambda w, g, state, lr, decay: (w + lr * (g + decay * w), None), False),
    "amsgrad that lets its moment fall, seen by its law alone": ("amsgrad", falling, False),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_rule_is_found(what: str) -> None:
    name, update, torch = WRONG[what]
    codes = {f.code for f in judged(name, update, torch).findings if f.code[0] == "V"}
    assert codes == ({"V101"} if torch else {"V103"}) or codes == {"V101", "V103"}


def test_a_rule_may_be_checked_by_the_name_of_its_spec() -> None:
    result = gradcheck.check(spec="sgd", forward=lambda w, g, state, lr, decay: (w - lr * (g + decay * w), None), examples=20)
    assert result.passed


def test_an_update_with_other_parameters_than_declared_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"test_trajectory.py:\d+: optimizer 'odd' declares the options \['lr'\], but its update takes"):
        optimizer("odd", torch=lambda p, lr: None, lr=Option(0.1))(lambda w, g, lr: (w, None))


def test_a_reference_that_is_had_in_floats_alone_is_no_judge_of_what_underflows() -> None:
    """Decay times a subnormal weight is nothing in float64, where torch runs, and 1e-8 of a step in exact arithmetic."""
    spec = load().specs["adam"]
    options = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": 0.01}
    point = Point({"weights": np.full(3, 5e-324), "gradients": np.zeros((1, 3)), **options}, "float64", 0)
    assert [m.code for m in match(gather(house(spec), point, reference(spec), ()))] == []
