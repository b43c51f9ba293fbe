"""Whole networks, from the input to the loss: regressions, two layers, a perceptron, a small convolutional network.

Forward and backward are the plain NumPy of one who writes them by hand. Weights are (inputs, outputs),
targets one-hot rows; a cross entropy is that of the logits, one for each sample, (batch,). Its mean is
left out on purpose: it lets the p - t of several samples cancel down to their roundings, in any form.
Where layers multiply before a softmax, values go up to 8: what is larger only saturates it, and takes long in exact arithmetic.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import sigmoid, softmax_less, surprisal
from numpy.lib.stride_tricks import sliding_window_view

from gradcheck import OneHot, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _losses(logits, targets):
    return surprisal(logits, targets == 1)


def _losses_vjp(dy, logits, targets):
    return dy[:, None] * softmax_less(logits, targets == 1)


def _affine_vjp(dy, x, w):
    """The gradients of x, w and b in x W + b."""
    return dy @ w.T, x.T @ dy, np.sum(dy, axis=0)


@spec(
    "linear_regression",
    family="layer",
    x=Real("batch", "2"),
    w=Real("2"),
    b=Real(),
    t=Real("batch", differentiable=False),
    torch=lambda x, w, b, t: torch.nn.functional.mse_loss(x @ w + b, t),
)
def linear_regression(x, w, b, t):
    """Mean of (x w + b - t)^2 over the batch: x (batch, features), w (features), b a number, t (batch).

    With r = 2 (x w + b - t) / N the gradients are r w^T, x^T r and the sum of r: at the least squares
    solution the residual is orthogonal to every feature, and sums to zero.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 3.1.1.
    """
    residual = x @ w + b - t
    return np.mean(residual * residual)


@linear_regression.vjp
def _(dy, x, w, b, t, y):
    r = 2 / len(x) * dy * (x @ w + b - t)
    return r[:, None] * w, x.T @ r, np.sum(r)


@linear_regression.law("without a residual the loss and every gradient are 0")
def _(f, x, w, b):
    fitted = x @ w + b
    to_x, to_w, to_b = f.vjp(np.array(1.0), x, w, b, fitted)
    return equal(f(x, w, b, fitted), 0), equal(to_x, 0), equal(to_w, 0), equal(to_b, 0)


@linear_regression.law("never below the square of the mean residual, and quadratic in w, b and t together")
def _(f, x, w, b, t):
    y = f(x, w, b, t)
    return at_most(np.mean(x @ w + b - t) ** 2, y), equal(f(x, 3 * w, 3 * b, 3 * t), 9 * y)


@linear_regression.exhibit("targets as a column: the residual broadcasts to a matrix", expects="V101")
def _(x, w, b, t):
    residual = x @ w + b - t[:, None]
    return np.mean(residual * residual)


@spec(
    "softmax_regression",
    family="layer",
    x=Real("2", "2"),
    w=Real("2", "3"),
    b=Real("3"),
    targets=OneHot("2", "3"),
    torch=lambda x, w, b, targets: torch.nn.functional.cross_entropy(x @ w + b, targets, reduction="none"),
)
def softmax_regression(x, w, b, targets):
    """Cross entropy of softmax(x W + b): x (batch, features), W (features, classes).

    What reaches the logits is dy (softmax - t); from there on as in an affine layer.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4.
    """
    return _losses(x @ w + b, targets)


@softmax_regression.vjp
def _(dy, x, w, b, targets, y):
    return _affine_vjp(_losses_vjp(dy, x @ w + b, targets), x, w)


@softmax_regression.law("log of the number of classes when all weights are 0")
def _(f, x, w, b, targets):
    return equal(f(x, 0 * w, 0 * b, targets), np.log(3))


@softmax_regression.law("over the classes the gradients of W and b sum to 0")
def _(f, x, w, b, targets):
    _, to_w, to_b = f.vjp(np.ones(2), x, w, b, targets)
    return equal(np.sum(to_w, axis=1), 0), equal(np.sum(to_b), 0)


@spec(
    "two_layer_network",
    family="layer",
    x=Real("2", "1", upto=8),
    w1=Real("1", "2", upto=8),
    b1=Real("2", upto=8),
    w2=Real("2", "3", upto=8),
    b2=Real("3", upto=8),
    targets=OneHot("2", "3"),
    torch=lambda x, w1, b1, w2, b2, targets: torch.nn.functional.cross_entropy(
        torch.sigmoid(x @ w1 + b1) @ w2 + b2, targets, reduction="none"
    ),
)
def two_layer_network(x, w1, b1, w2, b2, targets):
    """Cross entropy of softmax(sigmoid(x W1 + b1) W2 + b2): one hidden layer of sigmoids.

    Through the sigmoid goes s(a) s(-a), which does not cancel where the unit is saturated.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 5.3.
    """
    return _losses(sigmoid(x @ w1 + b1) @ w2 + b2, targets)


@two_layer_network.vjp
def _(dy, x, w1, b1, w2, b2, targets, y):
    a = x @ w1 + b1
    hidden = sigmoid(a)
    to_hidden, to_w2, to_b2 = _affine_vjp(_losses_vjp(dy, hidden @ w2 + b2, targets), hidden, w2)
    return *_affine_vjp(to_hidden * hidden * sigmoid(-a), x, w1), to_w2, to_b2


@two_layer_network.law("unchanged when the hidden units change places")
def _(f, x, w1, b1, w2, b2, targets):
    return equal(f(x, w1[:, ::-1], b1[::-1], w2[::-1], b2, targets), f(x, w1, b1, w2, b2, targets))


@two_layer_network.law("the gradient of b2 sums to 0, and with W2 = 0 nothing reaches the first layer")
def _(f, x, w1, b1, w2, b2, targets):
    *_, to_b2 = f.vjp(np.ones(2), x, w1, b1, w2, b2, targets)
    to_x, to_w1, to_b1, *_ = f.vjp(np.ones(2), x, w1, b1, 0 * w2, b2, targets)
    return equal(np.sum(to_b2), 0), equal(to_x, 0), equal(to_w1, 0), equal(to_b1, 0)


@spec(
    "multilayer_perceptron",
    family="layer",
    x=Real("2", "1"),
    w1=Real("1", "2"),
    b1=Real("2"),
    w2=Real("2", "2"),
    b2=Real("2"),
    w3=Real("2", "1"),
    b3=Real("1"),
    torch=lambda x, w1, b1, w2, b2, w3, b3: torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3,
)
def multilayer_perceptron(x, w1, b1, w2, b2, w3, b3):
    """relu(relu(x W1 + b1) W2 + b2) W3 + b3: two hidden layers of rectifiers and a linear output.

    Each relu lets pass what belongs to its positive units; at 0 nothing passes, as in torch.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.
    """
    first = np.maximum(x @ w1 + b1, 0)
    second = np.maximum(first @ w2 + b2, 0)
    return second @ w3 + b3


@multilayer_perceptron.vjp
def _(dy, x, w1, b1, w2, b2, w3, b3, y):
    first = np.maximum(x @ w1 + b1, 0)
    second = np.maximum(first @ w2 + b2, 0)
    to_second, to_w3, to_b3 = _affine_vjp(dy, second, w3)
    to_first, to_w2, to_b2 = _affine_vjp(np.where(second > 0, to_second, 0), first, w2)
    return *_affine_vjp(np.where(first > 0, to_first, 0), x, w1), to_w2, to_b2, to_w3, to_b3


@multilayer_perceptron.law("a positive factor moves from one layer to the next")
def _(f, x, w1, b1, w2, b2, w3, b3, c=Real(low=0, upto=8)):
    y = f(x, w1, b1, w2, b2, w3, b3)
    return equal(f(x, c * w1, c * b1, w2, c * b2, w3, b3) - b3, c * (y - b3)), equal(f(x, w1, b1, c * w2, c * b2, w3 / c, b3), y)


@multilayer_perceptron.law("the gradient of the last bias is the sum of the cotangent")
def _(f, x, w1, b1, w2, b2, w3, b3, dy=Real("2", "1")):
    return equal(f.vjp(dy, x, w1, b1, w2, b2, w3, b3)[-1], np.sum(dy, axis=0))


@spec(
    "convolutional_network",
    family="layer",
    x=Real("2", "3", "3", upto=8),
    kernel=Real("1", "2", "2", upto=8),
    bias=Real("1", upto=8),
    w=Real("1", "2", upto=8),
    b=Real("2", upto=8),
    targets=OneHot("2", "2"),
    torch=lambda x, kernel, bias, w, b, targets: torch.nn.functional.cross_entropy(
        _torch_features(x, kernel, bias) @ w + b, targets, reduction="none"
    ),
)
def convolutional_network(x, kernel, bias, w, b, targets):
    """Convolution, relu, average pooling, affine layer and cross entropy: images (batch, height, width) of one channel.

    kernel: (filters, 2, 2), not flipped, as in torch; a feature is the mean of a whole map behind the relu. What it
    receives is shared out over the map, passes where that is positive, and reaches the pixels of each window by
    way of the kernel, the kernel by way of the pixels: both sum over the windows that overlap.
    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II.
    """
    return _losses(np.mean(_maps(x, kernel, bias), axis=(2, 3)) @ w + b, targets)


def _maps(x, kernel, bias):
    """What every filter makes of every window, behind the relu: (batch, filters, rows, columns)."""
    maps = np.einsum("nijab,fab->nfij", sliding_window_view(x, (2, 2), axis=(1, 2)), kernel)
    return np.maximum(maps + bias[:, None, None], 0)


def _torch_features(x, kernel, bias):
    return torch.relu(torch.nn.functional.conv2d(x[:, None], kernel[:, None], bias)).mean((2, 3))


@convolutional_network.vjp
def _(dy, x, kernel, bias, w, b, targets, y):
    maps = _maps(x, kernel, bias)
    features = np.mean(maps, axis=(2, 3))
    to_features, to_w, to_b = _affine_vjp(_losses_vjp(dy, features @ w + b, targets), features, w)
    rows, columns = maps.shape[2:]
    to_maps = np.where(maps > 0, to_features[:, :, None, None] / (rows * columns), 0)
    to_kernel = np.einsum("nijab,nfij->fab", sliding_window_view(x, (2, 2), axis=(1, 2)), to_maps)
    to_x = np.zeros_like(x)
    for i, j in np.ndindex(2, 2):
        to_x[:, i : i + rows, j : j + columns] += np.einsum("nfij,f->nij", to_maps, kernel[:, i, j])
    return to_x, to_kernel, np.sum(to_maps, axis=(0, 2, 3)), to_w, to_b


@convolutional_network.law("unchanged when images and kernels are turned by a half turn")
def _(f, x, kernel, bias, w, b, targets):
    turned = f(x[:, ::-1, ::-1], kernel[:, ::-1, ::-1], bias, w, b, targets)
    return equal(turned, f(x, kernel, bias, w, b, targets))


@convolutional_network.law("softmax regression of the bias when the kernel is 0")
def _(f, x, kernel, bias, w, b, targets):
    shown = np.maximum(bias, 0) * np.ones((2, 1))
    return equal(f(x, 0 * kernel, bias, w, b, targets), softmax_regression(shown, w, b, targets))
