"""Normalisations: batch, layer, L2."""

from __future__ import annotations

import numpy as np

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _centred(x):
    """``x`` less its mean over the last axis; the second step takes out the rounding of the first."""
    once = x - np.mean(x, axis=-1, keepdims=True)
    return once - np.mean(once, axis=-1, keepdims=True)


def _standardised(x, eps):
    """(x - mean) / sqrt(variance + eps) over the last axis."""
    c = _centred(x)
    return c / np.sqrt(np.mean(c * c, axis=-1, keepdims=True) + eps)


def _standardised_vjp(g, x, eps):
    """The gradient of ``_standardised``, by its Jacobian J / (N (variance + eps)^(3/2)).

    J_ij is minus eps + mean_k (x_i - x_k) (x_j - x_k), and J_ii is (N - 1) eps plus the sum of
    (x_j - x_k)^2 / N over all pairs without i. They are 0 but for the eps in a batch of two, and at a
    point whose fellows are tied; there the textbook's g - mean g - x_hat mean(g x_hat) cancels, while
    differences of the inputs give these zeros exactly. The price is cubic in N.
    """
    n = x.shape[-1]
    others = 1 - np.eye(n, dtype=x.dtype)
    apart = x[..., :, None] - x[..., None, :]
    own = np.sum(others * (eps + others @ (apart * apart) / (2 * n)), axis=-1, keepdims=True)
    cross = eps + apart @ np.swapaxes(apart, -1, -2) / n
    spread = np.mean(_centred(x) ** 2, axis=-1, keepdims=True) + eps
    return (np.where(others == 1, -cross, own) @ g[..., None])[..., 0] / (n * spread * np.sqrt(spread))


@spec(
    "batch_norm_train",
    family="layer",
    x=Real("batch>=2", "features"),
    gamma=Real("features"),
    beta=Real("features"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, eps: torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps),
)
def batch_norm_train(x, gamma, beta, eps):
    """gamma (x - mean) / sqrt(variance + eps) + beta, mean and (biased) variance over the batch.

    The derivative with respect to x passes through the mean and the variance as well; it is
    written for accuracy, at a cost cubic in the batch (see ``_standardised_vjp``).
    Source: Ioffe and Szegedy, Batch Normalization, ICML (2015), algorithm 1.
    """
    return gamma * _standardised(x.T, eps).T + beta


@batch_norm_train.vjp
def _(dy, x, gamma, beta, eps, y):
    to_x = gamma * _standardised_vjp(dy.T, x.T, eps).T
    return to_x, np.sum(dy * _standardised(x.T, eps).T, axis=0), np.sum(dy, axis=0)


@batch_norm_train.law("the mean of the output is beta")
def _(f, x, gamma, beta, eps):
    return equal(np.mean(f(x, gamma, beta, eps) - beta, axis=0), 0)


@batch_norm_train.law("the variance of the output is gamma^2 v / (v + eps)")
def _(f, x, gamma, beta, eps):
    variance = np.var(x, axis=0)
    return equal(np.var(f(x, gamma, beta, eps), axis=0), gamma**2 * variance / (variance + eps))


@batch_norm_train.law("unchanged when a feature is shifted")
def _(f, x, gamma, beta, eps, shift=Real("features", upto=8)):
    return equal(f(x + shift, gamma, beta, eps), f(x, gamma, beta, eps))


@batch_norm_train.law("the gradient of x sums to zero over the batch")
def _(f, x, gamma, beta, eps, dy=Real("batch", "features")):
    return equal(np.sum(f.vjp(dy, x, gamma, beta, eps)[0], axis=0), 0)


@batch_norm_train.exhibit("variance as E[x^2] - E[x]^2, kept from falling below 0", expects="N104")
def _(x, gamma, beta, eps):
    mean = np.mean(x, axis=0)
    return gamma * (x - mean) / np.sqrt(np.maximum(np.mean(x * x, axis=0) - mean * mean, 0) + eps) + beta


@batch_norm_train.exhibit("the textbook backward, which cancels in a batch of two", expects="N104", part="vjp")
def _(dy, x, gamma, beta, eps, y):
    centred = x - np.mean(x, axis=0)
    deviation = np.sqrt(np.mean(centred * centred, axis=0) + eps)
    x_hat = centred / deviation
    to_x = gamma / deviation * (dy - np.mean(dy, axis=0) - x_hat * np.mean(dy * x_hat, axis=0))
    return to_x, np.sum(dy * x_hat, axis=0), np.sum(dy, axis=0)


@batch_norm_train.exhibit("mean and variance taken for constants", expects="G101", part="vjp")
def _(dy, x, gamma, beta, eps, y):
    x_hat = _standardised(x.T, eps).T
    return gamma * dy / np.sqrt(np.var(x, axis=0) + eps), np.sum(dy * x_hat, axis=0), np.sum(dy, axis=0)


@spec(
    "layer_norm",
    family="layer",
    x=Real("batch", "features"),
    gamma=Real("features"),
    beta=Real("features"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, eps: torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, eps),
)
def layer_norm(x, gamma, beta, eps):
    """gamma (x - mean) / sqrt(variance + eps) + beta, mean and (biased) variance over the last axis.

    The derivative is written for accuracy, at a cost cubic in the number of features (see
    ``_standardised_vjp``). Source: Ba, Kiros, Hinton, Layer Normalization, arXiv 1607.06450 (2016).
    """
    return gamma * _standardised(x, eps) + beta


@layer_norm.vjp
def _(dy, x, gamma, beta, eps, y):
    return _standardised_vjp(gamma * dy, x, eps), np.sum(dy * _standardised(x, eps), axis=0), np.sum(dy, axis=0)


@layer_norm.law("batch norm of the transposed")
def _(f, x, gamma, beta, eps):
    batch = len(x)
    normed = batch_norm_train(x.T, np.ones(batch), np.zeros(batch), eps).T
    return equal(f(x, gamma, beta, eps), gamma * normed + beta)


@layer_norm.law("unchanged when a row is shifted")
def _(f, x, gamma, beta, eps, shift=Real("batch", "1", upto=8)):
    return equal(f(x + shift, gamma, beta, eps), f(x, gamma, beta, eps))


@layer_norm.exhibit("variance as E[x^2] - E[x]^2, kept from falling below 0", expects="N104")
def _(x, gamma, beta, eps):
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.maximum(np.mean(x * x, axis=-1, keepdims=True) - mean * mean, 0)
    return gamma * (x - mean) / np.sqrt(variance + eps) + beta


@spec(
    "l2_normalize",
    family="layer",
    x=Real("batch", "features"),
    eps=Option(1e-12, 1e-4),
    torch=lambda x, eps: x / torch.sqrt(torch.clamp((x * x).sum(-1, keepdim=True), min=eps)),
)
def l2_normalize(x, eps):
    """x / sqrt(max(sum x^2, eps)) over the last axis: rows of length 1, but for those near zero.

    Where sum x^2 < eps the denominator is constant and the derivative 1 / sqrt(eps); elsewhere the
    gradient is sum_j x_j (g_i x_j - x_i g_j) / |x|^3, the familiar (g - y (y . g)) / |x| without
    its cancellation. Reference: composed of torch primitives (torch's own has max(|x|, eps)).
    Source: the documentation of tf.math.l2_normalize.
    """
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=-1, keepdims=True), eps))


@l2_normalize.vjp
def _(dy, x, eps, y):
    square = np.sum(x * x, axis=-1, keepdims=True)
    norm = np.sqrt(np.maximum(square, eps))
    turned = dy[..., :, None] * y[..., None, :] - y[..., :, None] * dy[..., None, :]
    along_sphere = np.sum(turned * y[..., None, :], axis=-1)
    return np.where(square < eps, dy, along_sphere) / norm


@l2_normalize.law("unchanged by a positive scale")
def _(f, x, eps, scale=Real(low=1, upto=8)):
    long = np.where(np.sum(x * x, axis=-1, keepdims=True) < eps, 1, x)
    return equal(f(scale * long, eps), f(long, eps))


@l2_normalize.law("no row is longer than 1")
def _(f, x, eps):
    return at_most(np.sum(f(x, eps) ** 2, axis=-1), 1)


@l2_normalize.law("the gradient is perpendicular to a row that is not too short")
def _(f, x, eps, dy=Real("batch", "features")):
    long = np.where(np.sum(x * x, axis=-1, keepdims=True) < eps, 1, x)
    return equal(np.sum(long * f.vjp(dy, long, eps), axis=-1), 0)


@l2_normalize.exhibit("norm taken for a constant", expects="G101", part="vjp")
def _(dy, x, eps, y):
    return dy / np.sqrt(np.maximum(np.sum(x * x, axis=-1, keepdims=True), eps))


@l2_normalize.exhibit("projection g - y (y . g), which cancels", expects="N104", part="vjp")
def _(dy, x, eps, y):
    square = np.sum(x * x, axis=-1, keepdims=True)
    across = np.where(square < eps, dy, dy - y * np.sum(y * dy, axis=-1, keepdims=True))
    return across / np.sqrt(np.maximum(square, eps))
