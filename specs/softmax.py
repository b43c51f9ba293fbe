"""Softmax, its logarithm, and the logarithm of a sum of exponentials, over the last axis.

All three are written around the largest entry, the "top". Its probability is 1 less the others,
so whatever vanishes as it nears 1 is summed from the others, never subtracted from 1.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY

from gradcheck import Real, at_most, equal, spec
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
