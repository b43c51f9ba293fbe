"""S: each rule fires on code that leaves traces, and is silent on code that does not."""

from __future__ import annotations

import numpy as np

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
