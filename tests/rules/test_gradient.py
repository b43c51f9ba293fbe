"""G: each rule fires on a wrong backward, with its numbers, and is silent on the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradcheck.rules.factors import describe

X = {"x": [0.5, -1.0, 2.0]}
DY = [1.0, -2.0, 0.5]


def square(x):
    return x * x


def square_vjp(dy, x, y):
    return 2 * dy * x


def matmul(x, w):
    return x @ w


def matmul_vjp(dy, x, w, y):
    return dy @ w.T, x.T @ dy


XW = {"x": [[1.0, 2.0], [3.0, -4.0]], "w": [[0.5, 1.5], [-2.0, 0.25]]}


def test_the_right_one_is_left_alone(look):
    assert not look(square, square_vjp, X, torch=lambda x: x * x, dy=DY)
    assert not look(matmul, matmul_vjp, XW, torch=lambda x, w: x @ w)


def test_g101_one_entry(look):
    found = look(square, lambda dy, x, y: 2 * dy * x + np.array([0, 1.0, 0]), X, torch=lambda x: x * x, dy=DY)
    assert set(found) == {"G101"}
    (m,) = found["G101"]
    assert m.argument == "x"
    assert m.measured["index"] == [1]
    assert (m.measured["numeric"], m.measured["analytic"], m.measured["autograd"]) == (4.0, 5.0, 4.0)
    assert m.measured["wrong_entries"] == "1 of 3"
    assert m.measured["analytic_error"] == 0.2
    assert m.suspect.startswith("the backward")


def test_g101_is_told_from_a_factor_below_its_tolerance(look):
    """One entry off by 1e-12 beside right ones is no factor, though all ratios agree to 1e-12."""
    found = look(square, lambda dy, x, y: 2 * dy * x * np.array([1 + 1e-12, 1, 1]), {"x": [4.0, 0.5, 0.25]}, dy=[2.0, 2.0, 2.0])
    assert set(found) == {"G101"}


def test_g101_at_one_number_alone(look):
    found = look(square, lambda dy, x, y: np.where(x == 0, dy, 2 * dy * x), {"x": [0.0, 1.0]}, dy=[1.0, 1.0])
    assert set(found) == {"G101"}
    assert found["G101"][0].measured["index"] == [0]


def test_g101_spares_a_constant_rounded_to_float(look):
    third = float(np.float64(1) / 3)
    assert not look(lambda x: x**3 / 3, lambda dy, x, y: dy * third * 3 * x * x, X)


def test_g102_factor(look):
    found = look(lambda x: np.mean(x * x), lambda dy, x, y: dy * 2 * x, X, torch=lambda x: (x * x).mean(), dy=1.0)
    assert set(found) == {"G101", "G102"}
    (m,) = found["G102"]
    assert m.argument == "x"
    assert m.measured["factor"] == pytest.approx(3, rel=1e-15)
    assert "the number of entries of x" in m.signature
    assert m.sure


def test_g102_an_option(look):
    given = {**X, "rate": 0.2}
    found = look(lambda x, rate: x * x / (1 - rate), lambda dy, x, rate, y: 2 * dy * x, given)
    assert "(1 - rate)" in found["G102"][0].signature


def test_g102_unsure_of_a_single_entry(look):
    assert not look(square, lambda dy, x, y: 3 * dy * x, {"x": [2.0]})["G102"][0].sure


def test_g102_unsure_of_a_number_that_stands_for_nothing(look):
    """What passes through a single unit is off by one factor in all entries, which is another one at the next point."""

    def through_one(x):
        return np.sum(x * np.array([1.0, 2.0, 3.0])) ** 3

    def wrong(dy, x, y):
        return dy * np.sum(x * np.array([1.0, 2.0, 3.0])) * np.array([1.0, 2.0, 3.0])

    found = look(through_one, wrong, {"x": [0.3, 0.7, -1.9]})["G102"][0]
    assert len(found.signature) == 1
    assert not found.sure


def test_g102_at_a_kink_looks_at_the_slopes(look):
    """At 0 any multiple up to 1 is a slope of relu: an entry there neither shows nor refutes a factor."""
    found = look(lambda x: np.maximum(x, 0), lambda dy, x, y: 3 * dy * (x > 0), {"x": [0.0, 1.0, 2.0]})
    assert found["G102"][0].measured["factor"] == pytest.approx(3)


def test_g102_silent_where_an_entry_is_zero_for_one_alone(look):
    found = look(square, lambda dy, x, y: 4 * dy * x * np.array([0, 1, 1.0]), X)
    assert set(found) == {"G101"}


def test_g103_sign(look):
    found = look(square, lambda dy, x, y: -2 * dy * x, X)
    (m,) = found["G103"]
    assert m.argument == "x"
    assert m.measured["analytic"] == -m.measured["numeric"]
    assert set(found) == {"G101", "G102", "G103"}


def test_g103_at_a_kink(look):
    assert "G103" in look(lambda x: np.maximum(x, 0), lambda dy, x, y: np.where(x > 0, -dy, 0), {"x": [0.0, 1.0]})


def test_g103_silent_on_one_of_two_signs(look):
    assert set(look(square, lambda dy, x, y: 2 * dy * np.abs(x), X)) == {"G101"}


def test_g104_upstream_ignored(look):
    found = look(square, lambda dy, x, y: 2 * x, X, dy=DY)
    assert set(found) == {"G101", "G104"}
    assert found["G104"][0].argument == "x"
    assert found["G104"][0].measured["index"] == [1]


def test_g104_silent_for_a_cotangent_of_ones(look):
    assert not look(square, lambda dy, x, y: 2 * x, X, dy=[1.0, 1.0, 1.0])


def test_g105_transposed_though_square(look):
    found = look(matmul, lambda dy, x, w, y: (dy @ w.T, dy.T @ x), XW)
    assert set(found) == {"G101", "G105"}
    assert found["G105"][0].argument == "w"
    assert found["G105"][0].sure


def test_g105_transposed(look):
    given = {"x": [[1.0, 2.0, 3.0], [4.0, -5.0, 6.0]], "w": [[1.0, 2.0], [3.0, 4.0], [-5.0, 6.0]]}
    found = look(matmul, lambda dy, x, w, y: (dy @ w.T, dy.T @ x), given)
    assert set(found) == {"G101", "G105", "G107"}
    assert found["G105"][0].measured["shape"] == [2, 3]


def test_g105_silent_on_another_order(look):
    assert "G105" not in look(matmul, lambda dy, x, w, y: (dy @ w, x.T @ dy), XW)


def test_g106_not_reduced(look):
    given = {"x": [[1.0, 2.0], [3.0, 4.0]], "b": [1.0, 2.0]}
    found = look(lambda x, b: x + b, lambda dy, x, b, y: (dy, dy), given)
    assert set(found) == {"G101", "G106", "G107"}
    (m,) = found["G106"]
    assert (m.argument, m.measured["shape"], m.sure) == ("b", [2, 2], True)
    assert not look(lambda x, b: x + b, lambda dy, x, b, y: (dy, dy.sum(axis=0)), given)


def test_g106_unsure_of_a_stray_axis(look):
    given = {"x": [[1.0, 2.0], [3.0, 4.0]], "b": [1.0, 2.0]}
    found = look(lambda x, b: x + b, lambda dy, x, b, y: (dy, dy.sum(axis=0, keepdims=True)), given)
    assert not found["G106"][0].sure


def test_g107_shape(look):
    found = look(square, lambda dy, x, y: (2 * dy * x)[:2], X)
    assert set(found) == {"G101", "G107"}
    assert found["G107"][0].argument == "x"
    assert found["G107"][0].measured["shape"] == [2]


def test_g107_number_of_gradients(look):
    found = look(matmul, lambda dy, x, w, y: dy @ w.T, XW)
    assert set(found) == {"G107"}
    assert found["G107"][0].argument is None


def relu(x):
    return np.maximum(x, 0)


def test_g109_outside_the_slopes(look):
    found = look(relu, lambda dy, x, y: dy * np.where(x > 0, 1, np.where(x == 0, 2, 0)), {"x": [0.0, 1.0]}, torch=torch.relu, dy=[1.0, 1.0])
    assert set(found) == {"G101", "G109"}
    (m,) = found["G109"]
    assert m.argument == "x"
    assert m.measured["subgradients"] == [0.0, 1.0]
    assert m.measured["kink"]


def test_g109_and_not_g112_for_a_zero_below_the_slopes(look):
    found = look(lambda x: np.where(x > 0, x, 0.5 * x), lambda dy, x, y: np.where(x == 0, 0, dy), {"x": [0.0]})
    assert {"G109"} <= set(found)
    assert "G112" not in found


def test_g115_another_convention(look):
    found = look(relu, lambda dy, x, y: dy * (x >= 0), {"x": [0.0, 1.0]}, torch=torch.relu, dy=[1.0, 1.0])
    assert set(found) == {"G115"}
    assert found["G115"][0].argument == "x"


def test_g115_silent_on_the_convention_of_torch(look):
    assert not look(relu, lambda dy, x, y: dy * (x > 0), {"x": [0.0, 1.0]}, torch=torch.relu)


PQ = {"p": [0.25, 0.5], "eps": 1e-3}


def log_eps(p, eps):
    return np.log(p + eps)


@pytest.mark.parametrize(
    ("vjp", "how"),
    [
        (lambda dy, p, eps, y: dy / p, "eps left out"),
        (lambda dy, p, eps, y: dy / (p - eps), "eps negated"),
        (lambda dy, p, eps, y: dy / (p + 3 * eps), "eps in another place or size"),
    ],
)
def test_g111_an_option(look, vjp, how):
    found = look(log_eps, vjp, PQ)
    assert set(found) == {"G101", "G111"}
    assert found["G111"][0].argument == "p"
    assert how in {name.partition(": ")[2] for name in found["G111"][0].signature}


def test_g111_a_literal(look):
    found = look(lambda p: np.log(p + 1e-3), lambda dy, p, y: dy / p, {"p": [0.25, 0.5]})
    assert found["G111"][0].signature == {"forward: the constant 0.001 left out"}


def test_g111_an_eps_that_the_forward_does_not_have(look):
    found = look(np.log, lambda dy, p, y: dy / (p + 1e-6), {"p": [0.25, 0.5]})
    assert found["G111"][0].message == "the gradient of p would be right with the constant 1e-06 left out of the backward"


def test_g111_another_size(look):
    found = look(lambda p: np.log(p + 1e-5), lambda dy, p, y: dy / (p + 1e-8), {"p": [0.25, 0.5]})
    assert "forward: the constant 1e-05 1e-08 instead" in found["G111"][0].signature


def test_g111_silent(look):
    assert not look(log_eps, lambda dy, p, eps, y: dy / (p + eps), PQ)
    assert "G111" not in look(log_eps, lambda dy, p, eps, y: 2 * dy / (p + eps), PQ)


def test_g112_zeros_and_nothing(look):
    zeros = look(matmul, lambda dy, x, w, y: (dy @ w.T, np.zeros_like(w)), XW)
    assert zeros["G112"][0].argument == "w"
    assert zeros["G112"][0].measured["analytic"] == 0
    nothing = look(matmul, lambda dy, x, w, y: (None, x.T @ dy), XW)
    assert [m.argument for m in nothing["G112"]] == ["x"]


def test_g112_silent_where_the_derivative_is_zero(look):
    assert not look(square, lambda dy, x, y: np.zeros_like(x), {"x": [0.0, 0.0]})


def test_a_gradient_right_for_the_reference_is_not_blamed(look):
    found = look(lambda x: 2 * x * x, square_vjp, X, torch=lambda x: x * x)
    assert set(found) == {"V101", "V102"}


def test_g102_a_factor_near_one_names_no_size(look):
    found = look(lambda x: x * x * (1 - 0.999999), lambda dy, x, y: dy * 2e-6 * x, {"x": [1.0, 3.0, 2.0]})
    (m,) = found["G102"]
    assert m.signature == {"1 - 2.9e-11"}
    assert describe(m.signature).startswith("a factor 1 - 2.9e-11: so near to 1")


def test_g104_zeros_that_are_the_gradient_for_ones_are_not_sure(look):
    found = look(lambda x: x.sum() * x[0], lambda dy, x, y: np.zeros_like(x), {"x": [0.0, 0.0]}, dy=2.0)
    assert "G104" not in found
    found = look(lambda a, b: a * b, lambda dy, a, b, y: (dy * b, np.sum(a, keepdims=True)), {"a": [-2.0, 2.0], "b": [3.0]}, dy=[1.0, 3.0])
    assert [(m.argument, m.sure) for m in found["G104"]] == [("b", False)]
