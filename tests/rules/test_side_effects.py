"""S: each rule fires on code that leaves traces, and is silent on code that does not."""

from __future__ import annotations

import itertools
import os
import random
import time

import numpy as np
import pytest
import torch

import gradcheck
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


@pytest.mark.parametrize(
    "factor",
    [
        lambda x: np.random.default_rng().random(x.shape),
        lambda x: np.frombuffer(os.urandom(8 * x.size), np.uint64).reshape(x.shape) / 2.0**64,
        lambda x: RNG.random(x.shape) + np.random.default_rng().random(x.shape),
        lambda x: time.perf_counter(),
        lambda x: next(COUNTER),
        lambda x: random.SystemRandom().random(),
    ],
    ids=["fresh", "system", "both", "time", "counter", "system's"],
)
def test_s104(look, factor):
    found = look(lambda x: x * factor(x), lambda dy, x, y: dy, X)
    assert [m.argument for m in found["S104"]] == [None]
    assert "S105" not in found


RNG, COUNTER = np.random.default_rng(3), itertools.count(1)

DRAWS = {
    "own Generator": lambda layer, x: layer.own.random(x.shape),
    "own Generator, by dtype": lambda layer, x: layer.own.random(x.shape, dtype=x.dtype),
    "own RandomState": lambda layer, x: layer.old.rand(*x.shape),
    "own Random": lambda layer, x: np.array([layer.python.random() for _ in x]),
    "np.random": lambda layer, x: np.random.rand(*x.shape),
    "random": lambda layer, x: np.array([random.random() for _ in x]),
    "global Generator": lambda layer, x: RNG.random(x.shape),
}


class Dropout:
    """Draws its mask in the forward, keeps it for the backward, and may have one slip."""

    def __init__(self, draw, p=0.5, slip=""):
        self.draw, self.p, self.slip = draw, p, slip
        self.own, self.old, self.python = np.random.default_rng(0), np.random.RandomState(2), random.Random(1)

    def forward(self, x):
        self.mask = (self.draw(self, x) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dy, x):
        if self.slip == "drawn again":
            self.mask = (self.draw(self, x) > self.p) / (1 - self.p)
        if self.slip == "inverted":
            return dy * (self.mask == 0) / (1 - self.p)
        return dy * self.mask / (1 - self.p if self.slip == "scaled twice" else 1)


def checked(layer, dtype="float64"):
    return gradcheck.check(layer.forward, layer.backward, np.linspace(0.3, 2, 20).astype(dtype), ignore="N110")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.5, 0.3])
@pytest.mark.parametrize("draw", DRAWS)
def test_s105_a_right_dropout_passes(draw, p, dtype):
    result = checked(Dropout(DRAWS[draw], p), dtype)
    assert (result.verdict, result.measurements["way"]) == ("pass", "exact")
    (note,) = result.findings
    assert (note.code, note.severity, note.argument) == ("S105", "note", None)
    assert note.message == "the code draws random numbers; every evaluation was given the same ones"


@pytest.mark.parametrize(("slip", "code"), [("scaled twice", "G102"), ("inverted", "G101"), ("drawn again", "G101")])
@pytest.mark.parametrize("draw", DRAWS)
def test_s105_a_wrong_dropout_fails_with_its_code(draw, slip, code):
    result = checked(Dropout(DRAWS[draw], slip=slip))
    assert [f.key for f in result.findings] == [(code, "x"), ("S105", None)]
    assert result.verdict == "fail"


def test_s105_a_forward_scaled_twice():
    class Twice(Dropout):
        def forward(self, x):
            return super().forward(x) / (1 - self.p)

    assert [f.code for f in checked(Twice(DRAWS["np.random"])).findings] == ["G102", "S105"]


def test_s105_not_where_nothing_is_drawn(look):
    layer = Dropout(lambda layer, x: np.linspace(0, 1, x.size))
    assert [f.code for f in checked(layer).findings] == []


def test_s105_a_normal_number_that_is_left_over():
    """The twister does not move for it."""
    state = np.random.get_state()
    try:
        np.random.randn()
        result = gradcheck.check(lambda x: x * x + np.random.randn(), lambda dy, x: 2 * dy * x, np.ones(3))
    finally:
        np.random.set_state(state)
    assert [f.code for f in result.findings] == ["S105"]


@pytest.mark.parametrize(("scale", "codes"), [(1, ["S105"]), (2, ["G102", "S105"])])
def test_s105_by_float_differences(scale, codes):
    drawn = []

    def forward(x):
        drawn[:] = [RNG.random()]
        return np.linalg.eigvalsh(np.diag(x)) * drawn[0]

    result = gradcheck.check(forward, lambda dy, x: scale * dy * drawn[0], np.array([1.0, 2.0, 3.0]))
    assert result.measurements["way"] == "float"
    assert [f.code for f in result.findings] == codes


class Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(mask := 2 * (torch.rand(x.shape, dtype=x.dtype) > 0.5))
        return x * mask

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0]


class MaskedTwice(Masked):
    @staticmethod
    def backward(ctx, dy):
        return 2 * dy * ctx.saved_tensors[0]


TORCHS = torch.Generator()
COUNT = itertools.count(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("function", "codes"),
    [
        (torch.nn.Dropout(0.3), ["S105"]),
        (torch.nn.Dropout(0.3).eval(), []),
        (lambda x: torch.nn.functional.dropout(x, 0.5, training=True), ["S105"]),
        (lambda x: x * (torch.rand(x.shape, generator=TORCHS) > 0.5), ["S105"]),
        (lambda x: x * torch.randn(x.shape), ["S105"]),
        (lambda x: x * torch.from_numpy(np.random.rand(*x.shape)).to(x.dtype), ["S105"]),
        (lambda x: x + torch.randn_like(x), ["S105"]),
        (lambda x: x * next(COUNT), ["S104"]),
        (Masked, ["S105"]),
        (MaskedTwice, ["G102", "S105"]),
    ],
)
def test_s105_torch_code(function, codes, dtype):
    result = gradcheck.check(function, torch.linspace(0.3, 2, 20, dtype=dtype), ignore="N")
    assert [f.code for f in result.findings] == codes


def test_s105_draws_that_depend_on_the_dtype_leave_the_arithmetic_open():
    x = torch.linspace(0.3, 2, 20, dtype=torch.float32)
    for function, arithmetic in ((Masked, "inconclusive"), (torch.nn.Dropout(0.5), "pass")):
        result = gradcheck.check(function, x)
        (note,) = result.findings
        assert (result.verdict, result.measurements["arithmetic"]) == ("pass", arithmetic)
        assert ("the arithmetic was not judged" in note.message) == (arithmetic == "inconclusive")


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
