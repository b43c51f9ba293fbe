"""Rectifiers: activations with a kink, most of them piecewise linear."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


@spec("relu", family="activation", x=Real("*s", kinks=(0,), upto=np.inf), dtypes=EVERY, torch=lambda x: torch.relu(x))
def relu(x):
    """max(x, 0), the rectified linear unit.

    Elementwise on any shape, for all real x. Derivative: 1 for x > 0, else 0; at 0 every value
    from 0 to 1 is a subgradient, and 0 is taken, as torch does.
    Source: Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines (ICML 2010).
    """
    return np.maximum(x, 0)


@relu.vjp
def _(dy, x, y):
    return np.where(x > 0, dy, 0)


@relu.law("relu(x) - relu(-x) = x, relu(x) + relu(-x) = |x|")
def _(f, x):
    return equal(f(x) - f(-x), x), equal(f(x) + f(-x), np.abs(x))


@relu.law("relu(relu(x)) = relu(x)")
def _(f, x):
    return equal(f(f(x)), f(x))


@relu.law("relu(c x) = c relu(x) for c > 0")
def _(f, x, c=Real(low=0, upto=8)):
    return equal(f(c * x), c * f(x))


@relu.exhibit("backward that masks the upstream gradient in place", expects="S102", part="vjp")
def _(dy, x, y):
    dy[x <= 0] = 0
    return dy


@spec(
    "leaky_relu",
    family="activation",
    x=Real("*s", kinks=(0,), upto=np.inf),
    slope=Option(0.01, 0.3),
    dtypes=EVERY,
    torch=lambda x, slope: torch.nn.functional.leaky_relu(x, slope),
)
def leaky_relu(x, slope):
    """x for x > 0, else slope * x.

    Elementwise on any shape, for all real x. Derivative: 1 for x > 0, else slope; at 0 slope is
    taken, as torch does.
    Source: Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).
    """
    return np.where(x > 0, x, slope * x)


@leaky_relu.vjp
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy)


@leaky_relu.law("is relu(x) - slope relu(-x)")
def _(f, x, slope):
    return equal(f(x, slope), relu(x) - slope * relu(-x))


@leaky_relu.law("f(x) - f(-x) = (1 + slope) x")
def _(f, x, slope):
    return equal(f(x, slope) - f(-x, slope), (1 + slope) * x)


@spec(
    "prelu",
    family="activation",
    x=Real("batch", "channels", kinks=(0,)),
    slope=Real("channels"),
    torch=lambda x, slope: torch.nn.functional.prelu(x, slope),
)
def prelu(x, slope):
    """x for x > 0, else slope * x, with a learned slope for each channel.

    x: (batch, channels), slope: (channels,), all real. Derivatives: by x, 1 or the slope of its
    channel (the slope at 0); by the slope, min(x, 0), summed over the batch.
    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers (ICCV 2015), arXiv:1502.01852.
    """
    return np.where(x > 0, x, slope * x)


@prelu.vjp
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), np.sum(dy * np.minimum(x, 0), axis=0)


@prelu.law("slope 0 gives relu, slope 1 the identity")
def _(f, x, slope):
    return equal(f(x, np.zeros_like(slope)), relu(x)), equal(f(x, np.ones_like(slope)), x)


@prelu.law("is linear in the slope")
def _(f, x, slope, other=Real("channels")):
    return equal(f(x, slope) - f(x, other), (slope - other) * np.minimum(x, 0))


@prelu.exhibit("gradient of the slope not summed over the batch", expects="G106", part="vjp")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), dy * np.minimum(x, 0)


@spec(
    "prelu_shared",
    family="activation",
    x=Real("*s", kinks=(0,)),
    slope=Real(),
    torch=lambda x, slope: torch.nn.functional.prelu(x, slope),
)
def prelu_shared(x, slope):
    """x for x > 0, else slope * x, with one learned slope for all entries.

    x: any shape, slope: a number (0-d), all real. Derivatives: by x, 1 or the slope (the slope at
    0); by the slope, the sum of min(x, 0).
    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers (ICCV 2015), arXiv:1502.01852.
    """
    return np.where(x > 0, x, slope * x)


@prelu_shared.vjp
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), np.sum(dy * np.minimum(x, 0))


@prelu_shared.law("slope 0 gives relu, slope 1 the identity")
def _(f, x, slope):
    return equal(f(x, np.zeros_like(slope)), relu(x)), equal(f(x, np.ones_like(slope)), x)


@spec(
    "elu",
    family="activation",
    x=Real("*s", kinks=(0,), upto=np.inf),
    alpha=Option(1.0, 0.5),
    dtypes=EVERY,
    torch=lambda x, alpha: torch.nn.functional.elu(x, alpha),
)
def elu(x, alpha):
    """x for x > 0, else alpha (e^x - 1).

    Elementwise on any shape, for all real x. Derivative: 1 for x > 0, else alpha e^x; it jumps
    at 0 unless alpha is 1, and alpha is taken there, as torch does.
    Source: Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by
    Exponential Linear Units (ICLR 2016), arXiv:1511.07289.
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@elu.vjp
def _(dy, x, alpha, y):
    return np.where(x > 0, dy, dy * alpha * np.exp(np.minimum(x, 0)))


@elu.law("never falls below -alpha")
def _(f, x, alpha):
    return at_most(-alpha, f(x, alpha))


@elu.law("its derivative left of 0 is f(x) + alpha")
def _(f, alpha, left=Real("*s", high=0, upto=8)):
    return equal(f.vjp(np.ones_like(left), left, alpha), f(left, alpha) + alpha)


@elu.exhibit("e^x - 1 by subtraction", expects="N104")
def _(x, alpha):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


@elu.exhibit("backward from the output, f(x) + alpha", expects="N104", part="vjp")
def _(dy, x, alpha, y):
    return np.where(x > 0, dy, dy * (y + alpha))


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


@spec("selu", family="activation", x=Real("*s", kinks=(0,), upto=np.inf), dtypes=EVERY, torch=lambda x: torch.selu(x))
def selu(x):
    """scale * x for x > 0, else scale * alpha (e^x - 1): the self-normalising ELU.

    Elementwise on any shape, for all real x; alpha = 1.6733 and scale = 1.0507 keep zero mean
    and unit variance. Derivative: scale for x > 0, else scale * alpha e^x (also at 0, as torch).
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-Normalizing Neural Networks
    (NIPS 2017), arXiv:1706.02515.
    """
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


@selu.vjp
def _(dy, x, y):
    return SELU_SCALE * np.where(x > 0, dy, dy * SELU_ALPHA * np.exp(np.minimum(x, 0)))


@selu.law("is scale times the ELU of alpha")
def _(f, x):
    return equal(f(x), SELU_SCALE * elu(x, SELU_ALPHA))


@selu.law("keeps zero mean and unit variance of a normal variable")
def _(f):
    z = 5 + 5 * np.asarray(_NODES)
    weight = 5 * np.asarray(_WEIGHTS) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    mean = np.sum(weight * (f(z) + f(-z)))
    square = np.sum(weight * (f(z) ** 2 + f(-z) ** 2))
    return at_most(np.abs(mean), 1e-12), at_most(np.abs(square - 1), 1e-12)


@spec(
    "celu",
    family="activation",
    x=Real("*s", kinks=(0,), upto=np.inf),
    alpha=Option(1.0, 0.5, 2.0),
    dtypes=EVERY,
    torch=lambda x, alpha: torch.nn.functional.celu(x, alpha),
)
def celu(x, alpha):
    """x for x > 0, else alpha (e^(x / alpha) - 1): an ELU without a jump of its derivative.

    Elementwise on any shape, for all real x. Derivative: 1 for x > 0, else e^(x / alpha), which is
    1 at 0 whatever alpha. Near 0 the subtraction of 1 cancels; expm1 does not.
    Source: Barron, Continuously Differentiable Exponential Linear Units (2017), arXiv:1704.07483.
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


@celu.vjp
def _(dy, x, alpha, y):
    return dy * np.exp(np.minimum(x, 0) / alpha)


@celu.law("celu(x) / alpha = elu(x / alpha)")
def _(f, x, alpha):
    return equal(f(x, alpha) / alpha, elu(x / alpha, 1.0))


@celu.law("its derivative left of 0 is f(x) / alpha + 1")
def _(f, alpha, left=Real("*s", high=0, upto=8)):
    return equal(f.vjp(np.ones_like(left), left, alpha), f(left, alpha) / alpha + 1)


@celu.exhibit("e^(x / alpha) - 1 by subtraction", expects="N104")
def _(x, alpha):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0) / alpha) - 1))


@celu.exhibit("backward of the ELU, alpha e^(x / alpha)", expects="G101", part="vjp")
def _(dy, x, alpha, y):
    return np.where(x > 0, dy, dy * alpha * np.exp(np.minimum(x, 0) / alpha))


@spec(
    "rrelu_eval",
    family="activation",
    x=Real("*s", kinks=(0,), upto=np.inf),
    lower=Option(0.125, 0.0),
    upper=Option(1 / 3, 0.5),
    dtypes=EVERY,
    torch=lambda x, lower, upper: torch.nn.functional.rrelu(x, lower, upper, training=False),
)
def rrelu_eval(x, lower, upper):
    """x for x > 0, else x (lower + upper) / 2: the randomised rectifier out of training.

    Elementwise on any shape, for all real x. In training every negative entry draws its slope
    between lower and upper; here all have the mean one. Derivative: 1 for x > 0, else that slope,
    also at 0, as torch does. Source: Xu, Wang, Chen and Li, Empirical Evaluation of Rectified
    Activations in Convolutional Network (2015), arXiv:1505.00853.
    """
    return np.where(x > 0, x, (lower + upper) / 2 * x)


@rrelu_eval.vjp
def _(dy, x, lower, upper, y):
    return np.where(x > 0, dy, (lower + upper) / 2 * dy)


@rrelu_eval.law("is the leaky relu of the mean slope")
def _(f, x, lower, upper):
    return equal(f(x, lower, upper), leaky_relu(x, (lower + upper) / 2))


@rrelu_eval.law("lies between the leaky relus of lower and of upper")
def _(f, x, lower, upper):
    return at_most(leaky_relu(x, upper), f(x, lower, upper)), at_most(f(x, lower, upper), leaky_relu(x, lower))
