"""Second derivatives: pages with an hvp, and backwards that are differentiated again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck import Real, second_order, spec
from gradcheck.errors import SpecError
from gradcheck.examine import Settings, examine
from gradcheck.function_spec import FunctionSpec
from gradcheck.subject import house, reference

X = np.array([0.5, -1.0, 2.0])


def made(hvp: Any, scalar: bool = True) -> FunctionSpec:
    @spec("cubes", family="test", x=Real("n", upto=8), torch=lambda x: (x**3).sum() if scalar else x**3)
    def cubes(x: Any) -> Any:
        """sum x^3."""
        return (x**3).sum() if scalar else x**3

    @cubes.vjp
    def _(dy: Any, x: Any, y: Any) -> Any:
        return dy * 3 * x * x

    made: FunctionSpec = second_order.hvp(cubes)(hvp)
    return made


def found(hvp: Any) -> Any:
    page = made(hvp)
    return examine(house(page), page, reference(page), Settings(examples=20), laws=page.laws)


def test_a_page_with_an_hvp_is_checked_three_ways_and_has_a_symmetric_hessian() -> None:
    result = found(lambda v, x: 6 * x * v)
    assert (result.verdict.value, result.findings) == ("pass", ())
    assert result.measurements["laws"] == {"the Hessian is symmetric": "pass"}
    assert set(result.measurements["float_errors"]) == {"autograd", "classical"}
    assert result.name == "cubes_hvp"


@pytest.mark.parametrize(
    ("hvp", "cause"),
    [
        (lambda v, x: 3 * x * v, "gradient off by a constant factor: a factor 1/2"),
        (lambda v, x: -6 * x * v, "sign of the gradient"),
        (lambda v, x: 0 * v, "zero or missing gradient"),
        (lambda v, x: 6 * x, "upstream gradient ignored"),
    ],
)
def test_what_is_wrong_with_a_second_derivative_is_g113_and_its_cause(hvp: Any, cause: str) -> None:
    (wrong,) = [f for f in found(hvp).findings if f.code[0] == "G"]
    assert wrong.code == "G113"
    assert cause in wrong.cause


def test_a_hessian_that_is_not_symmetric_breaks_the_law() -> None:
    result = found(lambda v, x: 6 * x * v + np.arange(len(x)) * v.sum())
    assert result.measurements["laws"] == {"the Hessian is symmetric": "fail"}
    assert not result.passed


def test_only_a_scalar_function_with_a_vjp_has_an_hvp() -> None:
    page = made(lambda v, x: 6 * x * v, scalar=False)
    with pytest.raises(SpecError, match="only a scalar function has a Hessian"):
        page.forward(X)

    @spec("no_vjp", family="test", x=Real("n"), torch=lambda x: x.sum())
    def no_vjp(x: Any) -> Any:
        return x.sum()

    with pytest.raises(SpecError, match="has no vjp; its hvp comes after it"):
        second_order.hvp(no_vjp)(lambda v, x: v)


class Cube(torch.autograd.Function):
    """Its backward can be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * dy


class Kept(torch.autograd.Function):
    """Its backward uses what the forward worked out: right once, and zero when differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.slope = 3 * x * x
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        return ctx.slope * dy


class Half(Cube):
    """Detached in part: the second derivative is half of what it should be."""

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x.detach() * dy


TWICE = {"Cube": Cube.apply, "tanh": torch.tanh, "softmax": lambda x: torch.softmax(x, -1), "two outputs": lambda x: (x.sin(), x.cos())}


@pytest.mark.parametrize("function", TWICE.values(), ids=TWICE)
def test_torch_code_that_can_be_differentiated_twice_passes(function: Any) -> None:
    result = gradcheck.check(function, torch.tensor(X), order=2)
    assert (result.passed, result.measurements["way"]) == (True, "exact")


@pytest.mark.parametrize(("function", "cause"), [(Kept.apply, "missing"), (Half.apply, "a factor 1/2")])
def test_a_backward_that_is_right_once_and_wrong_when_differentiated_is_found(function: Any, cause: str) -> None:
    assert gradcheck.check(function, torch.tensor(X)).passed
    (wrong,) = gradcheck.check(function, torch.tensor(X), order=2).findings
    assert (wrong.code, wrong.argument) == ("G113", "x")
    assert cause in wrong.cause


def test_a_gradient_and_its_product_are_checked_as_a_pair() -> None:
    assert gradcheck.check(lambda x: 3 * x * x, lambda v, x: 6 * x * v, X, order=2).passed
    (wrong,) = gradcheck.check(lambda x: 3 * x * x, lambda v, x: 3 * x * v, X, order=2).findings
    assert wrong.code == "G113"
    assert not gradcheck.check(lambda x: 3 * x * x, lambda v, x: 3 * x * v, X, order=2, select="G113").passed
    assert gradcheck.check(lambda x: 3 * x * x, lambda v, x: 3 * x * v, X, order=2, ignore="G113").passed


def test_an_order_that_is_none_is_told() -> None:
    with pytest.raises(gradcheck.GradcheckError, match="order=3; give 1 or 2"):
        gradcheck.check(np.sin, np.cos, X, order=3)
