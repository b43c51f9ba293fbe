"""Softmax, its logarithm, the logarithm of a sum of exponentials, and sparsemax, over the last axis unless said otherwise.

The smooth ones are written around the largest entry, the "top". Its probability is 1 less the others,
so whatever vanishes as it nears 1 is summed from the others, never subtracted from 1.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _sum(values):
    return np.sum(values, axis=-1, keepdims=True)


def _top(x):
    """The place of the largest entry, the first of them in a tie."""
    return np.argmax(x, axis=-1, keepdims=True)


def _is_top(x):
    return np.arange(x.shape[-1]) == _top(x)


def _max_and_rest(x):
    """The maximum m, and the sum of e^(x - m) over all entries but the top."""
    m = np.max(x, axis=-1, keepdims=True)
    return m, _sum(np.where(_is_top(x), 0, np.exp(x - m)))


@spec("softmax", family="activation", x=Real("batch", "classes"), dtypes=EVERY, torch=lambda x: torch.softmax(x, -1))
def softmax(x):
    """e^x / sum of e^x over the last axis: probabilities p.

    x: (batch, classes), all real; the result: (batch, classes), its rows sum to 1.
    Derivative: dp_i / dx_j = p_i (delta_ij - p_j), so dx_i = p_i (dy_i - sum of p_j dy_j). Both
    terms are nearly equal for a confident class; with dy measured from the top's they are not.
    Source: Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs
    (1990); Blanchard, Higham and Higham, Accurately Computing the Log-Sum-Exp and Softmax
    Functions (2021), for the shift.
    """
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / _sum(e)


@softmax.vjp
def _(dy, x, y):
    gap = dy - np.take_along_axis(dy, _top(x), axis=-1)
    return y * (gap - _sum(y * gap))


@softmax.law("is positive and sums to 1")
def _(f, x):
    return at_most(0, f(x)), equal(_sum(f(x)), 1)


@softmax.law("unchanged by a shift of its input")
def _(f, x, shift=Real(upto=8)):
    return equal(f(x + shift), f(x))


@softmax.law("p_i / p_j = e^(x_i - x_j)")
def _(f, x):
    return equal(f(x) * np.exp(x[:, :1]), f(x)[:, :1] * np.exp(x))


@softmax.law("enlarges gaps: one of d makes a ratio of e^d, at least 1 + d")
def _(f, x):
    p, gap = f(x), x - np.min(x, axis=-1, keepdims=True)
    return at_most(np.min(p, axis=-1, keepdims=True) * (1 + gap), p)


@softmax.law("its derivative is p_i (delta_ij - p_j)")
def _(f, z=Real("batch", "classes", upto=8), v=Real("batch", "classes", upto=8)):
    return equal(f.vjp(v, z), f(z) * v - f(z) * _sum(f(z) * v))


@softmax.exhibit("without the shift by the maximum", expects=("N101", "N102", "N104"))
def _(x):
    e = np.exp(x)
    return e / _sum(e)


@softmax.exhibit("backward p (dy - sum of p dy)", expects="N104", part="vjp")
def _(dy, x, y):
    return y * (dy - _sum(y * dy))


@spec(
    "softmax_axis",
    family="activation",
    x=Real("batch", "classes"),
    axis=Option(0, 1, -1),
    dtypes=EVERY,
    torch=lambda x, axis: torch.softmax(x, axis),
)
def softmax_axis(x, axis):
    """e^x / sum of e^x over one axis of several.

    x: any shape, all real; the result: the same shape, its slices along the axis sum to 1.
    Derivative along the axis: dp_i / dx_j = p_i (delta_ij - p_j), as for softmax; entries of
    different slices do not meet. Source: the documentation of torch.nn.Softmax.
    """
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@softmax_axis.vjp
def _(dy, x, axis, y):
    gap = dy - np.take_along_axis(dy, np.argmax(x, axis=axis, keepdims=True), axis=axis)
    return y * (gap - np.sum(y * gap, axis=axis, keepdims=True))


@softmax_axis.law("is softmax of the slices along the axis")
def _(f, x, axis):
    rows = np.moveaxis(x, axis, -1)
    return equal(np.moveaxis(f(x, axis), axis, -1), np.reshape(softmax(np.reshape(rows, (-1, rows.shape[-1]))), rows.shape))


@softmax_axis.law("sums to 1 along the axis, whatever is added to all of it")
def _(f, x, axis, shift=Real(upto=8)):
    return equal(np.sum(f(x, axis), axis=axis), 1), equal(f(x + shift, axis), f(x, axis))


@softmax_axis.exhibit("backward that sums over the last axis", expects="G101", part="vjp")
def _(dy, x, axis, y):
    gap = dy - np.take_along_axis(dy, np.argmax(x, axis=axis, keepdims=True), axis=axis)
    return y * (gap - np.sum(y * gap, axis=-1, keepdims=True))


@spec("log_softmax", family="activation", x=Real("batch", "classes"), dtypes=EVERY, torch=lambda x: torch.log_softmax(x, -1))
def log_softmax(x):
    """x - log of the sum of e^x over the last axis: the logarithm of softmax.

    x: (batch, classes), all real; the result: (batch, classes), at most 0.
    Derivative: dx_i = dy_i - p_i sum of dy_j; for the top class, whose p is near 1, that is
    dy_i (sum of the other p_j) - p_i (sum of the other dy_j).
    Source: Blanchard, Higham and Higham, Accurately Computing the Log-Sum-Exp and Softmax
    Functions (2021).
    """
    m, rest = _max_and_rest(x)
    return (x - m) - np.log1p(rest)


@log_softmax.vjp
def _(dy, x, y):
    p, top = np.exp(y), _is_top(x)
    others = _sum(np.where(top, 0, dy))
    at_top = dy * _sum(np.where(top, 0, p)) - p * others
    return np.where(top, at_top, dy - p * _sum(dy))


@log_softmax.law("is x - logsumexp(x)")
def _(f, z=Real("batch", "classes", upto=8)):
    return equal(f(z), z - logsumexp(z)[:, None])


@log_softmax.law("its exponential is softmax")
def _(f, x):
    return equal(np.exp(f(x)), softmax(x))


@log_softmax.law("unchanged by a shift of its input")
def _(f, x, shift=Real(upto=8)):
    return equal(f(x + shift), f(x))


@log_softmax.exhibit("log of softmax", expects=("N102", "N104"))
def _(x):
    return np.log(softmax(x))


@log_softmax.exhibit("x - logsumexp(x)", expects="N104")
def _(x):
    return x - logsumexp(x)[:, None]


@spec("logsumexp", family="activation", x=Real("batch", "classes"), dtypes=EVERY, torch=lambda x: torch.logsumexp(x, -1))
def logsumexp(x):
    """log of the sum of e^x over the last axis, a smooth maximum.

    x: (batch, classes), all real; the result: (batch,). Derivative: softmax.
    Source: Blanchard, Higham and Higham, Accurately Computing the Log-Sum-Exp and Softmax
    Functions (2021).
    """
    m, rest = _max_and_rest(x)
    return (m + np.log1p(rest))[:, 0]


@logsumexp.vjp
def _(dy, x, y):
    return dy[:, None] * softmax(x)


@logsumexp.law("lies between the maximum and the maximum + log(classes)")
def _(f, x):
    m = np.max(x, axis=-1)
    return at_most(m, f(x)), at_most(f(x), m + np.log(x.shape[-1]))


@logsumexp.law("a shift of its input shifts it as much")
def _(f, x, shift=Real(upto=8)):
    return equal(f(x + shift), f(x) + shift)


@logsumexp.law("its derivative is softmax")
def _(f, x):
    return equal(f.vjp(np.ones_like(f(x)), x), softmax(x))


@logsumexp.exhibit("log of the sum without the shift", expects=("N101", "N102", "N104"))
def _(x):
    return np.log(np.sum(np.exp(x), axis=-1))


def _sparsemax_reference(x):
    falling = torch.sort(x, dim=-1, descending=True).values
    summed, count = torch.cumsum(falling, -1), torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    size = (1 + count * falling > summed).sum(-1, keepdim=True)
    return torch.relu(x - (summed.gather(-1, size - 1) - 1) / size)


@spec("sparsemax", family="activation", x=Real("batch", "classes", kinks=(0, 0.5, 1)), dtypes=EVERY, torch=_sparsemax_reference)
def sparsemax(x):
    """The point of the simplex nearest to x, over the last axis: max(x - tau, 0) with a tau that makes the sum 1.

    x: (batch, classes), all real; the result: (batch, classes), with exact zeros. tau is the largest
    (S_k - 1) / k, S_k being the sum of the k largest entries. Derivative: dx_i = dy_i less the mean of
    dy over the support (where p > 0), 0 off it; at the support's edge (x_i = tau) an entry counts as
    off it. Reference: composed of torch primitives.
    Source: Martins and Astudillo, From Softmax to Sparsemax (ICML 2016), arXiv:1602.02068.
    """
    z = x - np.max(x, axis=-1, keepdims=True)
    falling = -np.sort(-z, axis=-1)
    count = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    tau = np.max((np.cumsum(falling, axis=-1) - 1) / count, axis=-1, keepdims=True)
    return np.maximum(z - tau, 0)


@sparsemax.vjp
def _(dy, x, y):
    support = y > 0
    gap = np.where(support, dy - np.take_along_axis(dy, _top(x), axis=-1), 0)
    return np.where(support, gap - _sum(gap) / _sum(np.where(support, 1, 0 * y)), 0)


@sparsemax.law("is at least 0 and sums to 1")
def _(f, x):
    return at_most(0, f(x)), equal(_sum(f(x)), 1)


@sparsemax.law("unchanged by a shift of its input")
def _(f, x, shift=Real(upto=8)):
    return equal(f(x + shift), f(x))


@sparsemax.law("no other probabilities are nearer to x")
def _(f, x, z=Real("batch", "classes", upto=8)):
    return at_most(_sum((x - f(x)) ** 2), _sum((x - softmax(z)) ** 2))


@sparsemax.law("enlarges no gap")
def _(f, x):
    p = f(x)
    return at_most(np.abs(p - p[:, :1]), np.abs(x - x[:, :1]))


@sparsemax.law("a lead of 1 over all others takes all")
def _(f, x):
    lead = np.where(_is_top(x), np.max(x, axis=-1, keepdims=True) + 1, x)
    return equal(f(lead), np.where(_is_top(x), 1, 0 * x))


@sparsemax.exhibit("without the shift by the maximum", expects="N104")
def _(x):
    falling = -np.sort(-x, axis=-1)
    count = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    return np.maximum(x - np.max((np.cumsum(falling, axis=-1) - 1) / count, axis=-1, keepdims=True), 0)
