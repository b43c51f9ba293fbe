"""Layers and graph nodes: add, multiply, affine, residual, softmax with loss, dropout."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import softmax_less, surprisal, unbroadcast
from gradcheck.specs.cross_entropy import cross_entropy

from gradcheck import Labels, Mask, OneHot, Option, Real, equal, spec
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
