"""N: each rule fires on an unstable form, with its numbers, and is silent on the sound one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradcheck.evidence import gather
from gradcheck.points import Point
from gradcheck.rules import match
from gradcheck.rules.numerics import _above
from gradcheck.subject import TorchCallable


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def softmax_vjp(dy, x, y):
    return y * (dy - np.sum(dy * y))


def without_shift(x):
    e = np.exp(x)
    return e / np.sum(e)


def errors(found):
    """Without what the textbook backward of softmax may lose."""
    return set(found) - {"N104"}


def test_n101_overflow(look):
    found = look(without_shift, softmax_vjp, {"x": [800.0, 799.0]})
    assert errors(found) == {"N101"}
    m = found["N101"][0]
    assert m.argument is None
    assert np.isnan(m.measured["value"])
    assert abs(m.measured["exact"] - 0.7310585786300049) < 1e-15
    assert m.measured["dtype"] == "float64"
    assert "overflow" in m.measured["flags"]


def test_n101_depends_on_the_dtype(look):
    assert "N101" in look(without_shift, softmax_vjp, {"x": [90.0, 89.0]}, dtype="float32")
    assert "N101" not in look(without_shift, softmax_vjp, {"x": [90.0, 89.0]})


def test_n101_silent(look):
    assert not errors(look(softmax, softmax_vjp, {"x": [800.0, 799.0]}))


def test_n101_spares_a_result_that_is_truly_too_large(look):
    assert not look(np.exp, lambda dy, x, y: dy * y, {"x": [800.0]})


def test_n102_underflow_into_a_logarithm(look):
    found = look(lambda x: np.log(softmax(x)), lambda dy, x, y: dy - softmax(x) * np.sum(dy), {"x": [0.0, -800.0]})
    (m,) = found["N102"]
    assert m.measured["value"] == -np.inf
    assert m.measured["exact"] == -800.0
    assert m.measured["index"] == [1]


def test_n102_silent(look):
    def stable(x):
        m = np.max(x)
        return x - m - np.log1p(np.sum(np.where(x == m, 0, np.exp(x - m))))

    assert "N102" not in look(stable, lambda dy, x, y: dy - softmax(x) * np.sum(dy), {"x": [0.0, -800.0]})


def test_n103_zero_times_infinity(look):
    found = look(lambda p: p * np.log(p), lambda dy, p, y: dy * (np.log(p) + 1), {"p": [0.0, 0.5]}, torch=lambda p: torch.xlogy(p, p))
    m = found["N103"][0]
    assert np.isnan(m.measured["value"])
    assert m.measured["exact"] == 0
    assert m.measured["index"] == [0]


def test_n103_in_the_gradient(look):
    found = look(lambda x: x * x, lambda dy, x, y: dy * 2 * x * x / x, {"x": [0.0, 1.0]})
    assert [m.argument for m in found["N103"]] == ["x"]
    assert "G101" not in found


def test_n103_silent(look):
    def entropy(p):
        return p * np.log(np.where(p > 0, p, 1))

    def vjp(dy, p, y):
        return dy * (np.log(np.where(p > 0, p, 1)) + 1)

    assert not look(entropy, vjp, {"p": [0.25, 0.5]}, torch=lambda p: torch.xlogy(p, p))


def test_n104_cancellation(look):
    found = look(lambda x: np.exp(x) - 1, lambda dy, x, y: dy * np.exp(x), {"x": [1e-10, 1.0]})
    assert set(found) == {"N104"}
    (m,) = found["N104"]
    assert m.argument is None
    assert m.measured["index"] == [0]
    assert m.measured["amplification"] > 1e4 > m.measured["limit"]


@pytest.mark.parametrize(
    ("number", "limit", "shown"), [(20.3, 20, "2.03e+01"), (1.23e7, 20, "1.2e+07"), (np.inf, 20, "inf"), (1204.0, 1200, "1.204e+03")]
)
def test_n104_shows_that_the_limit_is_exceeded(number, limit, shown):
    assert _above(number, limit) == shown


def test_n104_in_the_gradient(look):
    found = look(np.tanh, lambda dy, x, y: dy * (1 - y * y), {"x": [18.0]})
    assert [m.argument for m in found["N104"]] == ["x"]


def test_n104_silent(look):
    assert not look(np.expm1, lambda dy, x, y: dy * np.exp(x), {"x": [1e-10, 1.0]})


def test_n104_spares_an_ill_conditioned_problem(look):
    """The sine of a large number is uncertain because the number is, whatever computes it."""
    assert not look(np.sin, lambda dy, x, y: dy * np.cos(x), {"x": [1e15]})


def test_n110_float64_from_float32(look):
    def forward(x):
        return x * np.array([0.5])

    found = look(forward, lambda dy, x, y: dy * np.float32(0.5), {"x": [1.0, 2.0]}, dtype="float32")
    assert set(found) == {"N110"}
    (m,) = found["N110"]
    assert (m.argument, m.measured["dtype"]) == (None, "float64")


def test_n110_in_the_gradient(look):
    found = look(lambda x: x * 0.5, lambda dy, x, y: dy * np.array([0.5]), {"x": [1.0, 2.0]}, dtype="float32")
    assert [m.argument for m in found["N110"]] == ["x"]


def test_n110_silent(look):
    assert not look(lambda x: x * 0.5, lambda dy, x, y: dy * 0.5, {"x": [1.0, 2.0]}, dtype="float32")


def torch_codes(function, x):
    point = Point({"x": np.array(x)}, seed=1)
    return {m.code for m in match(gather(TorchCallable("f", function, ("x",), ("x",)), point))} - {"N104"}


def test_torch_code_is_told_apart_too():
    assert torch_codes(lambda x: torch.exp(x) / torch.exp(x).sum(), [800.0, 799.0]) == {"N101"}
    assert torch_codes(lambda x: torch.log(torch.softmax(x, -1)), [0.0, -800.0]) == {"N102"}
    assert torch_codes(lambda x: torch.where(x == 0, torch.ones_like(x), torch.sin(x) / x), [0.0, 1.0]) == {"N103"}
    assert torch_codes(lambda x: torch.softmax(x, -1), [800.0, 799.0]) == set()
