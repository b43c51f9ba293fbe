"""Layers: affine, bilinear, residual, embedding, dropout, and losses with their activation."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import sigmoid, softmax_less, surprisal
from gradcheck.specs.binary import bce_with_logits
from gradcheck.specs.cross_entropy import cross_entropy

from gradcheck import Labels, Mask, OneHot, Option, Real, equal, spec
from gradcheck.lazy import torch


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


@spec(
    "dropout_eval",
    family="layer",
    x=Real("*s", upto=np.inf),
    rate=Option(0.5, 0.0),
    torch=lambda x, rate: torch.nn.functional.dropout(x, rate, training=False),
    dtypes=("float64", "float32", "float16"),
)
def dropout_eval(x, rate):
    """Dropout when the network is evaluated: x, whatever the rate.

    Inverted dropout has scaled its outputs during training already. The derivative is 1.
    Source: the documentation of torch.nn.Dropout.
    """
    return +x


@dropout_eval.vjp
def _(dy, x, rate, y):
    return +dy


@dropout_eval.law("the mean of dropout over all masks of equal odds, at the rate 1/2")
def _(f, x, rate):
    kept, dropped = dropout(x, np.ones_like(x), 0.5), dropout(x, np.zeros_like(x), 0.5)
    return equal((kept + dropped) / 2, f(x, rate))


@dropout_eval.exhibit("scaled by 1 - rate, as if the training had not been scaled", expects="V102")
def _(x, rate):
    return x * (1 - rate)


@spec(
    "sigmoid_with_loss",
    family="layer",
    logits=Real("batch", "outputs"),
    targets=Mask("batch", "outputs"),
    torch=lambda logits, targets: torch.nn.functional.binary_cross_entropy_with_logits(logits, targets),
)
def sigmoid_with_loss(logits, targets):
    """Sigmoid and binary cross entropy in one node: mean of log(1 + e^-m), m = x for t = 1, -x for t = 0.

    The derivative is (sigmoid(x) - t) / N, with the sign of 1/2 - t and the size sigmoid(-m); N counts
    all entries. Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.90 and 4.91.
    """
    margin = np.where(targets == 1, logits, -logits)
    return np.mean(np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin))))


@sigmoid_with_loss.vjp
def _(dy, logits, targets, y):
    margin = np.where(targets == 1, logits, -logits)
    miss = sigmoid(-margin)
    return dy / logits.size * np.where(targets == 1, -miss, miss)


@sigmoid_with_loss.law("binary cross entropy with logits")
def _(f, logits, targets):
    return equal(f(logits, targets), bce_with_logits(logits, targets, "mean"))


@sigmoid_with_loss.law("the backward is sigmoid minus target over the number of entries")
def _(f, logits, targets):
    logits = np.clip(logits, -30, 30)
    return equal(logits.size * f.vjp(np.array(1.0), logits, targets), 1 / (1 + np.exp(-logits)) - targets)


@sigmoid_with_loss.law("softmax with loss over the two logits 0 and x")
def _(f, logits, targets):
    x, t = np.reshape(logits, -1), np.reshape(targets, -1)
    return equal(f(logits, targets), softmax_with_loss(np.stack([0 * x, x], axis=1), np.stack([1 - t, t], axis=1)))


@sigmoid_with_loss.exhibit("log of the sigmoid", expects=("N102", "N104"))
def _(logits, targets):
    p = sigmoid(logits)
    return -np.mean(np.where(targets == 1, np.log(p), np.log(1 - p)))


@sigmoid_with_loss.exhibit("sigmoid minus target, literally: 0 for a confident answer", expects="N104", part="vjp")
def _(dy, logits, targets, y):
    return dy / logits.size * (sigmoid(logits) - targets)


def _padded(table, padding):
    """The table with the row of the padding word, if there is one, set to zero."""
    rows = np.arange(len(table))[:, None]
    return table if padding is None else np.where(rows == padding, 0, table)


def _torch_embedding(table, indices, padding):
    if padding is None:
        return torch.nn.functional.embedding(indices, table)
    kept = (torch.arange(len(table)) != padding)[:, None]
    return torch.nn.functional.embedding(indices, torch.where(kept, table, torch.zeros_like(table)), padding_idx=padding)


@spec(
    "embedding",
    family="layer",
    table=Real("words", "features", upto=np.inf),
    indices=Labels("*s", below="words"),
    padding=Option(None, 0),
    torch=_torch_embedding,
    dtypes=("float64", "float32", "float16"),
)
def embedding(table, indices, padding):
    """The rows of a table that the indices name: (words, features) and indices of any shape s to (s, features).

    The gradient of a row is the sum of dy over all places that name it. A padding word stands for zeros
    and its row gets no gradient; torch leaves the row as it is, and nn.Embedding starts it with zeros.
    Source: the documentation of torch.nn.Embedding.
    """
    return _padded(table, padding)[indices]


@embedding.vjp
def _(dy, table, indices, padding, y):
    gradient = np.zeros_like(table)
    np.add.at(gradient, indices, dy)
    return _padded(gradient, padding)


@embedding.law("the product of a one-hot matrix and the table")
def _(f, table, indices):
    return equal(f(table, indices, None), np.eye(len(table))[indices] @ table)


@embedding.law("without padding the gradients of all rows sum to those of all places")
def _(f, table, indices, dy=Real("*s", "features")):
    features = table.shape[1]
    return equal(np.sum(f.vjp(dy, table, indices, None), axis=0), np.sum(np.reshape(dy, (-1, features)), axis=0))


@embedding.exhibit("indexed assignment, which keeps one of the repeated indices", expects="G101", part="vjp")
def _(dy, table, indices, padding, y):
    gradient = np.zeros_like(table)
    gradient[indices] += dy
    return _padded(gradient, padding)


@embedding.exhibit("gradient of the padding row kept", expects="G101", part="vjp")
def _(dy, table, indices, padding, y):
    gradient = np.zeros_like(table)
    np.add.at(gradient, indices, dy)
    return gradient


@spec(
    "bilinear",
    family="layer",
    x=Real("batch", "left"),
    z=Real("batch", "right"),
    w=Real("2", "left", "right"),
    b=Real("2"),
    torch=lambda x, z, w, b: torch.nn.functional.bilinear(x, z, w, b),
)
def bilinear(x, z, w, b):
    """x^T W_k z + b_k for every output k: two inputs of (batch, left) and (batch, right), W of (outputs, left, right).

    Every gradient is dy times the product of the other two factors, summed over what it lacks.
    Source: the documentation of torch.nn.Bilinear.
    """
    return np.einsum("ni,kij,nj->nk", x, w, z) + b


@bilinear.vjp
def _(dy, x, z, w, b, y):
    to_x = np.einsum("nk,kij,nj->ni", dy, w, z)
    to_z = np.einsum("nk,kij,ni->nj", dy, w, x)
    return to_x, to_z, np.einsum("nk,ni,nj->kij", dy, x, z), np.sum(dy, axis=0)


@bilinear.law("linear in each input, but for the bias")
def _(f, x, z, w, b, other=Real("batch", "left"), scale=Real(upto=8)):
    y = f(x, z, w, b)
    return equal(f(x + other, z, w, b) + b, y + f(other, z, w, b)), equal(f(x, scale * z, w, b) - b, scale * (y - b))


@bilinear.law("the inputs change places when the weights are transposed")
def _(f, x, z, w, b):
    return equal(f(z, x, np.swapaxes(w, 1, 2), b), f(x, z, w, b))


@bilinear.exhibit("weight gradient without the second input", expects="G101", part="vjp")
def _(dy, x, z, w, b, y):
    to_x = np.einsum("nk,kij,nj->ni", dy, w, z)
    to_z = np.einsum("nk,kij,ni->nj", dy, w, x)
    return to_x, to_z, np.einsum("nk,ni,nj->kij", dy, x, np.ones_like(z)), np.sum(dy, axis=0)
