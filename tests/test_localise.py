"""Every entry of a gradient, exact, with the range of the subgradients at kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import ctx

from gradcheck.exact.array import exact
from gradcheck.localise import Local, localise
from gradcheck.ways.numeric import smallest_exponent


def entries(f: Callable[..., Any], x: Any, v: Any, *others: Any, k: int = 0) -> Local:
    primals = [np.array(p, dtype=float) for p in (x, *others)]

    def evaluate(ps: Any) -> tuple[Any, ...]:
        y = f(*ps)
        return y if isinstance(y, tuple) else (y,)

    with ctx.workprec(1024):
        held = [exact(p) for p in primals]
        cotangents = [exact(np.array(c, dtype=float)) for c in (v if isinstance(v, tuple) else (v,))]
        return localise(evaluate, held, evaluate(held), cotangents, k, smallest_exponent(primals))


def floats(balls: np.ndarray) -> Any:
    return np.array([float(a.mid()) for a in balls.ravel()]).reshape(balls.shape)


def test_a_smooth_gradient_entry_by_entry() -> None:
    x, v = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0, 2.0], [-3.0, 0.5]])
    found = entries(np.sin, x, v)
    for balls, expected in (
        (found.numeric, v * np.cos(x)),
        (found.lower, v * np.cos(x)),
        (found.upper, v * np.cos(x)),
        (found.ones, np.cos(x)),
        (found.weight, abs(v * np.cos(x))),
    ):
        assert balls.shape == (2, 2)
        np.testing.assert_allclose(floats(balls), expected, rtol=1e-14)
    assert not found.kink.any()
    assert found.kink.dtype == bool


@pytest.mark.parametrize(
    ("f", "x", "v", "lower", "upper", "kink"),
    [
        (lambda x: np.maximum(x, 0), [-1.0, 0.0, 2.0], [5.0, 5.0, 5.0], [0, 0, 5], [0, 5, 5], [False, True, False]),
        (lambda x: np.maximum(x, 0), [0.0], [-2.0], [-2], [0], [True]),
        (abs, [0.0, 3.0], [1.0, 1.0], [-1, 1], [1, 1], [True, False]),
        (lambda x: x.max(), [2.0, 2.0, 1.0], 3.0, [0, 0, 0], [3, 3, 0], [True, True, False]),
        (lambda x: np.clip(x, -1, 1), [1.0, -1.0, 0.5], [1.0, 1.0, 1.0], [0, 0, 1], [1, 1, 1], [True, True, False]),
        (lambda x: x**2, [0.0, 1.0], [1.0, 1.0], [0, 2], [0, 2], [False, False]),
    ],
)
def test_the_range_of_subgradients(f: Callable[[Any], Any], x: Any, v: Any, lower: Any, upper: Any, kink: Any) -> None:
    found = entries(f, x, v)
    np.testing.assert_allclose(floats(found.lower), lower, atol=1e-30)
    np.testing.assert_allclose(floats(found.upper), upper, atol=1e-30)
    assert found.kink.tolist() == kink


def test_kinks_of_several_outputs_do_not_cancel() -> None:
    found = entries(lambda x: (abs(x), -abs(x)), [0.0], ([1.0], [1.0]))
    assert (floats(found.lower)[0], floats(found.upper)[0], floats(found.weight)[0]) == (-2.0, 2.0, 4.0)


def test_one_kinked_output_among_smooth_ones() -> None:
    found = entries(lambda x: (np.exp(x), np.maximum(x, 0)), [0.0], ([2.0], [1.0]))
    assert floats(found.lower)[0] == pytest.approx(2)
    assert floats(found.upper)[0] == pytest.approx(3)


def test_the_weight_does_not_cancel() -> None:
    found = entries(lambda x: (x, -x), [1.0], ([1.0], [1.0]))
    assert floats(found.numeric)[0] == 0
    assert floats(found.weight)[0] == 2


def test_any_argument_and_shape() -> None:
    w = np.array([[1.0], [3.0]])
    found = entries(lambda x, w: x @ w, [[2.0, 5.0]], [[10.0]], w, k=1)
    np.testing.assert_allclose(floats(found.numeric), [[20.0], [50.0]])
    assert entries(lambda x: x * 2, 3.0, 1.0).numeric.shape == ()
    assert entries(lambda x: x * 2, np.empty((0, 2)), np.empty((0, 2))).numeric.shape == (0, 2)


def test_outside_the_domain_nothing_is_finite() -> None:
    assert not entries(np.log, [0.0], [1.0]).numeric[0].is_finite()
