"""Wrong backwards and forwards of the layers."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import unbroadcast
from gradcheck.specs.normalisation import _centred, _standardised, _standardised_vjp

from .registry import SPECS, changed, mutant, off, table, value_mutant

table("G102", [
    ("affine", "b", "mean over the rows for the sum", lambda g, dy, x, w, *_: g / max(x.size // len(w), 1), "one over the number of rows"),
    ("softmax_with_loss", "logits", "without the 1/N", lambda g, dy, x, t, y: g * len(x), "the number of rows of logits"),
    ("dropout", "x", "without the division by 1 - rate", lambda g, dy, x, m, rate, y: g * (1 - rate), "1 - rate"),
    ("dropout", "x", "divided by 1 - rate twice", lambda g, dy, x, m, rate, y: g / (1 - rate), "1 - rate"),
    ("multiply", "a", "a relative error of 1e-12", lambda g, *_: g * (1 + 1e-12)),
])  # fmt: skip

table("G103", [
    ("add", "b", "minus the gradient", lambda g, *_: -g),
    ("affine", "w", "minus the gradient", lambda g, *_: -g),
], cause="the wrong way round")  # fmt: skip

table("G105", [
    ("affine", "w", "transposed", lambda g, *_: g.T),
    ("residual", "w", "transposed, though square", lambda g, *_: g.T),
], cause="wrong order")  # fmt: skip

table("G107", [
    ("affine", "b", "a stray keepdims", lambda g, *_: g[None], "an axis"),
    ("add", "a", "a stray axis", lambda g, *_: g[..., None], "an axis"),
])  # fmt: skip

table("G112", [
    ("affine", "b", "None for the bias", lambda g, *_: None, "None"),
    ("add", "b", "zeros for the second", lambda g, *_: np.zeros_like(g)),
    ("residual", "w", "zeros for the weight", lambda g, *_: np.zeros_like(g)),
])  # fmt: skip

table("G101", [
    ("affine", "w", "the entry (0, 0) off by 1e-10", lambda g, *_: off(g, 0, 10)),
    ("residual", "x", "the last row zero", lambda g, *_: g * (np.arange(len(g)) != len(g) - 1)[:, None]),
])  # fmt: skip


@mutant("add", "not reduced", expects="G106", argument="b", cause="sum over the broadcast axes", also=(("G106", "a"),))
def _(dy, a, b, y):
    return dy, dy


@mutant("multiply", "not reduced", expects="G106", argument="b", cause="sum over the broadcast axes", also=(("G106", "a"),))
def _(dy, a, b, y):
    return dy * b, dy * a


@mutant("multiply", "each multiplied by itself", expects="G101", argument="a", also=(("G101", "b"),))
def _(dy, a, b, y):
    return unbroadcast(dy * a, np.shape(a)), unbroadcast(dy * b, np.shape(b))


@mutant(
    "multiply",
    "mean for the sum over the broadcast axes",
    expects="G102",
    argument="b",
    cause="one over the number of entries of a for each of b",
)
def _(dy, a, b, y):
    return unbroadcast(dy * b, np.shape(a)), unbroadcast(dy * a, np.shape(b)) * (b.size / a.size if a.size else 1)


@mutant("add", "upstream ignored", expects="G104", argument="a")
def _(dy, a, b, y):
    return unbroadcast(np.ones_like(dy), np.shape(a)), unbroadcast(dy, np.shape(b))


@mutant("multiply", "writes into the second argument", expects="S101", argument="b")
def _(dy, a, b, y):
    to_a = unbroadcast(dy * b, np.shape(a))
    to_b = unbroadcast(dy * a, np.shape(b))
    b[...] = 0
    return to_a, to_b


@mutant("affine", "the weight not transposed", expects="G101", argument="x", also=(("R101", None),))
def _(dy, x, w, b, y):
    # runs for a square weight alone: R101 tells the rest
    _, to_w, to_b = SPECS["affine"].backward(dy, x, w, b, y)
    return dy @ w, to_w, to_b


@mutant("affine", "upstream ignored for the bias", expects="G104", argument="b")
def _(dy, x, w, b, y):
    to_x, to_w, _ = SPECS["affine"].backward(dy, x, w, b, y)
    return to_x, to_w, np.sum(np.ones_like(dy).reshape(-1, w.shape[1]), axis=0)


@mutant("residual", "the weight not transposed", expects="G101", argument="x")
def _(dy, x, w, y):
    return dy + dy @ w, x.T @ dy


@mutant("residual", "adds into the upstream gradient", expects="S102", argument=None)
def _(dy, x, w, y):
    to_w = x.T @ dy
    dy += dy @ w.T
    return dy.copy(), to_w


@mutant("softmax_with_loss", "softmax without the targets", expects="G101", argument="logits")
def _(dy, logits, targets, y):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return dy / len(logits) * e / np.sum(e, axis=1, keepdims=True)


def norm_vjp(dy, x, gamma, eps):
    """The house vjp of batch norm with an eps of one's own."""
    to_x = gamma * _standardised_vjp(dy.T, x.T, eps).T
    return to_x, np.sum(dy * _standardised(x.T, eps).T, axis=0), np.sum(dy, axis=0)


def swap(spec, argument, body):
    """The house vjp with the gradient of ``argument`` by another function of the same signature."""
    return changed(spec, argument, lambda g, *given: body(*given))


@mutant("batch_norm_train", "gamma's gradient not summed over the batch", expects="G106", argument="gamma")
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = norm_vjp(dy, x, gamma, eps)
    return to_x, dy * _standardised(x.T, eps).T, to_beta


@mutant("batch_norm_train", "gamma's gradient with x for the normalised x", expects="G101", argument="gamma")
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = norm_vjp(dy, x, gamma, eps)
    return to_x, np.sum(dy * x, axis=0), to_beta


def undefined(argument, *codes):
    """Without eps a feature that does not vary is 0 / 0; with its negative, over the root of less than 0."""
    return tuple((code, argument) for code in codes)


@mutant(
    "batch_norm_train", "eps forgotten in the gradient of x", expects="G111", argument="x", cause="eps", also=undefined("x", "N102", "N103")
)
def _(dy, x, gamma, beta, eps, y):
    _, to_gamma, to_beta = norm_vjp(dy, x, gamma, eps)
    return norm_vjp(dy, x, gamma, 0.0)[0], to_gamma, to_beta


@mutant(
    "batch_norm_train",
    "eps with the wrong sign in the gradient of gamma",
    expects="G111",
    argument="gamma",
    cause="eps",
    also=undefined("gamma", "N103"),
)
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = norm_vjp(dy, x, gamma, eps)
    return to_x, norm_vjp(dy, x, gamma, -eps)[1], to_beta


@mutant("batch_norm_train", "eps moved out of the root in the gradient of gamma", expects="G111", argument="gamma", cause="eps")
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = norm_vjp(dy, x, gamma, eps)
    c = _centred(x.T).T
    return to_x, np.sum(dy * c / (np.sqrt(np.mean(c * c, axis=0)) + eps), axis=0), to_beta


@mutant("batch_norm_train", "unbiased variance in the gradient of gamma", expects="G101", argument="gamma")
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = norm_vjp(dy, x, gamma, eps)
    c = _centred(x.T).T
    return to_x, np.sum(dy * c / np.sqrt(np.sum(c * c, axis=0) / (len(x) - 1) + eps), axis=0), to_beta


@mutant("batch_norm_train", "the way through the variance left out", expects="G101", argument="x")
def _(dy, x, gamma, beta, eps, y):
    _, to_gamma, to_beta = norm_vjp(dy, x, gamma, eps)
    return gamma * _centred(dy.T).T / np.sqrt(np.mean(_centred(x.T).T ** 2, axis=0) + eps), to_gamma, to_beta


@mutant("batch_norm_train", "the way through the mean left out", expects="G101", argument="x")
def _(dy, x, gamma, beta, eps, y):
    to_x, to_gamma, to_beta = norm_vjp(dy, x, gamma, eps)
    return to_x + gamma * np.mean(dy, axis=0) / np.sqrt(np.mean(_centred(x.T).T ** 2, axis=0) + eps), to_gamma, to_beta


@mutant("layer_norm", "gamma behind the mean, not before it", expects="G101", argument="x")
def _(dy, x, gamma, beta, eps, y):
    _, to_gamma, to_beta = SPECS["layer_norm"].backward(dy, x, gamma, beta, eps, y)
    return gamma * _standardised_vjp(dy, x, eps), to_gamma, to_beta


@mutant(
    "layer_norm",
    "eps forgotten in the gradient of gamma",
    expects="G111",
    argument="gamma",
    cause="eps",
    also=undefined("gamma", "N102", "N103"),
)
def _(dy, x, gamma, beta, eps, y):
    to_x, _, to_beta = SPECS["layer_norm"].backward(dy, x, gamma, beta, eps, y)
    return to_x, np.sum(dy * _standardised(x, 0.0), axis=0), to_beta


@mutant("dropout", "the mask forgotten", expects="G101", argument="x")
def _(dy, x, mask, rate, y):
    return dy / (1 - rate)


@mutant("dropout", "writes into the mask", expects="S101", argument="mask")
def _(dy, x, mask, rate, y):
    mask /= 1 - rate
    mask *= dy
    return mask.copy()


@mutant("l2_normalize", "no case for short rows", expects="G111", argument="x", cause="eps", also=undefined("x", "N102", "N103"))
def _(dy, x, eps, y):
    y = x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
    return SPECS["l2_normalize"].backward(dy, x, 0.0, y)


@mutant("l2_normalize", "short rows treated like long ones, but for the division", expects="G101", argument="x")
def _(dy, x, eps, y):
    norm = np.sqrt(np.maximum(np.sum(x * x, axis=-1, keepdims=True), eps))
    turned = dy[..., :, None] * y[..., None, :] - y[..., :, None] * dy[..., None, :]
    return np.sum(turned * y[..., None, :], axis=-1) / norm


# Forwards.


@value_mutant("add", "minus for plus, with its own vjp", expects="V101", vjp=changed("add", "b", lambda g, *_: -g))
def _(a, b):
    return a - b


@value_mutant("affine", "bias forgotten", expects="V101", vjp=changed("affine", "b", lambda g, *_: 0 * g))
def _(x, w, b):
    return x @ w


@value_mutant(
    "dropout",
    "without the division by 1 - rate",
    expects="V102",
    cause="1 - rate",
    vjp=changed("dropout", "x", lambda g, dy, x, m, rate, y: g * (1 - rate)),
)
def _(x, mask, rate):
    return x * mask


@value_mutant("softmax_with_loss", "sum over the batch for the mean", expects="V102", cause="the number of rows of logits")
def _(logits, targets):
    return SPECS["softmax_with_loss"].forward(logits, targets) * len(logits)


@value_mutant("batch_norm_train", "the unbiased variance, the vjp of the other", expects="V101")
def _(x, gamma, beta, eps):
    return gamma * (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0, ddof=1) + eps) + beta


@value_mutant("layer_norm", "eps outside the root", expects="V101")
def _(x, gamma, beta, eps):
    c = _centred(x)
    return gamma * c / (np.sqrt(np.mean(c * c, axis=-1, keepdims=True)) + eps) + beta


@value_mutant("affine", "a row in front", expects="V104", vjp=lambda dy, x, w, b, y: SPECS["affine"].backward(dy[0], x, w, b, y[0]))
def _(x, w, b):
    return (x @ w + b)[None]


@value_mutant("multiply", "writes into its input", expects="S101", argument="a")
def _(a, b):
    product = a * b
    a[...] = 0
    return product
