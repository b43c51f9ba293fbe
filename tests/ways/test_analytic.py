"""The code under test in floats, watched, and in balls, evaluated once for every number of bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import ctx

from gradcheck.exact.array import ExactArray, exact
from gradcheck.points import Point
from gradcheck.subject import NumpyPair
from gradcheck.ways.analytic import Exactly, FloatRun, copies, differentiable, in_float64, run, watched


def subject(forward: Callable[..., Any], backward: Callable[..., Any] = lambda dy, x: dy, arguments: tuple[str, ...] = ("x",)) -> NumpyPair:
    return NumpyPair("f", forward, backward, arguments, ("x",))


def ran(
    forward: Callable[..., Any], backward: Callable[..., Any] = lambda dy, x: dy, x: Any = (1.0, -2.0), dtype: str = "float64"
) -> FloatRun:
    return run(subject(forward, backward), Point({"x": np.array(x, dtype)}, dtype))


def test_a_clean_run() -> None:
    found = ran(lambda x: x * 2, lambda dy, x: dy * 2)
    assert found.outputs[0].tolist() == [2.0, -4.0]
    assert found.gradients[0].tolist() == (2 * found.cotangents[0]).tolist()
    assert found.flags == (frozenset(), frozenset())
    assert (found.changed, found.changed_cotangent, found.differs, found.failure) == ((), False, False, None)


def change_input(x: Any) -> Any:
    x *= 2
    return x


def change_input_later(dy: Any, x: Any) -> Any:
    x[0] = 5
    return dy


def change_cotangent(dy: Any, x: Any) -> Any:
    dy += 1
    return dy


@pytest.mark.parametrize(
    ("forward", "backward", "changed", "cotangent"),
    [
        (change_input, lambda dy, x: dy, (("forward", "x"),), False),
        (lambda x: x + 0, change_input_later, (("backward", "x"),), False),
        (lambda x: x + 0, change_cotangent, (), True),
        (change_input, change_input_later, (("forward", "x"),), False),
        (lambda x: x + 0, lambda dy, x: np.negative(dy, out=dy), (), True),
        (lambda x: (x.__setitem__(0, x[0]), x + 0)[1], lambda dy, x: dy, (), False),
    ],
)
def test_what_is_written_into_is_seen(forward: Any, backward: Any, changed: tuple[Any, ...], cotangent: bool) -> None:
    point = Point({"x": np.array([1.0, -2.0])})
    found = run(subject(forward, backward), point)
    assert found.changed == changed
    assert found.changed_cotangent is cotangent
    assert point.primals["x"].tolist() == [1.0, -2.0]


def test_a_sign_of_zero_or_a_nan_is_a_change_of_bits() -> None:
    def negate_zero(x: Any) -> Any:
        x *= -1
        return x * 0

    assert ran(negate_zero, x=(0.0, 0.0)).changed == (("forward", "x"),)
    assert ran(lambda x: x * np.nan, x=(1.0,)).differs is False


def test_results_that_differ_from_run_to_run_are_seen() -> None:
    state = [0.0]

    def counting(x: Any) -> Any:
        state[0] += 1e-16
        return x * 0 + state[0]

    assert ran(counting).differs
    assert not ran(lambda x: x * 3).differs


def test_outputs_that_alias_the_input_are_held_apart() -> None:
    found = ran(lambda x: x, change_input_later)
    assert found.outputs[0].tolist() == [1.0, -2.0]
    assert found.changed == (("backward", "x"),)


@pytest.mark.parametrize(
    ("forward", "backward", "stage", "kind", "message"),
    [
        (lambda x: 1 / 0, lambda dy, x: dy, "forward", "raises", "ZeroDivisionError: division by zero"),
        (lambda x: None, lambda dy, x: dy, "forward", "nothing", "the forward returned None"),
        (lambda x: (), lambda dy, x: dy, "forward", "nothing", "the forward returned an empty tuple"),
        (lambda x: np.array([x, None], object), lambda dy, x: dy, "forward", "type", "returned an array of objects (dtype object)"),
        (lambda x: {"a": x}, lambda dy, x: dy, "forward", "type", "returned a dict, which is no array of numbers"),
        (lambda x: x, lambda dy, x: dy[5], "backward", "raises", "IndexError"),
        (lambda x: x, lambda dy, x: None, "backward", "nothing", "the backward returned None"),
        (lambda x: x, lambda dy, x: (dy, dy), "backward", "count", "returned 2 gradients, for 1"),
    ],
)
def test_failures_are_told_with_stage_and_line(forward: Any, backward: Any, stage: str, kind: str, message: str) -> None:
    failure = ran(forward, backward).failure
    assert failure is not None
    assert (failure.stage, failure.kind, failure.path) == (stage, "raises" if kind == "type" else kind, __file__)
    assert message in failure.message
    assert (failure.line is not None) == (kind == "raises")


def test_a_forward_that_only_fails_the_second_time_is_a_failure() -> None:
    calls = []

    def once(x: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("again")
        return x

    failure = ran(once).failure
    assert failure is not None
    assert failure.stage == "forward"


def test_flags_of_each_stage_are_collected_quietly() -> None:
    found = ran(lambda x: np.exp(x * 1000), lambda dy, x: dy / (x - x), x=(1.0,))
    assert "overflow" in found.flags[0]
    assert any("divide" in f or "invalid" in f for f in found.flags[1])
    with watched() as seen:
        np.log(np.zeros(1))
    assert seen == {"divide by zero"}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_everything_goes_in_in_the_dtype_of_the_point(dtype: str) -> None:
    seen = []

    def backward(dy: Any, x: Any) -> Any:
        seen.extend([dy.dtype.name, x.dtype.name])
        return dy

    found = ran(lambda x: x + 0, backward, dtype=dtype)
    assert seen == [dtype, dtype]
    assert found.outputs[0].dtype == dtype
    assert found.cotangents[0].dtype == np.float64


def test_scalars_become_arrays_and_missing_gradients_stay_none() -> None:
    found = run(
        NumpyPair("f", lambda x, y: float(x.sum()), lambda dy, x, y: (None, dy), ("x", "y"), ("x", "y")),
        Point({"x": np.ones(2), "y": np.array(1.0)}),
    )
    assert found.outputs[0].shape == ()
    assert found.gradients[0] is None


def test_exact_evaluations_are_made_once_for_every_number_of_bits() -> None:
    calls: list[int] = []

    def forward(x: Any) -> Any:
        calls.append(ctx.prec)
        return np.exp(x).sum() / 3

    found = Exactly(subject(forward, lambda dy, x: dy * np.exp(x) / 3), [np.array([0.5, 1.0])], (np.array(2.0),))
    for bits in (100, 100, 200, 200):
        with ctx.workprec(bits):
            (value,), (gradient,) = found.value(), found.gradient()
            assert type(value) is type(gradient) is ExactArray
            assert value.balls_[()].rel_accuracy_bits() > bits - 10
    assert calls == [100, 200]
    assert found.steps == 4
    assert found.backward_steps == 4 + 3


def test_exact_primals_are_copied_for_every_call() -> None:
    found = Exactly(subject(change_input, change_input_later), [np.array([1.0, 2.0])], (np.ones(2),))
    found.gradient()
    assert [float(a) for a in found.primals[0].balls_] == [1.0, 2.0]
    assert [float(a) for a in found.cotangents[0].balls_] == [1.0, 1.0]


def test_values_and_gradients_elsewhere() -> None:
    made = NumpyPair("f", lambda x, n, y: x * y * n, lambda dy, x, n, y: (dy * y * n, dy * x * n), ("x", "n", "y"), ("x", "y"))
    found = Exactly(made, [np.array(2.0), 5, np.array(3.0)], (np.array(1.0),))
    assert differentiable(made) == [0, 2]
    x, y, dy = exact(7.0), exact(11.0), exact(1.0)
    assert float(found.value_at([x, y])[0].balls_[()]) == 7 * 11 * 5
    assert [float(g.balls_[()]) for g in found.gradients_at([x, y, dy])] == [55.0, 35.0]


def test_helpers() -> None:
    labels, option = np.array([1, 2]), "mean"
    point = Point({"x": np.ones(2, np.float32), "labels": labels, "how": option}, "float32")
    x, n, how = in_float64(point)
    assert (x.dtype, n.dtype, how) == (np.float64, labels.dtype, "mean")
    copied = copies([labels, option])
    assert copied[0] is not labels
    assert copied[1] is option
