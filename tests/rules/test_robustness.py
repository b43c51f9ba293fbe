"""R: each rule fires on code that fails, with the line, and is silent on code that does not."""

from __future__ import annotations

import numpy as np

X = {"x": [-1.0, 2.0]}


def test_silent(look):
    assert not look(np.sin, lambda dy, x, y: dy * np.cos(x), X)


def broken(x):
    return x / np.sum(x, axis=1, keepdims=True)


def test_r101_forward(look):
    found = look(broken, lambda dy, x, y: dy, X)
    assert set(found) == {"R101"}
    (m,) = found["R101"]
    assert m.argument is None
    assert m.measured["stage"] == "forward"
    assert m.measured["line"] == broken.__code__.co_firstlineno + 1
    assert "AxisError" in m.message


def test_r101_backward(look):
    found = look(np.sin, lambda dy, x, y: dy @ np.eye(3), X)
    assert set(found) == {"R101"}
    assert found["R101"][0].measured["stage"] == "backward"


def test_r104_forward(look):
    def forward(x):
        np.sin(x)

    found = look(forward, lambda dy, x, y: dy * np.cos(x), X)
    assert set(found) == {"R104"}
    assert found["R104"][0].measured["stage"] == "forward"


def test_r104_backward(look):
    def vjp(dy, x, y):
        dy * np.cos(x)

    found = look(np.sin, vjp, X)
    assert set(found) == {"R104"}
    assert found["R104"][0].measured["stage"] == "backward"
