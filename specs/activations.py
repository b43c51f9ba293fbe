"""Elementwise activations, and PReLU.

The formulas keep their relative accuracy over the whole range of the dtype: exponentials are
taken of negative numbers only, and nothing nearly equal is subtracted, so 1 - s(x), s being the
sigmoid, is written s(-x).
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf, log_ndtr

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch

EVERY = ("float64", "float32", "float16")


@spec("sigmoid", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.sigmoid(x))
def sigmoid(x):
    """1 / (1 + e^-x), the logistic function.

    Elementwise on any shape, for all real x; values in (0, 1). Derivative: s(x) s(-x), at most
    1/4, which s(1 - s) computes as 0 as soon as s rounds to 1.
    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 3.10.
    """
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


@sigmoid.vjp
def _(dy, x, y):
    return dy * y * sigmoid(-x)


@sigmoid.law("s(x) + s(-x) = 1")
def _(f, x):
    return equal(f(x) + f(-x), 1)


@sigmoid.law("lies between 0 and 1")
def _(f, x):
    return at_most(0, f(x)), at_most(f(x), 1)


@sigmoid.law("its derivative is s(x) s(-x), that is s(1 - s), at most 1/4")
def _(f, x):
    slope = f.vjp(np.ones_like(x), x)
    return equal(slope, f(x) * f(-x)), at_most(slope, 1 / 4)


@sigmoid.exhibit("e^x / (1 + e^x)", expects="N101")
def _(x):
    e = np.exp(x)
    return e / (1 + e)


@sigmoid.exhibit("backward s (1 - s)", expects="N104", part="vjp")
def _(dy, x, y):
    return dy * y * (1 - y)


@spec("logit", family="activation", p=Real("*s", low=0, high=1), dtypes=EVERY, torch=lambda p: torch.logit(p))
def logit(p):
    """log(p / (1 - p)), the inverse of the sigmoid.

    Elementwise on any shape, for p in (0, 1). Derivative: 1 / (p (1 - p)).
    Source: Berkson, Application of the Logistic Function to Bio-Assay, JASA 39 (1944).
    """
    return np.log(p) - np.log1p(-p)


@logit.vjp
def _(dy, p, y):
    return dy / p / (1 - p)


@logit.law("logit(sigmoid(x)) = x")
def _(f, z=Real("*s", upto=8)):
    return equal(f(sigmoid(z)), z)


@logit.law("its exponential is the odds p / (1 - p)")
def _(f, p):
    return equal(np.exp(f(p)) * (1 - p), p)


@spec("tanh", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.tanh(x))
def tanh(x):
    """(e^x - e^-x) / (e^x + e^-x), the hyperbolic tangent.

    Elementwise on any shape, for all real x; values in (-1, 1). Derivative: 1 - tanh(x)^2 =
    (2 / (e^x + e^-x))^2, of which the second form does not cancel.
    Source: NIST Digital Library of Mathematical Functions, 4.28 and 4.34.
    """
    return np.tanh(x)


@tanh.vjp
def _(dy, x, y):
    e = np.exp(-np.abs(x))
    sech = 2 * e / (1 + e * e)
    return dy * sech * sech


@tanh.law("tanh(-x) = -tanh(x)")
def _(f, x):
    return equal(f(-x), -f(x))


@tanh.law("tanh(x) = 2 sigmoid(2x) - 1")
def _(f, z=Real("*s", upto=8)):
    return equal(f(z) + 1, 2 * sigmoid(2 * z))


@tanh.law("its derivative is 1 - tanh(x)^2")
def _(f, z=Real("*s", upto=8)):
    return equal(f.vjp(np.ones_like(z), z), 1 - f(z) ** 2)


@tanh.exhibit("quotient of exponentials", expects=("N101", "N104"))
def _(x):
    grows, falls = np.exp(x), np.exp(-x)
    return (grows - falls) / (grows + falls)


@tanh.exhibit("backward 1 - tanh^2", expects="N104", part="vjp")
def _(dy, x, y):
    return dy * (1 - y * y)


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


@spec("gelu", family="activation", x=Real("*s"), torch=lambda x: torch.nn.functional.gelu(x))
def gelu(x):
    """x Phi(x), Phi the standard normal distribution function.

    Elementwise on any shape, for |x| up to 1e4. Derivative: Phi(x) + x phi(x), phi the density.
    The usual form of Phi, (1 + erf(x / sqrt 2)) / 2, cancels for x < 0; its logarithm does not.
    Source: Hendrycks and Gimpel, Gaussian Error Linear Units (2016), arXiv:1606.08415.
    """
    return x * np.exp(log_ndtr(x))


@gelu.vjp
def _(dy, x, y):
    density = np.exp(-x * x / 2) * (2 * np.pi) ** -0.5
    return dy * (np.exp(log_ndtr(x)) + x * density)


@gelu.law("gelu(x) - gelu(-x) = x")
def _(f, x):
    return equal(f(x) - f(-x), x)


@gelu.law("lies between -0.17 and relu")
def _(f, x):
    return at_most(-0.17, f(x)), at_most(f(x), relu(x))


@gelu.exhibit("x (1 + erf(x / sqrt 2)) / 2", expects="N104")
def _(x):
    return x * (1 + erf(x / np.sqrt(np.full_like(x, 2)))) / 2


GELU_RATE = (2 / np.pi) ** 0.5
GELU_CUBIC = 0.044715


@spec(
    "gelu_tanh",
    family="activation",
    x=Real("*s"),
    dtypes=EVERY,
    torch=lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
)
def gelu_tanh(x):
    """x (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3), near to GELU.

    Elementwise on any shape, for |x| up to 1e4. With (1 + tanh(u)) / 2 = s(2u), s the sigmoid, the
    derivative is s(2u) + 2 x u' s(2u) s(-2u).
    Source: Hendrycks and Gimpel, Gaussian Error Linear Units (2016), arXiv:1606.08415.
    """
    return x * sigmoid(2 * GELU_RATE * (x + GELU_CUBIC * x**3))


@gelu_tanh.vjp
def _(dy, x, y):
    u = GELU_RATE * (x + GELU_CUBIC * x**3)
    rise = sigmoid(2 * u)
    bump = x * rise * sigmoid(-2 * u)
    return dy * (rise + 2 * GELU_RATE * (bump + 3 * GELU_CUBIC * bump * x * x))


@gelu_tanh.law("gelu_tanh(x) - gelu_tanh(-x) = x")
def _(f, x):
    return equal(f(x) - f(-x), x)


@gelu_tanh.law("is within 0.0005 of GELU")
def _(f, x):
    return at_most(np.abs(f(x) - gelu(x)), 0.0005)


@gelu_tanh.exhibit("x (1 + tanh(u)) / 2 as it stands", expects="N104")
def _(x):
    return x * (1 + np.tanh(GELU_RATE * (x + GELU_CUBIC * x**3))) / 2


@spec("silu", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.nn.functional.silu(x))
def silu(x):
    """x s(x), s the sigmoid; also called swish.

    Elementwise on any shape, for all real x. Derivative: s(x) (1 + x s(-x)), 0 at x = -1.2785,
    where the function has its least value, -0.2785.
    Source: Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units (2017), arXiv:1702.03118.
    """
    return x * sigmoid(x)


@silu.vjp
def _(dy, x, y):
    return dy * sigmoid(x) * (1 + x * sigmoid(-x))


@silu.law("silu(x) - silu(-x) = x")
def _(f, x):
    return equal(f(x) - f(-x), x)


@silu.law("lies between -0.2785 and relu")
def _(f, x):
    return at_most(-0.2785, f(x)), at_most(f(x), relu(x))


@silu.law("is not monotone: it falls from the far left down to -2, then to its minimum")
def _(f, far=Real("*s", low=2, upto=1e4)):
    return at_most(f(-2 * np.ones_like(far)), f(-far)), at_most(f(-1.2785 * np.ones_like(far)), f(-2 * np.ones_like(far)))


@spec(
    "softplus",
    family="activation",
    x=Real("*s", upto=np.inf),
    dtypes=EVERY,
    torch=lambda x: torch.logaddexp(x, torch.zeros_like(x)),
)
def softplus(x):
    """log(1 + e^x), a smooth relu.

    Elementwise on any shape, for all real x. Derivative: the sigmoid of x.
    Reference: composed of torch primitives, since torch's own softplus is cut off at 20.
    Source: Dugas, Bengio, Belisle, Nadeau and Garcia, Incorporating Second-Order Functional
    Knowledge for Better Option Pricing (NIPS 2000).
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@softplus.vjp
def _(dy, x, y):
    return dy * sigmoid(x)


@softplus.law("its derivative is the sigmoid")
def _(f, x):
    return equal(f.vjp(np.ones_like(x), x), sigmoid(x))


@softplus.law("0 <= softplus - relu <= log 2")
def _(f, x):
    return at_most(relu(x), f(x)), at_most(f(x), relu(x) + np.log(2))


@softplus.law("softplus(x) = x + softplus(-x)")
def _(f, x):
    size = np.abs(x)
    return equal(f(size), size + f(-size))


@softplus.exhibit("log of 1 + e^x as it stands", expects=("N101", "N104"))
def _(x):
    return np.log(1 + np.exp(x))
