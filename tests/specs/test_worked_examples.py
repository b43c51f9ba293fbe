"""The worked examples of the mission, each by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck.catalog import load
from gradcheck.ways.differences import classical

SPECS = load().specs


def f(name: str, *primals: Any) -> Any:
    """The value of the spec ``name``."""
    return SPECS[name].forward(*primals)


def vjp(name: str, dy: Any, *primals: Any) -> Any:
    return SPECS[name].backward(dy, *primals, f(name, *primals))  # type: ignore[misc]


def test_sigmoid_over_linspace_minus_100_to_50_in_10_steps() -> None:
    x = np.linspace(-100, 50, 10)
    expected = [1 / (1 + math.exp(-a)) for a in x]  # no overflow before e^709
    np.testing.assert_allclose(f("sigmoid", x), expected, rtol=1e-14)
    np.testing.assert_allclose(f("sigmoid", x)[[0, 6, 9]], [3.720075976020836e-44, 0.5, 1.0], rtol=1e-15)


def test_the_derivative_of_sigmoid_is_at_most_a_quarter_at_zero() -> None:
    x = np.linspace(-20, 20, 401)
    slopes = vjp("sigmoid", np.ones_like(x), x)
    assert (slopes.max(), x[slopes.argmax()]) == (0.25, 0)


@pytest.mark.parametrize(
    ("probabilities", "bits"), [([0.25] * 4, 2), ([0.1, 0.1, 0.1, 0.7], 1.3568), ([0.001, 0.001, 0.001, 0.999], 0.0313)]
)
def test_entropy_in_bits(probabilities: list[float], bits: float) -> None:
    assert round(float(f("entropy", np.array([probabilities]), 2)[0]), 4) == bits


def test_a_one_hot_row_has_no_entropy() -> None:
    assert f("entropy", np.array([[0.0, 1, 0]]), 2)[0] == 0


def test_labels_0_1_smoothed_by_a_tenth() -> None:
    np.testing.assert_allclose(f("label_smoothing", np.array([0.0, 1]), 0.1), [0.05, 0.95], rtol=1e-15)


def test_the_slope_of_a_parabola_and_its_tangent_line() -> None:
    """0.01 x^2 + 0.1 x at 5: a value of 0.75, a slope of 0.2, a tangent through -0.25."""

    def parabola(x: Any) -> Any:
        return 0.01 * x**2 + 0.1 * x

    x = np.array([5.0])
    slope = classical(lambda p: (parabola(p[0]),), [x], 0, np.array([1.0]), [np.array([1.0])])
    assert abs(slope.value - 0.2) <= slope.bound + 1e-15
    assert gradcheck.check(parabola, lambda dy, x: dy * 0.2, x, select="G").passed
    assert not gradcheck.check(parabola, lambda dy, x: dy * 0.2001, x, select="G").passed
    assert math.isclose(parabola(5.0) - 0.2 * 5, -0.25)


def descent(lr: float, steps: int) -> np.ndarray:
    """The path of gradient descent on x0^2 + x1^2 from (-3, 4); its curvature is 2 in every direction."""
    start = np.array([-3.0, 4.0])
    return np.stack([f("gradient_descent", start, np.full(2, 2.0), lr, n) for n in range(steps + 1)])


def test_descent_at_a_rate_of_0_9_converges_and_swings() -> None:
    path = descent(0.9, 100)
    assert np.linalg.norm(path[-1]) < 1e-8
    assert (np.sign(path[1:]) == -np.sign(path[:-1])).all()


def test_descent_at_a_rate_of_1_1_diverges() -> None:
    lengths = np.linalg.norm(descent(1.1, 50), axis=1)
    assert (np.diff(lengths) > 0).all()
    assert lengths[-1] > 1e4


def test_descent_at_a_rate_of_1e_10_barely_moves() -> None:
    moved = np.linalg.norm(descent(1e-10, 20)[-1] - [-3, 4])
    assert 0 < moved < 1e-7


@pytest.mark.parametrize(("steps", "lr"), [(20, 0.1), (20, 0.9), (5, 1.1)])
def test_the_closed_form_of_descent_is_what_torch_does(steps: int, lr: float) -> None:
    weights = torch.nn.Parameter(torch.tensor([-3.0, 4.0], dtype=torch.float64))
    rule = torch.optim.SGD([weights], lr)
    for _ in range(steps):
        rule.zero_grad()
        (weights**2).sum().backward()
        rule.step()
    np.testing.assert_allclose(descent(lr, steps)[-1], weights.detach().numpy(), rtol=1e-12)


def test_least_squares_and_the_mean_squared_error_differ_by_2_over_n() -> None:
    y, t = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    assert f("half_sum_squares", y, t) == f("mse", y, t, "mean") * 6 / 2


@pytest.mark.parametrize(("dtype", "threshold"), [("float16", 11.09), ("float32", 88.72), ("float64", 709.78)])
def test_softmax_without_the_shift_overflows_from_the_largest_logarithm_on(dtype: str, threshold: float) -> None:
    """The exact threshold is the logarithm of the largest number: below it softmax is right, at the next float it is not."""
    largest = np.log(np.longdouble(np.finfo(dtype).max))
    assert math.isclose(float(largest), threshold, abs_tol=0.005)
    (exhibit,) = [e for e in SPECS["softmax"].exhibits if "N101" in e.expects and "shift" in e.title]

    def codes(top: Any) -> set[str]:
        x = np.array([[top, 0.0]], dtype=dtype)
        result = gradcheck.check(exhibit.body, lambda dy, x: vjp("softmax", dy, x), x, select="N101")
        return {f.code for f in result.findings}

    over = np.nextafter(np.array(largest, dtype=dtype), np.array(np.inf, dtype=dtype))
    assert codes(over) == {"N101"}
    assert codes(over - np.array(2, dtype=dtype)) == set()
    assert gradcheck.check(SPECS["softmax"].forward, lambda dy, x: vjp("softmax", dy, x), np.array([[over, 0.0]], dtype=dtype)).passed


def test_the_error_of_a_difference_falls_with_the_step_and_rises_again() -> None:
    """Truncation on one side, rounding on the other: sin at 1, central differences in float64."""
    steps = 10.0 ** -np.arange(1, 16)
    errors = np.abs((np.sin(1 + steps) - np.sin(1 - steps)) / (2 * steps) - np.cos(1))
    best = int(errors.argmin())
    assert 1e-7 < steps[best] < 1e-4
    assert (np.diff(errors[:4]) < 0).all()
    assert errors[-1] > 1e3 * errors[best]
