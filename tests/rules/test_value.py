"""V: each rule fires on a wrong forward, with its numbers, and is silent on the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradcheck.function_spec import Law
from gradcheck.relations import equal

X = {"x": [0.5, -1.0, 2.0]}


def square(x):
    return x * x


def square_vjp(dy, x, y):
    return 2 * dy * x


def test_v101_another_function(look):
    found = look(lambda x: x * x + 1, square_vjp, X, torch=lambda x: x * x)
    assert set(found) == {"V101"}
    (m,) = found["V101"]
    assert m.argument is None
    assert m.measured["index"] == [0]
    assert m.measured["exact"] == 1.25
    assert m.measured["reference"] == 0.25
    assert m.measured["error"] == 0.8
    assert "forward" in m.suspect


def test_v101_at_one_number_alone(look):
    found = look(lambda x: np.where(x == 0, 1, x * x), square_vjp, {"x": [0.0, 1.0]}, torch=lambda x: x * x)
    assert [m.measured["index"] for m in found["V101"]] == [[0]]


def test_v101_silent(look):
    assert not look(square, square_vjp, X, torch=lambda x: x**2)


def test_v102_sum_for_mean(look):
    found = look(np.sum, lambda dy, x, y: dy * np.ones_like(x), X, torch=lambda x: x.mean(), dy=1.0)
    assert set(found) == {"V101", "V102"}
    (m,) = found["V102"]
    assert m.measured["factor"] == pytest.approx(3, rel=1e-15)
    assert "the number of entries of x" in m.signature
    assert not m.sure, "one number alone could be off by a factor by chance"


def test_v102_another_logarithm(look):
    found = look(lambda x: np.log2(x), lambda dy, x, y: dy / x / np.log(2), {"x": [0.5, 3.0]}, torch=torch.log)
    (m,) = found["V102"]
    assert m.measured["factor"] == 1.4426950408889634
    assert m.sure


def test_v102_silent_where_the_factor_varies(look):
    found = look(lambda x: x * x * np.array([1.0, 2, 3]), lambda dy, x, y: dy * 2 * x * np.array([1.0, 2, 3]), X, torch=lambda x: x * x)
    assert set(found) == {"V101"}


SHIFT = Law("unchanged by a shift", lambda f, x: equal(f(x + 1), f(x)), {})


def centred(x):
    return x - np.mean(x)


def centred_vjp(dy, x, y):
    return dy - np.mean(dy)


def test_v103_law_broken(look):
    found = look(square, square_vjp, X, laws=(SHIFT,))
    assert set(found) == {"V103"}
    (m,) = found["V103"]
    assert m.measured["law"] == "unchanged by a shift"
    assert (m.measured["index"], m.measured["left"], m.measured["right"]) == ([0], 2.25, 0.25)


def test_v103_silent(look):
    assert not look(centred, centred_vjp, X, laws=(SHIFT,))


def test_v103_is_not_the_fault_of_a_shared_array(look):
    def vjp(dy, x, y):
        dy *= 2 * x
        return dy

    law = Law("backward is linear", lambda f, x: equal(f.vjp(x, x) + f.vjp(x, x), 2 * f.vjp(x, x)), {})
    assert set(look(square, vjp, X, laws=(law,))) == {"S102"}


def test_v104_wrong_shape(look):
    found = look(lambda x: np.sum(x, keepdims=True), lambda dy, x, y: dy * np.ones_like(x), X, torch=lambda x: x.sum())
    assert set(found) == {"V104"}
    assert found["V104"][0].measured["shape"] == [1]


def test_v104_integers(look):
    found = look(lambda x: (x > 0).astype(int), lambda dy, x, y: 0 * x, X)
    assert [m.measured["dtype"] for m in found["V104"]] == ["int64"]


def test_v104_silent(look):
    assert not look(np.sum, lambda dy, x, y: dy * np.ones_like(x), X, torch=lambda x: x.sum())


def test_v104_spares_integers_beside_floats(look):
    found = look(lambda x: (np.max(x), np.argmax(x)), lambda dy, x, y: dy[0] * (np.arange(x.size) == np.argmax(x)), X)
    assert not found
