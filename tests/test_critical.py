"""Critical points: the Hessian by three ways, and what its eigenvalues say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck.errors import UsageError


def paraboloid(x: Any) -> Any:
    return (x * x).sum() + 2 * x[0] + 4 * x[1] - 6 * x[2]


def test_the_worked_example_has_its_minimum_of_minus_14() -> None:
    found = gradcheck.critical_point(paraboloid, [-1.0, -2, 3], hessian=lambda x: 2 * np.eye(3), torch=paraboloid)
    assert (found.kind, found.value, found.agree) == ("minimum", -14, True)
    assert list(found.hessians) == ["numeric", "analytic", "autograd"]
    for hessian in found.hessians.values():
        np.testing.assert_array_equal(hessian, np.diag([2, 2, 2]))
    np.testing.assert_array_equal(found.eigenvalues, [2, 2, 2])
    np.testing.assert_array_equal(found.gradient, [0, 0, 0])


@pytest.mark.parametrize(
    ("function", "at", "kind"),
    [
        (lambda x: -(x * x).sum(), [0.0, 0], "maximum"),
        (lambda x: x[0] * x[1], [0.0, 0], "saddle"),
        (lambda x: x[0] ** 2 - x[1] ** 2 + x[2] ** 4, [0.0, 0, 0], "saddle"),
        (lambda x: x[0] ** 4, [0.0], "degenerate"),
        (lambda x: x[0] ** 2 + x[1] ** 3, [0.0, 0], "degenerate"),
        (lambda x: x[0] ** 2, [1e-3], "not critical"),
        (lambda x: (3 * x[0] - 1) ** 2 + np.cos(x[1]), [1 / 3, np.pi], "minimum"),  # neither is a float
        (lambda x: np.exp(x[0]) - x[0], [0.0], "minimum"),
        (lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [1.0, 1], "minimum"),
    ],
)
def test_what_a_point_is(function: Any, at: list[float], kind: str) -> None:
    assert gradcheck.critical_point(function, at).kind == kind


def test_a_wrong_hessian_does_not_agree() -> None:
    wrong = gradcheck.critical_point(paraboloid, [-1.0, -2, 3], hessian=lambda x: (2 + 1e-12) * np.eye(3))
    assert not wrong.agree
    assert not gradcheck.critical_point(paraboloid, [-1.0, -2, 3], hessian=lambda x: np.eye(2)).agree
    assert not gradcheck.critical_point(paraboloid, [-1.0, -2, 3], torch=lambda x: (x * x).sum() * 1.01).agree


@pytest.mark.parametrize(
    ("function", "at", "message"),
    [
        (np.sin, [1.0, 2], "only a scalar one"),
        (np.sum, [[1.0]], "the shape (1, 1)"),
        (np.sum, [np.nan], "give finite numbers"),
        (np.sum, "a", "no vector of numbers"),
    ],
)
def test_what_has_no_critical_points_is_told(function: Any, at: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        gradcheck.critical_point(function, at)
    assert message in str(raised.value)
