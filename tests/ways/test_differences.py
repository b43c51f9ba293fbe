"""Float slopes: the bound holds the true error, kinks and edges are told, and no more is evaluated than it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from flint import arb, ctx

from gradcheck.bounds import FLOAT_TOLERANCE
from gradcheck.exact.array import exact, lift
from gradcheck.ways.differences import Line, classical, difference, scaled, slope
from gradcheck.ways.numeric import central, sides, smallest_exponent

CASES: dict[str, tuple[Callable[[Any], Any], tuple[float, float]]] = {
    "square": (lambda x: x**2, (-5, 5)),
    "exp": (np.exp, (-5, 5)),
    "sin": (np.sin, (-10, 10)),
    "tanh": (np.tanh, (-3, 3)),
    "log": (np.log, (0.5, 10)),
    "reciprocal": (lambda x: 1 / x, (0.5, 5)),
    "sqrt": (np.sqrt, (0.5, 9)),
    "expit": (scipy.special.expit, (-6, 6)),
    "cube": (lambda x: x**3 - x, (-2, 2)),
    "erf": (scipy.special.erf, (-2, 2)),
    "softplus": (lambda x: np.logaddexp(0, x), (-5, 5)),
    "power": (lambda x: x**2.5, (0.5, 4)),
    "softmax": (lambda x: np.exp(x) / np.exp(x).sum(), (-3, 3)),
    "logsumexp": (lambda x: np.log(np.exp(x).sum()), (-5, 5)),
    "xlogy": (lambda x: x * np.log(x), (0.5, 4)),
    "a large offset": (lambda x: 1e6 + np.tanh(x), (-2, 2)),
    "cancellation": (lambda x: (x * x).mean() - x.mean() ** 2, (100, 101)),
    "fast": (lambda x: np.sin(1000 * x), (-3, 3)),
    "chirp": (lambda x: np.sin(x * x), (-20, 20)),
    "near the edge": (np.log, (1e-6, 1e-3)),
    "near a root": (np.sqrt, (1e-7, 1e-5)),
    "near a kink": (lambda x: np.maximum(x - 1, 0) + x, (0.999, 1.001)),
    "large": (lambda x: x * x, (1e8, 1.1e8)),
    "steep": (np.exp, (50, 100)),
    "flat": (lambda x: np.exp(-x * x), (3, 8)),
}


def test_the_bound_holds_the_true_error() -> None:
    """At random points of well and ill behaved functions, 99.9 percent of the time (the true slope is known from balls)."""
    rng = np.random.default_rng(0)
    outside, total, widths = [], 0, []
    for name, (f, (low, high)) in CASES.items():
        for _ in range(60):
            x = rng.uniform(low, high, 3)
            u, y = rng.uniform(0.5, 2, 3) * scaled(x), f(x)
            v = rng.uniform(0.5, 2, np.shape(y))
            found = slope(Line(lambda ps, f=f: (f(*ps),), [x], {0: u}, (y,)), [v])
            with ctx.workprec(512):
                held = [exact(x)]
                evaluate = lambda ps, f=f: (f(*ps),)  # noqa: E731
                both = sides(evaluate, held, evaluate(held), {0: lift(u)}, smallest_exponent([x]))
                true = central([exact(v)], both)
                error = float(abs(true - arb(found.value)).mid())
            total += 1
            widths.append(found.bound / abs(float(true)))
            if not error <= found.bound:
                outside.append(name)
    assert len(outside) <= total / 1000, outside
    assert np.median(widths) < FLOAT_TOLERANCE


class Counted:
    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f, self.calls = f, 0

    def __call__(self, primals: list[Any]) -> tuple[Any, ...]:
        self.calls += 1
        return (self.f(*primals),)


def test_what_is_expected_is_confirmed_with_four_evaluations() -> None:
    f, x = Counted(np.tanh), np.array([0.5, -1.0])
    line = Line(f, [x], {0: np.ones(2)}, (np.tanh(x),))
    true = float(np.sum(1 / np.cosh(x) ** 2))
    found = slope(line, [np.ones(2)], FLOAT_TOLERANCE * true, true)
    assert f.calls == 4
    assert abs(found.value - true) <= found.bound <= FLOAT_TOLERANCE * true


@pytest.mark.parametrize("wrong", [1.001, 0.0, -1.0])
def test_what_is_not_expected_is_looked_at_with_another_step(wrong: float) -> None:
    f, x = Counted(np.tanh), np.array([0.5, -1.0])
    true = float(np.sum(1 / np.cosh(x) ** 2))
    slope(Line(f, [x], {0: np.ones(2)}, (np.tanh(x),)), [np.ones(2)], FLOAT_TOLERANCE * true, wrong * true)
    assert f.calls == 8


@pytest.mark.parametrize(
    ("f", "x", "below", "above"),
    [
        (lambda x: np.maximum(x, 0), 0.0, 0.0, 1.0),
        (abs, 0.0, -1.0, 1.0),
        (lambda x: np.clip(x, -1, 1), 1.0, 1.0, 0.0),
        (lambda x: np.exp(x) + abs(x), 0.0, 0.0, 2.0),
        (lambda x: 1e3 * x + abs(x - 2), 2.0, 999.0, 1001.0),
    ],
)
def test_a_kink_is_told_with_the_slopes_to_its_sides(f: Callable[[Any], Any], x: float, below: float, above: float) -> None:
    found = slope(Line(lambda ps: (f(*ps),), [np.array([x])], {0: np.ones(1)}), [np.ones(1)])
    assert found.kink
    assert (found.below, found.above) == pytest.approx((below, above), abs=1e-6)
    assert found.bound == np.inf


@pytest.mark.parametrize("f", [np.square, np.cos, lambda x: x**3, lambda x: x * 0, lambda x: 1e9 + x])
def test_smooth_functions_have_no_kink_at_zero(f: Callable[[Any], Any]) -> None:
    assert not slope(Line(lambda ps: (f(*ps),), [np.zeros(1)], {0: np.ones(1)}), [np.ones(1)]).kink


def test_near_the_edge_of_the_domain_the_step_shrinks() -> None:
    x = np.array([2.0**-15])
    found = slope(Line(lambda ps: (np.sqrt(ps[0]),), [x], {0: np.ones(1)}), [np.ones(1)])
    assert found.value == pytest.approx(0.5 / np.sqrt(x[0]), rel=1e-6)
    assert not np.isfinite(slope(Line(lambda ps: (np.log(ps[0]),), [np.zeros(1)], {0: np.ones(1)}), [np.ones(1)]).bound)


def test_longer_floats_have_less_noise() -> None:
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("this platform's longdouble is float64")
    widths = []
    for dtype in (np.float64, np.longdouble):
        line = Line(lambda ps: (1e6 + np.tanh(ps[0]),), [np.array([0.5], dtype)], {0: np.ones(1)})
        widths.append(difference(line, [np.ones(1)], 2.0**-13).noise)
    assert widths[1] < widths[0] / 1000


@pytest.mark.parametrize(("f", "x"), [(np.log, 0.0), (lambda x: x * np.nan, 1.0), (lambda x: 1 / (x * 0), 1.0)])
def test_without_finite_values_the_float_slope_promises_nothing(f: Callable[[Any], Any], x: float) -> None:
    found = classical(lambda ps: (f(*ps),), [np.array([x])], 0, np.ones(1), [np.ones(1)])
    assert not found.bound <= 1.0
    assert (found.way, found.exact) == ("numeric", False)


def test_float_slopes_of_integers_beside_floats() -> None:
    labels, x = np.array([1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    found = classical(lambda ps: (ps[0][np.arange(2), ps[1]],), [x, labels], 0, np.ones((2, 2)), [np.array([1.0, 10.0])])
    assert found.value == pytest.approx(11)
    assert classical(lambda ps: (ps[0],), [np.empty(0)], 0, np.empty(0), [np.empty(0)]).bound == 0
