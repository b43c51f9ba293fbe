"""Activations that leave out or cut off a range of values."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY
from gradcheck.specs.rectifiers import relu

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "hardtanh",
    family="activation",
    x=Real("*s", kinks=(-2, -1, 0.5, 1), upto=np.inf),
    low=Option(-1.0, -2.0),
    high=Option(1.0, 0.5),
    dtypes=EVERY,
    torch=lambda x, low, high: torch.nn.functional.hardtanh(x, low, high),
)
def hardtanh(x, low, high):
    """x, kept between low and high.

    Elementwise on any shape, for all real x. Derivative: 1 strictly between, else 0; at low and
    high every value from 0 to 1 is a subgradient, and 0 is taken, as torch does.
    Source: Collobert, Large Scale Machine Learning (thesis, 2004); the documentation of torch.nn.Hardtanh.
    """
    return np.clip(x, low, high)


@hardtanh.vjp
def _(dy, x, low, high, y):
    return np.where((low < x) & (x < high), dy, 0)


@hardtanh.law("is low + relu(x - low) - relu(x - high)")
def _(f, x, low, high):
    return equal(f(x, low, high), low + relu(x - low) - relu(x - high))


@hardtanh.law("twice is once, and between the same bounds it is odd")
def _(f, x, low, high):
    once = f(x, low, high)
    return equal(f(once, low, high), once), equal(f(-x, -high, high), -f(x, -high, high))


@spec("relu6", family="activation", x=Real("*s", kinks=(0, 6), upto=np.inf), dtypes=EVERY, torch=lambda x: torch.nn.functional.relu6(x))
def relu6(x):
    """min(max(x, 0), 6), a rectifier that saturates.

    Elementwise on any shape, for all real x. Derivative: 1 strictly between 0 and 6, else 0; at 0
    and at 6 every value from 0 to 1 is a subgradient, and 0 is taken, as torch does.
    Source: Howard et al., MobileNets (2017), arXiv:1704.04861; the documentation of torch.nn.ReLU6.
    """
    return np.minimum(np.maximum(x, 0), 6)


@relu6.vjp
def _(dy, x, y):
    return np.where((x > 0) & (x < 6), dy, 0)


@relu6.law("is relu(x) - relu(x - 6)")
def _(f, x):
    return equal(f(x), relu(x) - relu(x - 6))


@relu6.law("relu6(6 - x) = 6 - relu6(x)")
def _(f, x):
    return equal(f(6 - x), 6 - f(x))


@relu6.exhibit("backward that forgets the bound above", expects="G101", part="vjp")
def _(dy, x, y):
    return np.where(x > 0, dy, 0)


@spec(
    "softshrink",
    family="activation",
    x=Real("*s", kinks=(-1, -0.5, 0.5, 1), upto=np.inf),
    width=Option(0.5, 1.0),
    dtypes=EVERY,
    torch=lambda x, width: torch.nn.functional.softshrink(x, width),
)
def softshrink(x, width):
    """x moved towards 0 by width, and 0 within it: soft thresholding.

    Elementwise on any shape, for all real x: sign(x) max(|x| - width, 0), the proximal operator of
    width |x|. Derivative: 1 where |x| > width, else 0; at |x| = width every value from 0 to 1 is a
    subgradient, and 0 is taken, as torch does.
    Source: Donoho, De-noising by Soft-Thresholding (1995); the documentation of torch.nn.Softshrink.
    """
    return np.where(x > 0, np.maximum(x - width, 0), np.minimum(x + width, 0))


@softshrink.vjp
def _(dy, x, width, y):
    return np.where(np.abs(x) > width, dy, 0)


@softshrink.law("what it takes off is hardtanh(x, -width, width)")
def _(f, x, width):
    return equal(x - f(x, width), hardtanh(x, -width, width))


@softshrink.law("softshrink(-x) = -softshrink(x)")
def _(f, x, width):
    return equal(f(-x, width), -f(x, width))


@softshrink.law("minimises (x - z)^2 / 2 + width |z| over z")
def _(f, x, width, z=Real(upto=8)):
    def cost(at):
        return (x - at) ** 2 / 2 + width * np.abs(at)

    return at_most(cost(f(x, width)), cost(z))


@spec(
    "hardshrink",
    family="activation",
    x=Real("*s", upto=np.inf),
    width=Option(0.7, 1.3),
    dtypes=EVERY,
    torch=lambda x, width: torch.nn.functional.hardshrink(x, width),
)
def hardshrink(x, width):
    """x where |x| > width, else 0: hard thresholding.

    Elementwise on any shape, for all real x. Derivative: 1 where |x| > width, else 0. At
    |x| = width the function jumps and has no derivative: the widths here are hardly met exactly.
    Source: Donoho and Johnstone, Ideal Spatial Adaptation by Wavelet Shrinkage (1994); the
    documentation of torch.nn.Hardshrink.
    """
    return np.where(np.abs(x) > width, x, 0)


@hardshrink.vjp
def _(dy, x, width, y):
    return np.where(np.abs(x) > width, dy, 0)


@hardshrink.law("hardshrink(-x) = -hardshrink(x)")
def _(f, x, width):
    return equal(f(-x, width), -f(x, width))


@hardshrink.law("twice is once, and it is within width of x")
def _(f, x, width):
    once = f(x, width)
    return equal(f(once, width), once), at_most(np.abs(x - once), width)


@hardshrink.law("is softshrink, and width back where that is not 0")
def _(f, x, width):
    soft = softshrink(x, width)
    return equal(f(x, width), soft + width * np.sign(soft))


@spec(
    "threshold",
    family="activation",
    x=Real("*s", upto=np.inf),
    edge=Option(-0.3, 1.7),
    value=Option(0.0, 20.0),
    dtypes=EVERY,
    torch=lambda x, edge, value: torch.nn.functional.threshold(x, edge, value),
)
def threshold(x, edge, value):
    """x for x > edge, else value.

    Elementwise on any shape, for all real x. Derivative: 1 for x > edge, else 0. Unless value is
    edge the function jumps at edge and has no derivative there: the edges here are hardly met exactly.
    Source: the documentation of torch.nn.Threshold.
    """
    return np.where(x > edge, x, value)


@threshold.vjp
def _(dy, x, edge, value, y):
    return np.where(x > edge, dy, 0)


@threshold.law("threshold(x, 0, 0) = relu(x); threshold(x, c, c) = max(x, c)")
def _(f, x, edge):
    return equal(f(x, 0.0, 0.0), relu(x)), equal(f(x, edge, edge), np.maximum(x, edge))


@threshold.law("is x or value")
def _(f, x, edge, value):
    y = f(x, edge, value)
    return equal((y - x) * (y - value), 0)
