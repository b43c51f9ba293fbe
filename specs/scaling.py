"""Rows brought to a length, a mean, a range."""

from __future__ import annotations

import numpy as np
from gradcheck.specs.normalisation import _apart, _by_differences, _centred, _turned

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _range(x):
    """The largest less the smallest of every column."""
    return np.max(x, axis=0) - np.min(x, axis=0)


def _scaled(x):
    """Every column from 0 to 1."""
    return (x - np.min(x, axis=0)) / _range(x)


def _not_constant(x):
    """``x`` with 0, 1, 2, ... in place of constant columns, for laws."""
    return np.where(_range(x) == 0, np.arange(len(x))[:, None], x)


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
    return np.where(square < eps, dy, _turned(dy, y)) / norm


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


@spec(
    "normalize",
    family="layer",
    x=Real("batch", "features"),
    eps=Option(1e-12, 1e-2),
    torch=lambda x, eps: torch.nn.functional.normalize(x, eps=eps),
)
def normalize(x, eps):
    """x / max(|x|, eps) over the last axis, |x| the Euclidean length.

    Where |x| < eps the denominator is constant and the derivative 1 / eps; elsewhere it is that of
    ``l2_normalize``, whose eps is compared with the square. Source: the documentation of torch.nn.functional.normalize.
    """
    return x / np.maximum(np.sqrt(np.sum(x * x, axis=-1, keepdims=True)), eps)


@normalize.vjp
def _(dy, x, eps, y):
    norm = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
    return np.where(norm < eps, dy, _turned(dy, y)) / np.maximum(norm, eps)


@normalize.law("l2_normalize with the square of eps")
def _(f, x, eps):
    return equal(f(x, eps), l2_normalize(x, eps * eps))


@normalize.law("a row that is not too short gets the length 1")
def _(f, x, eps):
    long = np.where(np.sum(x * x, axis=-1, keepdims=True) < eps * eps, 1, x)
    return equal(np.sum(f(long, eps) ** 2, axis=-1), 1)


@spec(
    "standardize",
    family="layer",
    x=Real("rows>=2", "features"),
    ddof=Option(0, 1),
    torch=lambda x, ddof: (x - x.mean(0)) / x.std(0, correction=ddof),
)
def standardize(x, ddof):
    """(x - mean) / standard deviation of every column, the deviation over N - ddof, without an eps.

    A constant column has no deviation and is outside the domain (0 / 0). Differences are measured in units
    of the range, so that no square underflows. The derivative is that of ``batch_norm_train`` with
    eps 0; in a column of two it is 0. Reference: composed of torch primitives.
    Source: the documentation of sklearn.preprocessing.StandardScaler.
    """
    c = _centred(_scaled(x).T).T
    return c / np.sqrt(np.sum(c * c, axis=0) / (len(x) - ddof))


@standardize.vjp
def _(dy, x, ddof, y):
    unit = _range(x)[:, None]
    to_x = _by_differences(dy.T, _apart(x.T) / unit[..., None], _centred(_scaled(x).T), 0) / unit
    return to_x.T * (1 - ddof / len(x)) ** 0.5


@standardize.law("mean 0 and variance 1")
def _(f, x, ddof):
    y = f(_not_constant(x), ddof)
    return equal(np.mean(y, axis=0), 0), equal(np.var(y, axis=0, ddof=ddof), 1)


@standardize.law("unchanged by a shift and by a positive scale")
def _(f, x, ddof, scale=Real("features", low=0, upto=8), shift=Real("features", upto=8)):
    x = _not_constant(x)
    return equal(f(scale * x + shift, ddof), f(x, ddof))


@standardize.exhibit("standard deviation taken for a constant", expects="G101", part="vjp")
def _(dy, x, ddof, y):
    return (dy - np.mean(dy, axis=0)) / np.std(x, axis=0, ddof=ddof)


@spec(
    "min_max_scale",
    family="layer",
    x=Real("rows>=2", "features"),
    torch=lambda x: (x - x.min(0).values) / (x.max(0).values - x.min(0).values),
)
def min_max_scale(x):
    """(x - min) / (max - min) of every column, which comes to lie in [0, 1].

    A constant column has no range and is outside the domain (0 / 0). Every entry has the derivative dy / range; the
    smallest and the largest have, in its place, minus the sum of the other dy times (max - x) / range^2 and
    (x - min) / range^2. Ties of either are kinks, where the first is taken. Reference: composed of torch primitives.
    Source: the documentation of sklearn.preprocessing.MinMaxScaler.
    """
    return _scaled(x)


@min_max_scale.vjp
def _(dy, x, y):
    order = np.arange(len(x))[:, None]
    lowest, highest = order == np.argmin(x, axis=0), order == np.argmax(x, axis=0)
    to_low = np.sum(np.where(lowest, 0, dy * ((np.max(x, axis=0) - x) / _range(x))), axis=0)
    to_high = np.sum(np.where(highest, 0, dy * y), axis=0)
    return np.where(lowest, -to_low, np.where(highest, -to_high, dy)) / _range(x)


@min_max_scale.law("from 0 to 1")
def _(f, x):
    y = f(_not_constant(x))
    return equal(np.min(y, axis=0), 0), equal(np.max(y, axis=0), 1)


@min_max_scale.law("unchanged by a shift and by a positive scale, turned about by a negative one")
def _(f, x, scale=Real("features", low=0, upto=8), shift=Real("features", upto=8)):
    x = _not_constant(x)
    return equal(f(scale * x + shift), f(x)), equal(f(-scale * x), 1 - f(x))


@min_max_scale.exhibit("range taken for a constant", expects="G101", part="vjp")
def _(dy, x, y):
    return dy / _range(x)
