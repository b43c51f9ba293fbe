"""Normalisations: batch, layer, RMS, group, instance."""

from __future__ import annotations

import numpy as np

from gradcheck import Option, Real, equal, spec
from gradcheck.lazy import torch


def _centred(x):
    """``x`` less its mean over the last axis; the second step takes out the rounding of the first."""
    once = x - np.mean(x, axis=-1, keepdims=True)
    return once - np.mean(once, axis=-1, keepdims=True)


def _standardised(x, eps):
    """(x - mean) / sqrt(variance + eps) over the last axis."""
    c = _centred(x)
    return c / np.sqrt(np.mean(c * c, axis=-1, keepdims=True) + eps)


def _apart(x):
    """x_i - x_j of every two entries of the last axis."""
    return x[..., :, None] - x[..., None, :]


def _standardised_vjp(g, x, eps):
    """The gradient of ``_standardised``."""
    return _by_differences(g, _apart(x), _centred(x), eps)


def _by_differences(g, apart, centred, eps):
    """The gradient of ``_standardised``, by its Jacobian J / (N (variance + eps)^(3/2)).

    J_ij is minus eps + mean_k (x_i - x_k) (x_j - x_k), and J_ii is (N - 1) eps plus the sum of
    (x_j - x_k)^2 / N over all pairs without i. They are 0 but for the eps in a batch of two, and at a
    point whose fellows are tied; there the textbook's g - mean g - x_hat mean(g x_hat) cancels, while
    differences of the inputs give these zeros exactly. The price is cubic in N.
    """
    n = g.shape[-1]
    others = 1 - np.eye(n, dtype=g.dtype)
    own = np.sum(others * (eps + others @ (apart * apart) / (2 * n)), axis=-1, keepdims=True)
    cross = eps + apart @ np.swapaxes(apart, -1, -2) / n
    spread = np.mean(centred**2, axis=-1, keepdims=True) + eps
    return (np.where(others == 1, -cross, own) @ g[..., None])[..., 0] / (n * spread * np.sqrt(spread))


def _turned(g, x):
    """sum_j x_j (g_i x_j - x_i g_j) over the last axis: x_j^2 g_i - x_i x_j g_j, which cancel for j = i."""
    apart = g[..., :, None] * x[..., None, :] - x[..., :, None] * g[..., None, :]
    return np.sum(apart * x[..., None, :], axis=-1)


def _channels_last(x):
    """(batch, channels, ...) as (channels, all else), as batch norm sees it."""
    return np.reshape(np.swapaxes(x, 0, 1), (x.shape[1], -1))


def _channels_back(rows, like):
    """The way back of ``_channels_last``, to the shape of ``like``."""
    batch, channels, *rest = like.shape
    return np.swapaxes(np.reshape(rows, (channels, batch, *rest)), 0, 1)


def _per_channel(values, like):
    """One value per channel, so that it broadcasts against (batch, channels, ...)."""
    return np.reshape(values, (-1, *[1] * (like.ndim - 2)))


def _to_affine(dy, x_hat):
    """The gradients of gamma and beta: sums over all axes but the channels."""
    axes = (0, *range(2, dy.ndim))
    return np.sum(dy * x_hat, axis=axes), np.sum(dy, axis=axes)


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
    "batch_norm_running",
    family="layer",
    x=Real("batch>=2", "features"),
    running_mean=Real("features"),
    running_variance=Real("features", low=0, closed=True),
    momentum=Option(0.1, 1.0),
    correction=Option(1, 0),
    eps=Option(1e-5),
    torch=lambda x, running_mean, running_variance, momentum, correction, eps: (
        torch.nn.functional.batch_norm(x, None, None, training=True, eps=eps),
        (1 - momentum) * running_mean + momentum * x.mean(0),
        (1 - momentum) * running_variance + momentum * x.var(0, correction=correction),
    ),
)
def batch_norm_running(x, running_mean, running_variance, momentum, correction, eps):
    """Batch norm in training, not affine, with the statistics it keeps: (normalised, new mean, new variance).

    new = (1 - momentum) old + momentum of the batch. The batch is normalised by the biased variance
    (over N), but the running one takes the unbiased (over N - correction = N - 1), as torch does; Keras
    takes the biased. All three outputs are functions of x. Reference: composed of torch primitives,
    since torch updates its buffers outside of autograd. Source: the documentation of torch.nn.BatchNorm1d.
    """
    mean = (1 - momentum) * running_mean + momentum * np.mean(x, axis=0)
    variance = (1 - momentum) * running_variance + momentum * np.sum(_centred(x.T) ** 2, axis=-1) / (len(x) - correction)
    return _standardised(x.T, eps).T, mean, variance


@batch_norm_running.vjp
def _(dy, x, running_mean, running_variance, momentum, correction, eps, y):
    to_y, to_mean, to_variance = dy
    of_statistics = momentum / len(x) * to_mean + 2 * momentum / (len(x) - correction) * _centred(x.T).T * to_variance
    to_x = _standardised_vjp(to_y.T, x.T, eps).T + of_statistics
    return to_x, (1 - momentum) * to_mean, (1 - momentum) * to_variance


@batch_norm_running.law("statistics that are those of the batch stay")
def _(f, x, momentum, correction, eps):
    mean, variance = np.mean(x, axis=0), np.var(x, axis=0, ddof=correction)
    _, new_mean, new_variance = f(x, mean, variance, momentum, correction, eps)
    return equal(new_mean, mean), equal(new_variance, variance)


@batch_norm_running.law("the running variance with momentum 1 is N / (N - 1) times the biased one")
def _(f, x, running_mean, running_variance, eps):
    unbiased, biased = (f(x, running_mean, running_variance, 1.0, c, eps)[2] for c in (1, 0))
    return equal((len(x) - 1) * unbiased, len(x) * biased)


@batch_norm_running.exhibit("running variance from the biased variance of the batch", expects="V101")
def _(x, running_mean, running_variance, momentum, correction, eps):
    mean = (1 - momentum) * running_mean + momentum * np.mean(x, axis=0)
    variance = (1 - momentum) * running_variance + momentum * np.mean(_centred(x.T) ** 2, axis=-1)
    return _standardised(x.T, eps).T, mean, variance


@spec(
    "batch_norm_eval",
    family="layer",
    x=Real("batch", "features"),
    running_mean=Real("features", differentiable=False),
    running_variance=Real("features", low=0, closed=True, differentiable=False),
    gamma=Real("features"),
    beta=Real("features"),
    eps=Option(1e-5, 1e-3),
    torch=lambda x, running_mean, running_variance, gamma, beta, eps: torch.nn.functional.batch_norm(
        x, running_mean, running_variance, gamma, beta, training=False, eps=eps
    ),
)
def batch_norm_eval(x, running_mean, running_variance, gamma, beta, eps):
    """gamma (x - mean) / sqrt(variance + eps) + beta with given statistics: batch norm in evaluation.

    The statistics are constants (buffers, without a gradient); the derivative with respect to x is
    gamma / sqrt(variance + eps). Source: Ioffe and Szegedy, Batch Normalization, ICML (2015), algorithm 2.
    """
    return gamma * ((x - running_mean) / np.sqrt(running_variance + eps)) + beta


@batch_norm_eval.vjp
def _(dy, x, running_mean, running_variance, gamma, beta, eps, y):
    deviation = np.sqrt(running_variance + eps)
    return dy * (gamma / deviation), *_to_affine(dy, (x - running_mean) / deviation)


@batch_norm_eval.law("batch norm in training, when the statistics are those of the batch")
def _(f, gamma, beta, eps, batch=Real("3", "features")):
    given = f(batch, np.mean(batch, axis=0), np.var(batch, axis=0), gamma, beta, eps)
    return equal(given, batch_norm_train(batch, gamma, beta, eps))


@batch_norm_eval.law("beta at the mean")
def _(f, x, running_mean, running_variance, gamma, beta, eps):
    return equal(f(0 * x + running_mean, running_mean, running_variance, gamma, beta, eps) - beta, 0)


@batch_norm_eval.law("folds into a scale and a shift")
def _(f, x, running_mean, running_variance, gamma, beta, eps):
    scale = gamma / np.sqrt(running_variance + eps)
    return equal(f(x, running_mean, running_variance, gamma, beta, eps), scale * x + (beta - running_mean * scale))


@batch_norm_eval.exhibit("backward of training in evaluation", expects="G101", part="vjp")
def _(dy, x, running_mean, running_variance, gamma, beta, eps, y):
    deviation = np.sqrt(running_variance + eps)
    to_gamma, to_beta = _to_affine(dy, (x - running_mean) / deviation)
    return (dy - np.mean(dy, axis=0)) * (gamma / deviation), to_gamma, to_beta


@spec(
    "batch_norm_1d",
    family="layer",
    x=Real("2", "channels", "length"),
    gamma=Real("channels"),
    beta=Real("channels"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, eps: torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps),
)
def batch_norm_1d(x, gamma, beta, eps):
    """Batch norm in training of (batch, channels, length): mean and (biased) variance over batch and length.

    The derivative is that of ``batch_norm_train``, over as many entries as batch and length hold; cubic in
    their number. Source: Ioffe and Szegedy, Batch Normalization, ICML (2015), section 3.2.
    """
    x_hat = _channels_back(_standardised(_channels_last(x), eps), x)
    return _per_channel(gamma, x) * x_hat + _per_channel(beta, x)


@batch_norm_1d.vjp
def _(dy, x, gamma, beta, eps, y):
    rows = _channels_last(x)
    to_x = _channels_back(_standardised_vjp(_channels_last(dy), rows, eps), x)
    return _per_channel(gamma, x) * to_x, *_to_affine(dy, _channels_back(_standardised(rows, eps), x))


@batch_norm_1d.law("batch norm of all positions as one batch")
def _(f, x, gamma, beta, eps):
    return equal(_channels_last(f(x, gamma, beta, eps)), batch_norm_train(_channels_last(x).T, gamma, beta, eps).T)


@batch_norm_1d.law("the mean over batch and length is beta")
def _(f, x, gamma, beta, eps):
    return equal(np.mean(f(x, gamma, beta, eps) - _per_channel(beta, x), axis=(0, 2)), 0)


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
    "layer_norm_2d",
    family="layer",
    x=Real("batch", "2", "3"),
    gamma=Real("2", "3"),
    beta=Real("2", "3"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, eps: torch.nn.functional.layer_norm(x, x.shape[-2:], gamma, beta, eps),
)
def layer_norm_2d(x, gamma, beta, eps):
    """Layer norm over the last two axes together: gamma and beta have both.

    The derivative is that of ``layer_norm`` over the entries of both axes.
    Source: the documentation of torch.nn.LayerNorm.
    """
    return gamma * np.reshape(_standardised(np.reshape(x, (len(x), -1)), eps), x.shape) + beta


@layer_norm_2d.vjp
def _(dy, x, gamma, beta, eps, y):
    rows = np.reshape(x, (len(x), -1))
    to_x = np.reshape(_standardised_vjp(np.reshape(gamma * dy, rows.shape), rows, eps), x.shape)
    return to_x, np.sum(dy * np.reshape(_standardised(rows, eps), x.shape), axis=0), np.sum(dy, axis=0)


@layer_norm_2d.law("layer norm of the flattened")
def _(f, x, gamma, beta, eps):
    flat = (len(x), -1)
    rows = layer_norm(np.reshape(x, flat), np.ravel(gamma), np.ravel(beta), eps)
    return equal(np.reshape(f(x, gamma, beta, eps), flat), rows)


@spec(
    "rms_norm",
    family="layer",
    x=Real("batch", "features"),
    gamma=Real("features"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, eps: torch.nn.functional.rms_norm(x, x.shape[-1:], gamma, eps),
)
def rms_norm(x, gamma, eps):
    """gamma x / sqrt(mean(x^2) + eps) over the last axis: layer norm without the mean.

    With r the root and h = gamma dy, the gradient of x is (eps h_i + sum_j x_j (h_i x_j - x_i h_j) / N) / r^3: the
    terms j = i, which cancel in (h - x mean(h x) / r^2) / r, are left out.
    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS (2019), section 4.
    """
    return gamma * (x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps))


@rms_norm.vjp
def _(dy, x, gamma, eps, y):
    square = np.mean(x * x, axis=-1, keepdims=True) + eps
    to_x = (eps * (gamma * dy) + _turned(gamma * dy, x) / x.shape[-1]) / (square * np.sqrt(square))
    return to_x, np.sum(dy * (x / np.sqrt(square)), axis=0)


@rms_norm.law("the mean square of the output is gamma^2 v / (v + eps) for equal gamma")
def _(f, x, gamma, eps):
    square = np.mean(x * x, axis=-1)
    return equal(np.mean(f(x, 0 * gamma + 3, eps) ** 2, axis=-1), 9 * square / (square + eps))


@rms_norm.law("odd")
def _(f, x, gamma, eps):
    return equal(f(-x, gamma, eps), -f(x, gamma, eps))


@rms_norm.law("layer norm of rows without a mean")
def _(f, x, gamma, eps):
    c = x - np.mean(x, axis=-1, keepdims=True)
    return equal(f(c, gamma, eps), layer_norm(c, gamma, 0 * gamma, eps))


@rms_norm.exhibit("textbook backward, which cancels", expects="N104", part="vjp")
def _(dy, x, gamma, eps, y):
    root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    x_hat = x / root
    to_x = (gamma * dy - x_hat * np.mean(gamma * dy * x_hat, axis=-1, keepdims=True)) / root
    return to_x, np.sum(dy * x_hat, axis=0)


@spec(
    "group_norm",
    family="layer",
    x=Real("batch", "4", "2"),
    gamma=Real("4"),
    beta=Real("4"),
    groups=Option(2, 1, 4),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, groups, eps: torch.nn.functional.group_norm(x, groups, gamma, beta, eps),
)
def group_norm(x, gamma, beta, groups, eps):
    """gamma (x - mean) / sqrt(variance + eps) + beta, mean and (biased) variance over every group of channels.

    x: (batch, channels, length); gamma and beta have one value per channel, not per group. The derivative is that of
    ``layer_norm`` over the entries of a group. Source: Wu and He, Group Normalization, ECCV (2018), section 3.1.
    """
    x_hat = np.reshape(_standardised(np.reshape(x, (len(x), groups, -1)), eps), x.shape)
    return _per_channel(gamma, x) * x_hat + _per_channel(beta, x)


@group_norm.vjp
def _(dy, x, gamma, beta, groups, eps, y):
    rows = np.reshape(x, (len(x), groups, -1))
    to_x = _standardised_vjp(np.reshape(_per_channel(gamma, x) * dy, rows.shape), rows, eps)
    return np.reshape(to_x, x.shape), *_to_affine(dy, np.reshape(_standardised(rows, eps), x.shape))


@group_norm.law("with one group, layer norm over channels and length")
def _(f, x, gamma, beta, eps):
    rows = np.reshape(x, (len(x), -1))
    one, zero = np.ones(rows.shape[1]), np.zeros(rows.shape[1])
    normed = np.reshape(layer_norm(rows, one, zero, eps), x.shape)
    return equal(f(x, gamma, beta, 1, eps), _per_channel(gamma, x) * normed + _per_channel(beta, x))


@group_norm.law("unchanged when a whole group is shifted")
def _(f, x, gamma, beta, groups, eps, shift=Real("4", upto=8)):
    by_group = np.repeat(shift[:groups], 4 // groups)
    return equal(f(x + _per_channel(by_group, x), gamma, beta, groups, eps), f(x, gamma, beta, groups, eps))


@spec(
    "instance_norm",
    family="layer",
    x=Real("batch", "2", "length>=2"),
    gamma=Real("2"),
    beta=Real("2"),
    eps=Option(1e-5, 1e-8),
    torch=lambda x, gamma, beta, eps: torch.nn.functional.instance_norm(x, weight=gamma, bias=beta, eps=eps),
)
def instance_norm(x, gamma, beta, eps):
    """gamma (x - mean) / sqrt(variance + eps) + beta, mean and (biased) variance over every channel of every example.

    x: (batch, channels, length), of length 2 or more (torch refuses 1). The derivative is that of ``layer_norm`` over
    the length. Source: Ulyanov, Vedaldi, Lempitsky, Instance Normalization, arXiv 1607.08022 (2016).
    """
    return _per_channel(gamma, x) * _standardised(x, eps) + _per_channel(beta, x)


@instance_norm.vjp
def _(dy, x, gamma, beta, eps, y):
    return _standardised_vjp(_per_channel(gamma, x) * dy, x, eps), *_to_affine(dy, _standardised(x, eps))


@instance_norm.law("group norm with a group for every channel")
def _(f, x, gamma, beta, eps):
    return equal(f(x, gamma, beta, eps), group_norm(x, gamma, beta, 2, eps))


@instance_norm.law("every channel of every example has the mean beta")
def _(f, x, gamma, beta, eps):
    return equal(np.mean(f(x, gamma, beta, eps) - _per_channel(beta, x), axis=-1), 0)
