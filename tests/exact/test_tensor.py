"""torch code in balls: values and gradients against torch's own, and against exact central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import flint
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flint import arb

from gradcheck.exact.array import exact
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.tensor import ExactTensor, exact_mode, to_exact, to_tensor


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before, flint.ctx.prec = flint.ctx.prec, 448
    yield
    flint.ctx.prec = before


def floats(tensor: torch.Tensor) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda a: float(a.mid()), 1, 1)(to_exact(tensor).balls_), dtype=float)


TARGET, INDEX = torch.tensor([1, 0, 2]), torch.tensor([[0, 2], [1, 1], [3, 0]])
MASK = torch.tensor([[True, False, False, True], [False, True, True, True], [True, True, False, True]])
CAUSAL = torch.triu(torch.full((3, 3), float("-inf"), dtype=torch.float64), 1)
M, IMAGE = (3, 4), (2, 2, 6, 6)


def in_place(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[0] = y[1] * 2
    y[:, 1].mul_(3).add_(x[:, 0])
    y.t()[2, 1:].neg_()
    return y.sub_(x).clamp(min=-1) / 3


def buffers(x: torch.Tensor) -> torch.Tensor:
    out, at = x.new_zeros(3, 4), torch.arange(3)
    for i in range(3):
        out[i] = x[i].cumsum(0)
    out[at, at] += x[0, :3]
    return out


UNARY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    **{name: getattr(torch, name) for name in [
       "exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "asinh", "sigmoid",
       "erf", "erfc", "exp2", "square", "reciprocal", "abs", "neg", "sign", "sgn", "relu", "sinc"]},
    **{name: getattr(F, name) for name in [
       "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "leaky_relu", "relu6",
       "hardtanh", "hardswish", "hardsigmoid", "softsign", "tanhshrink", "hardshrink", "softshrink"]},
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"), "softplus 2": lambda x: F.softplus(x, 2, 1), "pow": lambda x: x**3,
    "threshold": lambda x: F.threshold(x, 0.1, 2), "glu": F.glu, "clamp": lambda x: x.clamp(-0.5, 0.5),
    "softmax": lambda x: torch.softmax(x, -1), "softmax 0": lambda x: F.softmax(x, 0), "log_softmax": lambda x: F.log_softmax(x, -1),
    "softmin": lambda x: F.softmin(x, -1), "gumbel-like": lambda x: (x - x.exp().amax(-1, keepdim=True)).exp(),
    "logsumexp": lambda x: x.logsumexp(-1), "logcumsumexp": lambda x: x.logcumsumexp(1),
    "sum": lambda x: x.sum(0), "mean": lambda x: x.mean((0, 1)), "prod": lambda x: x.prod(1), "var": lambda x: x.var(-1),
    "std": lambda x: x.std(0, unbiased=False), "amax": lambda x: x.amax(1), "max": lambda x: x.max(0).values, "max all": torch.max,
    "min": lambda x: x.min(1)[0], "median": lambda x: x.median(), "norm": lambda x: x.norm(dim=-1), "norm 3": lambda x: x.norm(3),
    "cumsum": lambda x: x.cumsum(1), "cumprod": lambda x: x.cumprod(1), "sort": lambda x: x.sort(-1).values,
    "topk": lambda x: x.topk(2).values,
    "layer_norm": lambda x: F.layer_norm(x, (4,)), "rms_norm": lambda x: F.rms_norm(x, (4,)), "normalize": F.normalize,
    "cross_entropy": lambda x: F.cross_entropy(x, TARGET), "smoothed": lambda x: F.cross_entropy(x, TARGET, label_smoothing=0.1),
    "nll": lambda x: F.nll_loss(x, TARGET), "multi_margin": lambda x: F.multi_margin_loss(x, TARGET),
    "gather": lambda x: x.gather(1, INDEX),
    "scatter": lambda x: torch.zeros_like(x).scatter(1, INDEX[:, :1], x[:, :1]),
    "scatter_add": lambda x: x.scatter_add(1, INDEX, x[:, 2:]),
    "index": lambda x: x[TARGET, INDEX[:, 0]], "mask": lambda x: x[MASK], "masked_fill": lambda x: x.masked_fill(MASK, -2.0),
    "where": lambda x: torch.where(x > 0, x, x * x), "cat": lambda x: torch.cat([x, x[:1] * 2], 0),
    "stack": lambda x: torch.stack([x, x * 2]),
    "split": lambda x: x.split(3, 1)[0] * 2, "flip": lambda x: x.flip(1) * x, "roll": lambda x: x.roll(1, 0) * x,
    "pad": lambda x: F.pad(x, (1, 2), value=0.5), "expand": lambda x: x[:, None].expand(3, 2, 4) * 2, "tril": lambda x: x.tril() @ x.T,
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True), "in place": in_place,
    "buffers": buffers,
    "causal softmax": lambda x: torch.softmax(x @ x.T + CAUSAL, -1), "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
    "rnn": lambda x: torch.stack([torch.tanh(x[i] @ x.T) for i in range(3)]), "lerp": lambda x: torch.lerp(x, x * x, 0.3),
}  # fmt: skip
POSITIVE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    **{name: getattr(torch, name) for name in ["log", "log1p", "log2", "log10", "sqrt", "rsqrt", "lgamma", "digamma"]},
    "xlogy": lambda x: torch.xlogy(x, x), "power": lambda x: x**0.3, "2 ** x": lambda x: 2**x, "x ** x": lambda x: x**x,
    "entropy": lambda x: torch.special.entr(x), "logit": lambda x: torch.logit(x / 4),
    "bce": lambda x: F.binary_cross_entropy(x / 4, MASK.double()), "fmod": lambda x: torch.fmod(x, 0.3), "remainder": lambda x: x % 0.3,
}  # fmt: skip
PAIRS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss, "smooth_l1": F.smooth_l1_loss,
    "bce logits": F.binary_cross_entropy_with_logits,
    "kl": lambda x, y: F.kl_div(x, y.softmax(-1), reduction="batchmean"), "poisson": F.poisson_nll_loss, "cosine": F.cosine_similarity,
    "maximum": torch.maximum, "minimum": torch.minimum, "logaddexp": torch.logaddexp, "atan2": torch.atan2, "hypot": torch.hypot,
    "div": torch.div, "matmul": lambda x, y: x @ y.T, "outer": lambda x, y: torch.outer(x[0], y[0]),
    "bmm": lambda x, y: x[None] @ y.T[None],
    "addmm": lambda x, y: torch.addmm(x[:, :3], x, y.T, beta=2, alpha=3), "cdist": torch.cdist,
    "cdist 1": lambda x, y: torch.cdist(x, y, 1), "cdist 3": lambda x, y: torch.cdist(x, y, 3),
    "cdist inf": lambda x, y: torch.cdist(x, y, float("inf")), "linear": F.linear,
    "dot": lambda x, y: x[0] @ y[0],
    "prelu": lambda x, y: F.prelu(x, y[0]), "margin": lambda x, y: F.margin_ranking_loss(x, y, torch.ones(3, 4)), "gaussian nll":
    lambda x, y: F.gaussian_nll_loss(x, torch.zeros(3, 4), y * y),
    "batch_norm": lambda x, y: F.batch_norm(x, None, None, y[0], y[1], training=True),
    "group_norm": lambda x, y: F.group_norm(x, 2, y[0], y[1]), "embedding": lambda x, y: F.embedding(INDEX, y.t()) * x[0, :3],
    "det": lambda x, y: torch.linalg.det(x @ y.T), "turned det": lambda x, y: (x @ y.T).T.det(),
    "logdet": lambda x, y: torch.logdet(x @ x.T), "inv": lambda x, y:
    torch.linalg.inv(x @ y.T), "solve": lambda x, y: torch.linalg.solve(x[:, 1:].contiguous(), y), "turned solve": lambda x, y:
    torch.linalg.solve((x @ y.T).T, y[:, 0]), "cholesky": lambda x, y: torch.linalg.cholesky(x @ x.T),
    "triangular": lambda x, y: torch.linalg.solve_triangular(x[:, :3], y, upper=True),
    "triplet": lambda x, y: F.triplet_margin_loss(x, y, x.flip(0)),
    "index_put": lambda x, y: x.index_put((TARGET,), y, accumulate=True),
}  # fmt: skip
IMAGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "conv2d": lambda x, w: F.conv2d(x, w, stride=2, padding=1), "conv1d": lambda x, w: F.conv1d(x[:, :, 0], w[:, :, 0], dilation=2),
    "grouped": lambda x, w: F.conv2d(x, w[:, :1], groups=2),
    "transposed": lambda x, w: F.conv_transpose2d(x, w, stride=2, output_padding=1),
    "max_pool2d": lambda x, w: F.max_pool2d(x, 3, 2, 1), "max_pool1d": lambda x, w: F.max_pool1d(x[0], 2), "avg_pool2d": lambda x, w:
    F.avg_pool2d(x, 3, 2, 1), "adaptive": lambda x, w: F.adaptive_avg_pool2d(x, 4), "instance_norm": lambda x, w: F.instance_norm(x),
    "unfold": lambda x, w: F.unfold(x, 3), "nearest": lambda x, w: F.interpolate(x, scale_factor=2), "bilinear": lambda x, w:
    F.interpolate(x, scale_factor=1.5, mode="bilinear"), "reflect": lambda x, w: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "pixel_shuffle": lambda x, w: F.pixel_shuffle(x.reshape(2, 4, 3, 3 * 2), 2),
    "batch_norm2d": lambda x, w: F.batch_norm(x, None, None, training=True),
}  # fmt: skip
CASES: list[Any] = [
    *[pytest.param(f, [M], False, id=name) for name, f in UNARY.items()],
    *[pytest.param(f, [M], True, id=name) for name, f in POSITIVE.items()],
    *[pytest.param(f, [M, M], False, id=name) for name, f in PAIRS.items()],
    *[pytest.param(f, [IMAGE, (2, 2, 3, 3)], False, id=name) for name, f in IMAGES.items()],
]  # fmt: skip
# In float64 torch's own gradients are wrong here: 1/6 is a float32 constant, trigamma a short series
TORCH_IMPRECISE = {"hardsigmoid": 1e-7, "digamma": 1e-8}


@pytest.mark.parametrize(("function", "shapes", "positive"), CASES)
def test_agrees_with_torch_and_with_exact_differences(function: Any, shapes: Any, positive: bool, request: Any) -> None:
    random = np.random.default_rng(7)
    points = [random.uniform(0.2, 2, s) if positive else random.normal(size=s) for s in shapes]
    plain = [torch.tensor(p, requires_grad=True) for p in points]
    exacts = [to_tensor(exact(p), True) for p in points]
    value, exact_value = function(*plain), function(*exacts)
    assert isinstance(exact_value, ExactTensor)
    np.testing.assert_allclose(floats(exact_value), value.detach().numpy(), rtol=1e-12, atol=1e-14)
    if not value.requires_grad:
        return
    cotangent = random.normal(size=tuple(value.shape))
    gradients = torch.autograd.grad(exact_value, exacts, to_tensor(exact(cotangent)), allow_unused=True)
    expected = torch.autograd.grad(value, plain, torch.tensor(cotangent), allow_unused=True)
    for got, wanted in zip(gradients, expected, strict=True):
        rtol = TORCH_IMPRECISE.get(request.node.callspec.id, 1e-12)
        if wanted is not None:
            np.testing.assert_allclose(floats(got), wanted.numpy(force=True), rtol=rtol, atol=1e-13)

    step = arb(2) ** -120
    directions = [exact(random.normal(size=s)) for s in shapes]
    ahead, behind = (function(*(to_tensor(exact(p) + d * h) for p, d in zip(points, directions, strict=True))) for h in (step, -step))
    slopes = (to_exact(ahead) - to_exact(behind)) / (2 * step)
    numeric = np.sum(slopes * cotangent).balls_[()]
    terms = [to_exact(g) * d for g, d in zip(gradients, directions, strict=True) if g is not None]
    analytic = sum(np.sum(t).balls_[()] for t in terms)
    scale = sum(np.sum(abs(t)).balls_[()] for t in terms) + arb(2) ** -200
    error = float((abs(numeric - analytic) / scale).upper())
    request.node.user_properties.append(("error", error))
    assert error < 1e-13


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 3 * grad * x * x


def test_functions_and_double_backward() -> None:
    x = to_tensor(exact([1.5, -2.0]), requires_grad=True)
    (first,) = torch.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert floats(first).tolist() == [6.75, 12.0]
    assert floats(second).tolist() == [9.0, -12.0]
    assert torch.equal(first, 3 * x * x)


@pytest.mark.parametrize("made", [
    lambda: torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.GELU(), torch.nn.LayerNorm(5), torch.nn.Linear(5, 2)),
    lambda: torch.nn.GRU(4, 3, batch_first=True), lambda: torch.nn.LSTM(4, 3), lambda: torch.nn.RNN(4, 3),
    lambda: torch.nn.Conv1d(3, 2, 2), lambda: torch.nn.MultiheadAttention(4, 2), lambda: torch.nn.Bilinear(4, 4, 2),
    lambda: torch.nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), lambda: torch.nn.BatchNorm1d(3).eval(),
])  # fmt: skip
def test_modules(made: Any) -> None:
    torch.manual_seed(0)
    module = made().double()
    points = torch.randn(2, 3, 4, dtype=torch.float64)
    x, e = points.clone().requires_grad_(), to_tensor(to_exact(points), True)
    first = lambda out: out[0] if isinstance(out, tuple) else out  # noqa: E731
    arguments = {torch.nn.MultiheadAttention: 3, torch.nn.Bilinear: 2}.get(type(module), 1)
    value = first(module(*[x] * arguments))
    wanted = torch.autograd.grad((value**2).sum(), [x, *module.parameters()])
    with exact_mode():
        exact_value = first(module(*[e] * arguments))
        got = torch.autograd.grad((exact_value**2).sum(), [e, *module.parameters()])
    np.testing.assert_allclose(floats(exact_value), value.detach().numpy(), rtol=1e-12)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(floats(a), b.numpy(), rtol=1e-10, atol=1e-13)


def test_views_share_memory() -> None:
    x = to_tensor(exact(np.arange(12.0).reshape(3, 4)))
    row, column, turned = x[1], x[:, 2], x.t()
    row.fill_(7)
    column.add_(1)
    turned[0, 0] = 9
    x.view(-1)[-1] = 5
    assert floats(x).tolist() == [[9, 1, 3, 3], [7, 7, 8, 7], [8, 9, 11, 5]]
    assert floats(row).tolist() == [7, 7, 8, 7]
    assert floats(column).tolist() == [3, 8, 11]
    assert not turned.is_contiguous()
    assert row._is_view()
    x.unsqueeze_(0)
    assert x.shape == (1, 3, 4)
    assert to_exact(x).shape == (1, 3, 4)


def test_conversions_copy() -> None:
    array = exact([1.0, 2.0])
    tensor = to_tensor(array)
    tensor.zero_()
    assert floats(to_tensor(array)).tolist() == [1.0, 2.0]
    to_exact(tensor)[0] = 5.0
    assert floats(tensor).tolist() == [0.0, 0.0]
    assert floats(to_exact_tensor := to_tensor(to_exact(torch.tensor([0.1])))).tolist() == [float(np.float32(0.1))], to_exact_tensor


def test_a_plain_float_tensor_is_never_written_to() -> None:
    x = to_tensor(exact([1.0, 2.0, 3.0]))
    plain = torch.zeros(3)
    for write in (lambda: plain.copy_(x), lambda: plain.add_(x), lambda: plain.__setitem__(0, x[0]), lambda: torch.add(x, 1, out=plain)):
        with pytest.raises(NotExact, match="plain float tensor"):
            write()
    with pytest.raises(NotExact, match="plain float tensor"):
        plain[torch.tensor([0, 1])] = x[:2]
    flags = torch.zeros(3, dtype=torch.bool)
    flags |= x > 1.5
    assert flags.tolist() == [False, True, True]


@pytest.mark.parametrize("leak", [
    lambda x: x.item(), lambda x: x.tolist(), lambda x: float(x), lambda x: x.numpy(), lambda x: np.asarray(x),
    lambda x: x.detach().numpy(),
    lambda x: np.exp(x), lambda x: f"{x:.3f}",
])  # fmt: skip
def test_leaks_are_refused(leak: Any) -> None:
    with pytest.raises(NotExact):
        leak(to_tensor(exact(2.0)))


def test_what_has_no_counterpart_is_named() -> None:
    with pytest.raises(NotExact, match="_linalg_eigh"):
        torch.linalg.eigh(to_tensor(exact(np.eye(2))))
    with pytest.raises(NotExact, match="complex"):
        to_tensor(exact(1.0)) * torch.tensor(1j)


def test_undecided_comparisons_reach_the_caller() -> None:
    third = to_tensor(exact([1.0]), requires_grad=True) / 3
    with pytest.raises(Undecided):
        bool(third * 3 > 1)
    assert bool((third == third).all())  # the same entry equals itself


def test_exceptions_pass_through_backward_unchanged() -> None:
    x = to_tensor(exact([1.0]), requires_grad=True)
    y = F.hardtanh(x / 3 * 3)
    with pytest.raises(Undecided):
        torch.autograd.grad(y.sum(), x)


def test_exact_mode_makes_buffers_exact() -> None:
    with exact_mode():
        x = to_tensor(exact([1.0, 2.0]), requires_grad=True) / 3
        out = torch.zeros(3)
        out[1:] = x
        made = [
            out,
            torch.tensor([0.1, 2]),
            torch.full((2,), 0.1),
            torch.linspace(0, 1, 4),
            torch.arange(0, 1, 0.25),
            torch.eye(2),
            torch.ones(2) / 3,
        ]
        assert all(isinstance(m, ExactTensor) for m in made)
        assert floats(made[1])[0] == 0.1
        assert floats(made[5]).tolist() == [[1, 0], [0, 1]]
        assert to_exact(made[3] * 3)[1].balls_[()].contains(1)
        assert to_exact(made[6] * 3).balls_[0].contains(1)
        assert torch.arange(3).tolist() == [0, 1, 2]
        assert torch.rand(2).numpy().shape == (2,)
        assert isinstance(torch.nn.Linear(2, 2).weight, ExactTensor)
    assert not isinstance(torch.zeros(1), ExactTensor)
    assert torch.get_default_dtype() == torch.float32


def test_narrower_floats_stay_exact() -> None:
    weight = torch.full((2, 3), 0.1, requires_grad=True)
    x = to_tensor(exact([0.1, 0.2, 0.3]))
    for _ in range(2):
        (weight * x.to(torch.float16)).sum().backward()
    assert isinstance(weight.grad, ExactTensor)
    assert floats(weight.grad / 2).tolist() == [[0.1, 0.2, 0.3]] * 2


def test_deepcopy_and_print() -> None:
    x = to_tensor(exact([1.0]), requires_grad=True)
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert "1.00000" in repr(twin)


def test_state_of_batch_norm_is_exact_in_exact_mode() -> None:
    points = torch.randn(4, 3, dtype=torch.float64)
    with exact_mode():
        module = torch.nn.BatchNorm1d(3)
        module(to_tensor(to_exact(points)))
    plain = torch.nn.BatchNorm1d(3).double()
    plain(points)
    np.testing.assert_allclose(floats(module.running_var), plain.running_var.numpy(), rtol=1e-12)
    assert int(module.num_batches_tracked) == 1


def test_views_of_one_kind_lie_where_each_of_them_is() -> None:
    x = to_tensor(exact(np.arange(24.0).reshape(4, 6)))
    rows = [x[i, 1:5:2] for i in range(4)]
    assert [floats(r).tolist() for r in rows] == [[1, 3], [7, 9], [13, 15], [19, 21]]
    assert floats(x.t()[1:5:2, 2]).tolist() == [13, 15]
    assert floats(x[4:].sum(0)).tolist() == [0] * 6
    parts = x.split([1, 2, 3], 1)
    assert [p.shape[1] for p in parts] == [1, 2, 3]
    parts[1].mul_(2)
    assert floats(x[1]).tolist() == [6, 14, 16, 9, 10, 11]
    x.detach().zero_()
    assert floats(rows[3]).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_bits_are_not_looked_at(dtype: torch.dtype) -> None:
    with pytest.raises(NotExact, match="another dtype by view"):
        to_tensor(exact([1.0, 2.0])).view(dtype)


def test_compiled_functions_stay_exact() -> None:
    compiled = torch.compile(lambda x: torch.tanh(x) * x, backend="eager")
    x = to_tensor(exact([0.5, -1.0]), requires_grad=True)
    with exact_mode():
        value = compiled(x)
    assert isinstance(value, ExactTensor)
    np.testing.assert_allclose(floats(value), [np.tanh(0.5) / 2, np.tanh(1)], rtol=1e-15)
