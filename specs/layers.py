"""Layers and graph nodes: add, multiply, affine, residual, softmax with loss, normalisations, dropout."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import softmax_less, surprisal, unbroadcast
from gradcheck.specs.cross_entropy import cross_entropy

from gradcheck import Labels, Mask, OneHot, Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "add",
    family="layer",
    a=Real("*s"),
    b=Real("*s", broadcast=True),
    torch=lambda a, b: a + b,
)
def add(a, b):
    """a + b, the second broadcast to the shape of the first.

    Each gradient is dy, summed over the axes along which the argument was broadcast.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return a + b


@add.vjp
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), unbroadcast(dy, np.shape(b))


@add.law("commutative")
def _(f, a, b):
    return equal(f(a, b), f(b, a))


@add.law("every gradient sums to the sum of the cotangents")
def _(f, a, b, dy=Real("*s")):
    to_a, to_b = f.vjp(dy, a, b)
    return equal(np.sum(to_a), np.sum(dy)), equal(np.sum(to_b), np.sum(dy))


@add.exhibit("gradient of the second not summed over its broadcast axes", expects="G106", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), +dy


@spec(
    "multiply",
    family="layer",
    a=Real("*s"),
    b=Real("*s", broadcast=True),
    torch=lambda a, b: a * b,
)
def multiply(a, b):
    """a * b entry by entry, the second broadcast to the shape of the first.

    Each gradient is dy times the other argument, summed over the axes along which the argument
    was broadcast. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return a * b


@multiply.vjp
def _(dy, a, b, y):
    return unbroadcast(dy * b, np.shape(a)), unbroadcast(dy * a, np.shape(b))


@multiply.law("distributes over a sum")
def _(f, a, b, other=Real("*s")):
    return equal(f(a + other, b), f(a, b) + f(other, b))


@multiply.law("argument times gradient sums to output times cotangent, for both")
def _(f, a, b, dy=Real("*s")):
    to_a, to_b = f.vjp(dy, a, b)
    total = np.sum(dy * f(a, b))
    return equal(np.sum(a * to_a), total), equal(np.sum(b * to_b), total)


@multiply.exhibit("gradients that take the upstream gradient for 1", expects="G104", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(b + 0 * dy, np.shape(a)), unbroadcast(a + 0 * dy, np.shape(b))


@spec(
    "affine",
    family="layer",
    x=Real("*rows", "inputs"),
    w=Real("inputs", "outputs"),
    b=Real("outputs"),
    torch=lambda x, w, b: x @ w + b,
)
def affine(x, w, b):
    """x W + b over the last axis of x; the axes before it are rows.

    The gradients are dy W^T, X^T dY and the sum of dY over its rows, X and dY being flattened to
    two axes. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return x @ w + b


@affine.vjp
def _(dy, x, w, b, y):
    inputs, outputs = w.shape
    rows = np.reshape(dy, (-1, outputs))
    return dy @ w.T, np.reshape(x, (-1, inputs)).T @ rows, np.sum(rows, axis=0)


@affine.law("but for the bias, additive in x")
def _(f, x, w, b, other=Real("*rows", "inputs")):
    return equal(f(x + other, w, b) + b, f(x, w, b) + f(other, w, b))


@affine.law("the identity with the weight 1 and the bias 0")
def _(f, x):
    inputs = x.shape[-1]
    return equal(f(x, np.eye(inputs), np.zeros(inputs)), x)


@affine.exhibit("bias gradient not summed over the rows", expects="G106", part="vjp")
def _(dy, x, w, b, y):
    inputs, outputs = w.shape
    return dy @ w.T, np.reshape(x, (-1, inputs)).T @ np.reshape(dy, (-1, outputs)), dy


@spec(
    "residual",
    family="layer",
    x=Real("batch", "features"),
    w=Real("features", "features"),
    torch=lambda x, w: x + x @ w,
)
def residual(x, w):
    """x + x W, a linear layer bridged by a residual connection; W is square.

    The gradients are dy + dy W^T and x^T dy: the bridge passes dy on, however small W is.
    Source: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR (2016).
    """
    return x + x @ w


@residual.vjp
def _(dy, x, w, y):
    return dy + dy @ w.T, x.T @ dy


@residual.law("the identity when the weight is 0")
def _(f, x, w):
    return equal(f(x, 0 * w), x)


@residual.law("passes the upstream gradient on unchanged when the weight is 0")
def _(f, x, w, dy=Real("batch", "features")):
    return equal(f.vjp(dy, x, 0 * w)[0], dy)


@residual.exhibit("weight gradient transposed, which a square weight lets pass", expects="G105", part="vjp")
def _(dy, x, w, y):
    return dy + dy @ w.T, dy.T @ x


@residual.exhibit("gradient of x without the bridge", expects="G101", part="vjp")
def _(dy, x, w, y):
    return dy @ w.T, x.T @ dy


@spec(
    "softmax_with_loss",
    family="layer",
    logits=Real("batch", "classes"),
    targets=OneHot("batch", "classes"),
    torch=lambda logits, targets: torch.nn.functional.cross_entropy(logits, targets),
)
def softmax_with_loss(logits, targets):
    """Softmax and cross entropy in one node: mean over the batch of -sum t log softmax(x), t one-hot.

    The derivative is (softmax(x) - t) / N; as one node neither the logarithm of a probability that
    underflowed nor its reciprocal arises.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.108 and 4.109.
    """
    return np.mean(surprisal(logits, targets == 1))


@softmax_with_loss.vjp
def _(dy, logits, targets, y):
    return dy / len(logits) * softmax_less(logits, targets == 1)


@softmax_with_loss.law("the mean cross entropy of the labels")
def _(f, logits, labels=Labels("batch", below="classes")):
    targets = np.eye(logits.shape[1])[labels]
    return equal(f(logits, targets), cross_entropy(logits, labels, "mean"))


@softmax_with_loss.law("the backward is softmax minus one-hot over the batch")
def _(f, logits, targets):
    logits = np.clip(logits, -30, 30)
    p = np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True)
    return equal(len(logits) * f.vjp(np.array(1.0), logits, targets), p - targets)


@softmax_with_loss.exhibit("log of the probabilities", expects=("N102", "N104"))
def _(logits, targets):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.log(np.sum(targets * p, axis=1)))


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
    "dropout",
    family="layer",
    x=Real("*s", upto=np.inf),
    mask=Mask("*s"),
    rate=Option(0.5, 0.2, 0.0),
    torch=lambda x, mask, rate: x * mask / (1 - rate),
    dtypes=("float64", "float32", "float16"),
)
def dropout(x, mask, rate):
    """x * mask / (1 - rate): inverted dropout with the mask (1 keeps, 0 drops) already drawn.

    The division keeps the expected value. The derivative is mask / (1 - rate).
    Reference: composed of torch primitives, since torch draws its own mask.
    Source: Srivastava et al., Dropout, Journal of Machine Learning Research 15 (2014), section 10.
    """
    return x * mask / (1 - rate)


@dropout.vjp
def _(dy, x, mask, rate, y):
    return dy * mask / (1 - rate)


@dropout.law("with a mask of ones, a division by 1 - rate; the identity at rate 0")
def _(f, x, mask, rate):
    ones = np.ones_like(mask)
    return equal((1 - rate) * f(x, ones, rate), x), equal(f(x, ones, 0.0), x)


@dropout.law("what it drops and what it keeps add up")
def _(f, x, mask, rate):
    return equal(f(x, mask, rate) + f(x, 1 - mask, rate), x / (1 - rate))


@dropout.exhibit("backward that masks the upstream gradient in place", expects="S102", part="vjp")
def _(dy, x, mask, rate, y):
    dy *= mask
    return dy / (1 - rate)


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
