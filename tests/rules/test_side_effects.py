"""S: each rule fires on code that leaves traces, and is silent on code that does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradcheck.evidence import gather
from gradcheck.points import Point
from gradcheck.rules import match
from gradcheck.subject import TorchCallable

X = {"x": [-1.0, 2.0]}


def relu(x):
    return np.maximum(x, 0)


def relu_vjp(dy, x, y):
    return np.where(x > 0, dy, 0)


def test_silent(look):
    assert not look(relu, relu_vjp, X)


def test_s101_forward(look):
    def forward(x):
        x[x < 0] = 0
        return x

    found = look(forward, relu_vjp, X)
    assert set(found) == {"S101"}
    (m,) = found["S101"]
    assert (m.argument, m.measured["stage"]) == ("x", "forward")


def test_s101_forward_of_a_number(look):
    def forward(x):
        x[x < 0] = 0
        return x.copy()

    assert set(look(forward, relu_vjp, {"x": np.array(-1.0)})) == {"S101"}


def test_s101_backward(look):
    def vjp(dy, x, y):
        x[...] = x > 0
        return dy * x

    (m,) = look(relu, vjp, X)["S101"]
    assert (m.argument, m.measured["stage"]) == ("x", "backward")


def test_s101_an_argument_without_gradient(look):
    def vjp(dy, x, t, y):
        t -= x
        return -2 * dy * t

    found = look(lambda x, t: (x - t) ** 2, vjp, {**X, "t": [1.0, 1.0]}, fixed=("t",))
    assert [(m.code, m.argument) for ms in found.values() for m in ms] == [("S101", "t")]


def test_s101_the_saved_output(look):
    def vjp(dy, x, y):
        y[y > 0] = 1
        return dy * y

    found = look(relu, vjp, X)
    assert [(m.code, m.argument) for ms in found.values() for m in ms] == [("S101", "the output")]


def test_s102(look):
    def vjp(dy, x, y):
        dy[x <= 0] = 0
        return dy

    found = look(relu, vjp, X)
    assert set(found) == {"S102"}
    assert found["S102"][0].argument is None


def test_s104(look):
    rng = np.random.default_rng(0)

    def forward(x):
        return x * (rng.uniform() < 2) + rng.uniform()

    found = look(forward, lambda dy, x, y: dy, X)
    assert "S104" in found
    assert found["S104"][0].argument is None


def torch_codes(function, dtype="float64"):
    subject = TorchCallable("t", function, ("x",), ("x",))
    return [
        (m.code, m.argument, m.measured.get("stage")) for m in match(gather(subject, Point({"x": np.array(X["x"], dtype)}, dtype, seed=1)))
    ]


def cube(backward):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    return type("Cube", (torch.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)}).apply


def right(ctx, dy):
    return dy * 3 * ctx.saved_tensors[0] ** 2


def spoils_cotangent(ctx, dy):
    return dy.mul_(3 * ctx.saved_tensors[0] ** 2)


def spoils_input(ctx, dy):
    g = right(ctx, dy)
    ctx.saved_tensors[0].zero_()
    return g


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_torch_code(dtype):
    assert torch_codes(cube(right), dtype) == []
    assert torch_codes(cube(spoils_cotangent), dtype) == [("S102", None, None)]
    assert torch_codes(cube(spoils_input), dtype) == [("S101", "x", "backward")]
    assert torch_codes(torch.nn.ReLU(inplace=True), dtype) == [("S101", "x", "forward")]
    assert torch_codes(lambda x: torch.relu_(x * 2), dtype) == []
    assert torch_codes(lambda x: x.mul_(1), dtype) == []


def test_s102_beside_exceptions():
    """Where an output is not finite torch is run once more."""
    overflows = cube(lambda ctx, dy: dy.mul_(torch.inf))
    assert ("S102", None, None) in torch_codes(overflows)


def test_s101_the_output_that_torch_code_saved():
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(y := x.exp())
            return y

        @staticmethod
        def backward(ctx, dy):
            return ctx.saved_tensors[0].mul_(dy)

    assert torch_codes(Exp.apply) == [("S101", "the output", "backward")]
