"""Operators of the table one by one: against torch's own kernels, at kinks too, and against torch's decompositions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint
import numpy as np
import pytest
import torch
from flint import arb
from torch._decomp import decomposition_table

from gradcheck.exact import aten
from gradcheck.exact.array import exact
from gradcheck.exact.balls import ball
from gradcheck.exact.errors import Undecided
from gradcheck.exact.tensor import ExactTensor, exact_mode, to_exact, to_tensor


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before, flint.ctx.prec = flint.ctx.prec, 448
    yield
    flint.ctx.prec = before


RANDOM = np.random.default_rng(3)
EDGES = [-40.0, -6, -3, -1, -0.5, -0.0, 0, 1e-300, 0.5, 0.7, 1, 3, 6, 20, 40]
X = torch.tensor([*EDGES, *RANDOM.normal(size=9)], dtype=torch.float64).reshape(4, 6)
G, T = (torch.tensor(RANDOM.normal(size=(4, 6))) for _ in range(2))
ONE = torch.tensor(1.3, dtype=torch.float64)
P, Q = (torch.tensor(RANDOM.uniform(size=(4, 6))) for _ in range(2))
P[0, 0], P[0, 1] = 0.0, 1.0
WEIGHT = torch.tensor(RANDOM.uniform(0.5, 2, size=6))
CLASSES = torch.tensor([1, 5, 3, 0])
IMAGE = torch.tensor(RANDOM.normal(size=(2, 6, 2, 2)))
IMAGE_GRAD = torch.tensor(RANDOM.normal(size=(2, 6, 2, 2)))
PIXELS = torch.tensor([[[1, 5], [3, 0]], [[2, 2], [3, 4]]])
ALL = [True, True, True]

ELEMENTWISE: list[tuple[Any, ...]] = [
    ("relu", X), ("sigmoid_backward", G, P), ("tanh_backward", G, P), ("silu", X), ("silu_backward", G, X), ("mish", X),
    ("mish_backward", G, X), ("glu", X), ("glu", X, 0), ("glu_backward", G[:, :3], X, 1), ("glu_backward", G[:2], X, 0),
    ("softplus", X), ("softplus", X, 2, 1), ("softplus_backward", G, X, 1, 20), ("softplus_backward", G, X, 2, 1),
    ("elu", X), ("elu", X, 1.7, 1.1, 0.3), ("elu_backward", G, 1.7, 1.1, 0.3, False, X), ("elu_backward", G, 1.7, 1.1, 0.3, True, X),
    ("threshold", X, 0.5, 3), ("threshold_backward", G, X, 0.5), ("threshold_backward", G, X, 0),
    ("leaky_relu", X), ("leaky_relu", X, 0.3), ("leaky_relu_backward", G, X, 0.3, False),
    ("_prelu_kernel", X, WEIGHT[:1]), ("_prelu_kernel_backward", G, X, WEIGHT[:1]),
    ("hardtanh", X), ("hardtanh", X, -3, 6), ("hardtanh_backward", G, X, -1, 1), ("hardtanh_backward", G, X, -3, 6),
    ("hardsigmoid", X), ("hardswish", X), ("hardswish_backward", G, X), ("softshrink", X), ("softshrink_backward", G, X, 0.5),
    ("hardshrink", X, 0.7), ("hardshrink_backward", G, X, 0.7), ("log_sigmoid_backward", G, X, torch.exp(-abs(X))),
    ("positive", X), ("conj_physical", X), ("native_dropout_backward", G, X > 0, 1.25),
]  # fmt: skip
LOSSES: list[tuple[Any, ...]] = [
    (name, *args, *last)
    for reduction, grad in ((0, G), (1, ONE), (2, ONE))
    for name, args, last in [
        ("mse_loss", (X, T, reduction), ()), ("mse_loss_backward", (grad, X, T, reduction), ()),
        ("smooth_l1_loss", (X, 0 * T, reduction, 0.5), ()), ("smooth_l1_loss_backward", (grad, X, 0 * T, reduction, 0.5), ()),
        ("huber_loss", (X, 0 * T, reduction, 0.5), ()), ("huber_loss_backward", (grad, X, 0 * T, reduction, 0.5), ()),
        ("soft_margin_loss", (G, T.sign(), reduction), ()), ("soft_margin_loss_backward", (grad, G, T.sign(), reduction), ()),
        ("binary_cross_entropy", (P, Q, None, reduction), ()), ("binary_cross_entropy", (P, Q, WEIGHT, reduction), ()),
        ("binary_cross_entropy_backward", (grad, P, Q, None, reduction), ()),
        ("binary_cross_entropy_backward", (grad, P, Q, WEIGHT.expand(4, 6), reduction), ()),
        ("binary_cross_entropy_with_logits", (X, Q, None, None, reduction), ()),
        ("binary_cross_entropy_with_logits", (X, Q, Q, WEIGHT, reduction), ()),
        *[("nll_loss_forward", (X, CLASSES, weight, reduction, ignored), ()) for weight in (None, WEIGHT) for ignored in (-100, 3)],
        *[("nll_loss_backward", (grad if reduction else G[:, 0], X, CLASSES, weight, reduction, ignored, ONE), ())
          for weight in (None, WEIGHT) for ignored in (-100, 3)],
        ("nll_loss_forward", (X[0], CLASSES[2], WEIGHT, reduction, -100), ()),
        ("nll_loss_backward", (ONE, X[0], CLASSES[2], WEIGHT, reduction, -100, WEIGHT[3]), ()),
        ("nll_loss2d_forward", (IMAGE, PIXELS, WEIGHT, reduction, 3), ()),
        ("nll_loss2d_backward", (grad if reduction else IMAGE[:, 0], IMAGE, PIXELS, WEIGHT, reduction, 3, ONE), ()),
    ]
]  # fmt: skip
MEAN, SCALE = torch.tensor(RANDOM.normal(size=6)), WEIGHT.flip(0)
NORMS: list[tuple[Any, ...]] = [
    ("native_layer_norm", G, [6], WEIGHT, MEAN, 1e-5), ("native_layer_norm", G, [4, 6], None, None, 1e-5),
    ("native_layer_norm_backward", G, T, [6], T.mean(1, True), T.var(1, keepdim=True), WEIGHT, MEAN, ALL),
    ("native_layer_norm_backward", G, T, [4, 6], T.mean((0, 1), True), T.var((0, 1), keepdim=True), T, G, ALL),
    ("native_layer_norm_backward", G, T, [6], T.mean(1, True), T.var(1, keepdim=True), None, None, [True, False, False]),
    ("native_group_norm", IMAGE, WEIGHT, MEAN, 2, 6, 4, 3, 1e-5), ("native_group_norm", G, None, None, 4, 6, 1, 2, 1e-3),
    ("native_group_norm_backward", IMAGE_GRAD, IMAGE, T[0].reshape(2, 3), P[1].reshape(2, 3), WEIGHT, 2, 6, 4, 3, ALL),
    ("native_batch_norm_backward", IMAGE_GRAD, IMAGE, WEIGHT, MEAN, SCALE, MEAN, SCALE, True, 1e-5, ALL),
    ("native_batch_norm_backward", IMAGE_GRAD, IMAGE, WEIGHT, MEAN, SCALE, None, None, False, 1e-5, ALL),
    ("native_batch_norm_backward", G, T, None, None, None, MEAN, SCALE, True, 1e-5, [True, False, False]),
]  # fmt: skip
TORCH_IMPRECISE = {"binary_cross_entropy_backward": 1e-8}  # its 1e-12 is a float32 constant
CASES = [pytest.param(*case[:1], case[1:], id=f"{case[0]}-{i}") for i, case in enumerate([*ELEMENTWISE, *LOSSES, *NORMS])]


def lifted(value: Any) -> Any:
    return to_tensor(to_exact(value)) if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def parts(value: Any) -> list[torch.Tensor]:
    return [v for v in (value if isinstance(value, (tuple, list)) else [value]) if v is not None]


def floats(tensor: torch.Tensor) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda a: float(a.mid()), 1, 1)(to_exact(tensor).balls_), dtype=float)


def overload(name: str) -> Any:
    return getattr(torch.ops.aten, name).default


@pytest.mark.parametrize(("name", "args"), CASES)
def test_agrees_with_torchs_own_kernel(name: str, args: Any) -> None:
    assert name in aten.TABLE
    got, wanted = parts(overload(name)(*map(lifted, args))), parts(overload(name)(*args))
    for ours, theirs in zip(got, wanted, strict=False):  # a kernel may give gradients that were not asked for
        assert isinstance(ours, ExactTensor)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(floats(ours), theirs.numpy(), rtol=TORCH_IMPRECISE.get(name, 1e-11), atol=1e-15)


@pytest.mark.parametrize(("name", "args"), [c for c in CASES if overload(c.values[0]) in decomposition_table])
def test_agrees_with_torchs_decomposition(name: str, args: Any) -> None:
    exacts = [lifted(a) for a in args]
    got = parts(overload(name)(*exacts))
    with exact_mode():
        wanted = parts(decomposition_table[overload(name)](*exacts))
    for ours, theirs in zip(got, wanted, strict=False):
        gap, size = abs(to_exact(ours) - to_exact(theirs)).balls_.ravel(), abs(to_exact(theirs)).balls_.ravel()
        known = [(g, s) for g, s in zip(gap, size, strict=True) if s.is_finite()]  # it takes log1p(-1)
        assert len(known) >= size.size - 1
        assert all(g <= 1e-15 * s + arb(2) ** -400 for g, s in known)  # it may round 1/n to a double


@pytest.mark.parametrize(("name", "args"), [
    ("threshold", [0.0, 2]), ("leaky_relu", []), ("elu", []), ("hardshrink", [0.0]), ("softshrink", [0.0]),
])  # fmt: skip
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_undecided_side_is_not_guessed(name: str, args: list[Any], value: float) -> None:
    wide = to_tensor(exact([value])) + to_tensor(exact(np.array([arb(0, 2**-400)], dtype=object)))
    if value:
        assert isinstance(overload(name)(wide, *args), ExactTensor)
    else:
        with pytest.raises(Undecided):
            overload(name)(wide, *args)


@pytest.mark.parametrize(("name", "args", "kink"), [
    ("threshold_backward", [1.0], 1), ("leaky_relu_backward", [0.1, False], 0), ("hardtanh_backward", [-1, 1], 1),
    ("hardtanh_backward", [-1, 1], -1), ("hardswish_backward", [], 3), ("hardswish_backward", [], -3),
    ("softshrink_backward", [0.5], 0.5), ("hardshrink_backward", [0.5], -0.5), ("softplus_backward", [1, 20], 20),
    ("smooth_l1_loss_backward", [to_tensor(exact([0.0])), 0, 0.5], 0.5), ("huber_loss_backward", [to_tensor(exact([0.0])), 0, 0.5], 0.5),
])  # fmt: skip
def test_an_undecided_kink_is_not_guessed(name: str, args: list[Any], kink: float) -> None:
    wide = to_tensor(exact(np.array([ball(kink) + arb(0, 2**-400)], dtype=object)))
    with pytest.raises(Undecided):
        overload(name)(to_tensor(exact([1.0])), wide, *args)


def test_smooth_l1_without_a_curve_has_the_slope_of_torchs_kernel_at_zero() -> None:
    x, grad = torch.tensor([0.0, 0.0, -1, 1e-300], dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    args = (grad, x, 0 * x, 0, 0.0)
    assert floats(overload("smooth_l1_loss_backward")(*map(lifted, args))).tolist() == [-1, -1, -1, 1]
    assert overload("smooth_l1_loss_backward")(*args).tolist() == [-1, -1, -1, 1]


def test_a_mean_divides_exactly() -> None:
    x = to_tensor(exact([1.0, 2.0, 5.0]), requires_grad=True)
    (grad,) = torch.autograd.grad(torch.nn.functional.mse_loss(x, torch.zeros(3, dtype=torch.float64)), x)
    assert all(g.contains(w) for g, w in zip((to_exact(grad) * 3).balls_, (2, 4, 10), strict=True))


@pytest.mark.parametrize("target", [-1, 6])
def test_a_class_that_does_not_exist_is_refused(target: int) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        torch.nn.functional.nll_loss(lifted(X), torch.full((4,), target))


def test_an_operator_has_one_body() -> None:
    names = [name for subject in aten.SUBJECTS for name in subject.TABLE]
    assert len(names) == len(set(names))
    assert not set(names) & (aten.WITH_OPERATOR.keys() | aten.PULLBACKS.keys())
