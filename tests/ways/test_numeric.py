"""The numeric way: exact differences equal known derivatives to 30 digits; float ones keep their bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special
from flint import arb, ctx

from gradcheck.exact.array import exact, lift
from gradcheck.ways import numeric
from gradcheck.ways.numeric import Sides, central, contract, kinks, moved, sides, smallest_exponent, suspicious


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    with ctx.workprec(1024):
        yield


def both_sides(f: Callable[..., Any], primals: list[Any], k: int, direction: Any, closer: int = 0) -> Sides:
    def evaluate(ps: list[Any]) -> tuple[Any, ...]:
        y = f(*ps)
        return y if isinstance(y, tuple) else (y,)

    held = [exact(p) for p in primals]
    exponent = smallest_exponent([np.asarray(p) for p in primals]) - closer
    return sides(evaluate, held, evaluate(held), {k: lift(np.asarray(direction))}, exponent)


def slope(f: Callable[..., Any], x: float) -> arb:
    both = both_sides(f, [np.array(x)], 0, 1.0)
    assert not suspicious(both) or not is_kink(f, [np.array(x)], 0, 1.0)
    return central([exact(1.0)], both)


def is_kink(f: Callable[..., Any], primals: list[Any], k: int, direction: Any) -> bool:
    first = both_sides(f, primals, k, direction)
    return suspicious(first) and bool(kinks(first, both_sides(f, primals, k, direction, closer=60)).any())


KNOWN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], tuple[float, ...]]] = {
    "square": (lambda x: x**2, lambda x: 2 * x, (0.0, 1.5, -3.0, 1e4, 5e-324, -1e-310, 1e-5)),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, (0.0, 0.1, -7.0, 1e4, 5e-324)),
    "exp": (np.exp, np.exp, (0.0, 1.0, -20.0, 40.0, 700.0, -745.0, 5e-324)),
    "log": (np.log, lambda x: 1 / x, (0.1, 1.0, 1e4, 1e-300, 5e-324)),
    "sin": (np.sin, np.cos, (0.0, 0.5, 1e4, -3.0, 1e-200)),
    "cos": (np.cos, lambda x: -np.sin(x), (0.0, 0.5, 1e4)),
    "tan": (np.tan, lambda x: 1 + np.tan(x) ** 2, (0.3, 1.5707, -1.0)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, (0.0, 0.5, 20.0, -40.0, 1e-300)),
    "sqrt": (np.sqrt, lambda x: 1 / (2 * np.sqrt(x)), (1e-12, 1.0, 1e4, 5e-324)),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, (1e-5, 3.0, -1e4)),
    "expit": (scipy.special.expit, lambda x: scipy.special.expit(x) * scipy.special.expit(-x), (0.0, 30.0, -30.0, 1e4)),
    "erf": (scipy.special.erf, lambda x: 2 / np.sqrt(exact(np.pi) * 0 + arb.pi()) * np.exp(-x * x), (0.0, 0.7, -3.0)),
    "softplus": (lambda x: np.logaddexp(0, x), scipy.special.expit, (0.0, -50.0, 50.0)),
    "log1p": (np.log1p, lambda x: 1 / (1 + x), (0.0, 1e-300, -0.99, 1e4)),
    "power": (lambda x: x**2.5, lambda x: 2.5 * x**1.5, (0.1, 3.0, 1e4)),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x), (0.0, 1e4, -0.5)),
    "gammaln": (scipy.special.gammaln, scipy.special.digamma, (0.5, 10.0)),
    "constant": (lambda x: x * 0 + 3, lambda x: x * 0, (0.0, 2.0, 1e4)),
    "linear": (lambda x: 3 * x - 1, lambda x: x * 0 + 3, (0.0, 1e4, 5e-324)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_derivatives_to_thirty_digits(name: str) -> None:
    f, derivative, inputs = KNOWN[name]
    for x in inputs:
        bits = 6144 if abs(x) in (1e4, 700.0) or 0 < abs(x) < 1e-100 else 1024
        with ctx.workprec(bits):
            found, true = slope(f, x), derivative(exact(x)).balls_[()]
            assert found.is_finite()
            assert bool(abs(found - true) <= arb(10) ** -30 * (abs(true) + arb(10) ** -40)), (
                f"{name} at {x}: {found.str(40)}, not {true.str(40)}"
            )


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x**2, 0.0),
        (np.cos, 0.0),
        (lambda x: x**4, 0.0),
        (lambda x: x**3, 0.0),
        (lambda x: 1 - np.cos(x), 0.0),
        (lambda x: (x - 1) ** 2, 1.0),
        (lambda x: np.exp(-(x**2)), 0.0),
        (lambda x: x**2 * 1e300, 0.0),
        (np.tanh, 20.0),
        (lambda x: x**2 * 1e-300, 0.0),
        (lambda x: np.exp(x) - x, 0.0),
        (lambda x: np.maximum(x, 0) ** 3, 0.0),
        (lambda x: abs(x) ** 3, 0.0),
        (lambda x: np.where(x > 0, x**3, -(x**3)), 0.0),
    ],
)
def test_smooth_functions_with_no_slope_are_no_kinks(f: Callable[[Any], Any], x: float) -> None:
    assert not is_kink(f, [np.array(x)], 0, 1.0)


KINKS: dict[str, tuple[Callable[[Any], Any], Any, Any, list[float], list[float]]] = {
    "relu": (lambda x: np.maximum(x, 0), [0.0], [1.0], [0.0], [1.0]),
    "relu, downwards": (lambda x: np.maximum(x, 0), [0.0], [-2.0], [-2.0], [0.0]),
    "abs": (abs, [0.0], [1.0], [-1.0], [1.0]),
    "leaky": (lambda x: np.where(x > 0, x, 0.01 * x), [0.0], [1.0], [0.01], [1.0]),
    "clip": (lambda x: np.clip(x, -1, 1), [1.0], [1.0], [1.0], [0.0]),
    "tie of a maximum": (lambda x: x.max(keepdims=True), [2.0, 2.0, 1.0], [1.0, -0.5, 9.0], [-0.5], [1.0]),
    "one of several": (lambda x: np.maximum(x, 0), [-1.0, 0.0, 3.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]),
    "hinge": (lambda x: np.maximum(0, 1 - x), [1.0], [1.0], [-1.0], [0.0]),
    "tiny kink": (lambda x: x + 2.0**-50 * abs(x), [0.0], [1.0], [1.0 - 2.0**-50], [1.0 + 2.0**-50]),
    "far from zero": (lambda x: abs(x - 1e4), [1e4], [1.0], [-1.0], [1.0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_recognised_with_their_one_sided_slopes(name: str) -> None:
    f, x, u, below, above = KINKS[name]
    both = both_sides(f, [np.array(x)], 0, u)
    assert is_kink(f, [np.array(x)], 0, u)
    for found, expected in ((both.minus[0], below), (both.plus[0], above)):
        assert [float(a.mid()) for a in found.ravel()] == pytest.approx(expected, rel=1e-16)
    first, closer = both, both_sides(f, [np.array(x)], 0, u, closer=60)
    assert kinks(first, closer).tolist() == [a != b for a, b in zip(below, above, strict=True)]


def test_a_kink_between_the_input_and_its_neighbour_is_none() -> None:
    assert not is_kink(abs, [np.array(5e-324)], 0, 1.0)
    assert not is_kink(lambda x: np.maximum(x, 0), [np.array([1e-300, -1e-310])], 0, [1.0, 1.0])


def test_several_outputs_and_arguments() -> None:
    x, w = np.array([[1.0, 2.0]]), np.array([[0.5], [-3.0]])
    u = np.array([[1.0], [0.25]])
    both = both_sides(lambda x, w: (x @ w, w.sum(), np.exp(w)), [x, w], 1, u)
    assert [a.shape for a in both.plus] == [(1, 1), (), (2, 1)]
    v = [exact(np.array([[2.0]])), exact(-1.0), exact(np.array([[1.0], [10.0]]))]
    expected = exact(2.0) * (1 * 1 + 2 * 0.25) - 1.25 + np.exp(exact(0.5)) + 10 * 0.25 * np.exp(exact(-3.0))
    found = central(v, both)
    assert bool(abs(found - expected.balls_[()]) < arb(10) ** -40)
    assert bool(abs(contract(v, both.plus) - found) < arb(10) ** -30)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 1, 1)])
def test_any_shape_goes(shape: tuple[int, ...]) -> None:
    both = both_sides(lambda x: x * x, [np.full(shape, 3.0)], 0, np.ones(shape))
    assert both.plus[0].shape == shape
    assert float(central([exact(np.ones(shape))], both)) == pytest.approx(6.0 * np.ones(shape).size, rel=1e-30)
    assert not suspicious(both)


def test_at_the_edge_of_the_domain_the_finite_side_counts() -> None:
    both = both_sides(lambda x: x**1.5, [np.array(0.0)], 0, 1.0)
    assert central([exact(1.0)], both).is_finite()
    assert not suspicious(both)
    infinite = both_sides(np.log, [np.array(0.0)], 0, 1.0)
    assert not central([exact(1.0)], infinite).is_finite()


def test_moving_leaves_what_it_was_given() -> None:
    x, y = exact(np.ones(2)), np.array([1, 2])
    there = moved([x, y, "mean"], {0: lift(np.array([1.0, -1.0]))}, arb(2) ** -10)
    assert x.tolist()[0] == 1
    assert [float(a) for a in there[0].balls_] == [1 + 2.0**-10, 1 - 2.0**-10]
    assert there[1] is y
    assert there[2] == "mean"
    assert moved([exact(1.0)], {0: lift(1.0)}, arb(1))[0].shape == ()


@pytest.mark.parametrize(
    ("primals", "exponent"),
    [
        ([np.array([1.0, 4.0])], 0),
        ([np.array([0.0])], 0),
        ([np.array([0.25, 8.0])], -1),
        ([np.array([5e-324, 1.0])], -1073),
        ([np.ones(2), np.float32([2.0**-20])], -19),
        ([np.array([1, 2]), "mean"], 0),
        ([np.array([np.inf, np.nan, 2.0**-3])], -2),
        ([np.empty(0)], 0),
        ([np.array([1e300])], 0),
    ],
)
def test_the_step_is_below_the_smallest_input(primals: list[Any], exponent: int) -> None:
    assert smallest_exponent(primals) == exponent


def test_the_module_says_what_it_offers() -> None:
    assert all(hasattr(numeric, name) for name in numeric.__all__)
