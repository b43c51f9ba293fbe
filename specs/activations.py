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

from gradcheck import Option, Real, at_most, equal, spec
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


@spec(
    "logit_eps",
    family="activation",
    p=Real("*s", kinks=(1e-6, 0.125, 0.875)),
    eps=Option(1e-6, 0.125),
    torch=lambda p, eps: torch.logit(p, eps),
)
def logit_eps(p, eps):
    """log(q / (1 - q)), q being p kept between eps and 1 - eps.

    Elementwise on any shape, for all real p. Derivative: 1 / (p (1 - p)) strictly between the
    bounds, else 0; at a bound every value between these two is a subgradient, and the former is
    taken, as torch does. Since 1 - eps rounds, it is the distance from the nearer of 0 and 1 that
    is kept above eps. Source: the documentation of torch.logit.
    """
    near = np.maximum(np.minimum(p, 1 - p), eps)
    size = np.log(near) - np.log1p(-near)
    return np.where(p < 0.5, size, -size)


@logit_eps.vjp
def _(dy, p, eps, y):
    near = np.minimum(p, 1 - p)
    kept = np.maximum(near, eps)
    return np.where(near >= eps, dy / kept / (1 - kept), 0)


@logit_eps.law("is logit between the bounds, and stays at them beyond")
def _(f, eps, inner=Real("*s", low=0.125, high=0.875), beyond=Real("*s", low=1)):
    return equal(f(inner, eps), logit(inner)), equal(f(beyond, eps), np.log(1 - eps) - np.log(eps))


@logit_eps.law("logit(1 - p) = -logit(p)")
def _(f, p, eps):
    return equal(f(1 - p, eps), -f(p, eps))


@logit_eps.exhibit("backward without the bounds", expects="G101", part="vjp")
def _(dy, p, eps, y):
    kept = np.maximum(np.minimum(p, 1 - p), eps)
    return dy / kept / (1 - kept)


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


@spec(
    "softplus_beta",
    family="activation",
    x=Real("*s", upto=np.inf, kinks=(10, 20, 40)),
    beta=Option(1.0, 2.0, 0.5),
    threshold=Option(20.0, 1000.0),
    torch=lambda x, beta, threshold: torch.nn.functional.softplus(x, beta, threshold),
)
def softplus_beta(x, beta, threshold):
    """log(1 + e^(beta x)) / beta where beta x <= threshold, else x: softplus as torch has it.

    Elementwise on any shape, for all real x. The larger beta, the nearer to relu. Derivative: the
    sigmoid of beta x, and 1 beyond the threshold, where the function jumps by e^-threshold / beta.
    Source: the documentation of torch.nn.Softplus.
    """
    smooth = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x) * beta)) / beta
    return np.where(x * beta > threshold, x, smooth)


@softplus_beta.vjp
def _(dy, x, beta, threshold, y):
    return np.where(x * beta > threshold, dy, dy * sigmoid(x * beta))


@softplus_beta.law("below the threshold it is softplus(beta x) / beta")
def _(f, beta, threshold, z=Real("*s", upto=8)):
    return equal(f(z, beta, threshold) * beta, softplus(z * beta))


@softplus_beta.law("above relu, by at most log(2) / beta")
def _(f, x, beta, threshold):
    gap = f(x, beta, threshold) - relu(x)
    return at_most(0, gap), at_most(gap * beta, np.log(2))


@softplus_beta.exhibit("the division by beta forgotten", expects="V101")
def _(x, beta, threshold):
    smooth = np.maximum(x * beta, 0) + np.log1p(np.exp(-np.abs(x) * beta))
    return np.where(x * beta > threshold, x, smooth)


@spec(
    "logsigmoid",
    family="activation",
    x=Real("*s", upto=np.inf),
    dtypes=EVERY,
    torch=lambda x: torch.nn.functional.logsigmoid(x),
)
def logsigmoid(x):
    """log(1 / (1 + e^-x)), that is -softplus(-x).

    Elementwise on any shape, for all real x; values below 0. Derivative: s(-x), s the sigmoid.
    Source: the documentation of torch.nn.LogSigmoid.
    """
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@logsigmoid.vjp
def _(dy, x, y):
    return dy * sigmoid(-x)


@logsigmoid.law("its exponential is the sigmoid")
def _(f, x):
    return equal(np.exp(f(x)), sigmoid(x))


@logsigmoid.law("logsigmoid(x) - logsigmoid(-x) = x")
def _(f, x):
    return equal(f(x) - f(-x), x)


@logsigmoid.exhibit("log of the sigmoid", expects=("N102", "N104"))
def _(x):
    return np.log(sigmoid(x))


@spec("softsign", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.nn.functional.softsign(x))
def softsign(x):
    """x / (1 + |x|): like tanh, but nearing -1 and 1 slowly.

    Elementwise on any shape, for all real x. Derivative: 1 / (1 + |x|)^2, whose square of a large
    number overflows; the square of the reciprocal does not.
    Source: Bergstra, Desjardins, Lamblin and Bengio, Quadratic Polynomials Learn Better Image
    Features (2009); the documentation of torch.nn.Softsign.
    """
    return x / (1 + np.abs(x))


@softsign.vjp
def _(dy, x, y):
    falls = 1 / (1 + np.abs(x))
    return dy * falls * falls


@softsign.law("softsign(-x) = -softsign(x), between -1 and 1")
def _(f, x):
    return equal(f(-x), -f(x)), at_most(np.abs(f(x)), 1)


@softsign.law("y / (1 - |y|) takes it back")
def _(f, x):
    return equal(f(x), x * (1 - np.abs(f(x))))


@softsign.law("its derivative is (1 - |softsign(x)|)^2")
def _(f, x):
    return equal(f.vjp(np.ones_like(x), x), (1 - np.abs(f(x))) ** 2)


@softsign.exhibit("backward from the output, (1 - |y|)^2", expects="N104", part="vjp")
def _(dy, x, y):
    return dy * (1 - np.abs(y)) ** 2


TANHSHRINK_SMALL = 1.1
"""Up to here the fraction is taken; eleven of its terms are exact to 2^-77, and the subtraction is harmless beyond."""


@spec("tanhshrink", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.nn.functional.tanhshrink(x))
def tanhshrink(x):
    """x - tanh(x), which is x^3 / 3 near 0.

    Elementwise on any shape, for all real x. Near 0 the subtraction loses all digits; there tanh is
    taken as Lambert's continued fraction x / (1 + t), t = x^2 / (3 + x^2 / (5 + ...)), so that
    x - tanh(x) = x t / (1 + t). Derivative: tanh(x)^2.
    Source: the documentation of torch.nn.Tanhshrink; NIST DLMF, 4.39.1, for the fraction.
    """
    small = np.minimum(np.abs(x), TANHSHRINK_SMALL)
    t = np.zeros_like(x)
    for odd in range(23, 1, -2):
        t = small * small / (odd + t)
    return np.where(np.abs(x) < TANHSHRINK_SMALL, x * (t / (1 + t)), x - np.tanh(x))


@tanhshrink.vjp
def _(dy, x, y):
    t = np.tanh(x)
    return dy * t * t


@tanhshrink.law("what it takes off is tanh")
def _(f, z=Real("*s", upto=8)):
    return equal(z - f(z), np.tanh(z))


@tanhshrink.law("tanhshrink(-x) = -tanhshrink(x)")
def _(f, x):
    return equal(f(-x), -f(x))


@tanhshrink.law("lies between 0 and x^3 / 3")
def _(f, z=Real("*s", upto=8)):
    size = np.abs(z)
    return at_most(0, f(size)), at_most(f(size), size**3 / 3)


@tanhshrink.exhibit("x - tanh(x) as it stands", expects="N104")
def _(x):
    return x - np.tanh(x)
