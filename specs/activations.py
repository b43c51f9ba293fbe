"""Smooth elementwise activations.

The formulas keep their relative accuracy over the whole range of the dtype: exponentials are
taken of negative numbers only, and nothing nearly equal is subtracted, so 1 - s(x), s being the
sigmoid, is written s(-x).
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY
from gradcheck.specs.rectifiers import relu
from scipy.special import erf, log_ndtr

from gradcheck import Real, at_most, equal, spec
from gradcheck.lazy import torch


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
