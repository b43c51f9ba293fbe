"""Gates: a value times how open its gate is. Self-gated activations, GLU; and maxout, where the largest of a group passes.

The gate is a sigmoid s, a cheap line in its place, or the tanh of mish; the slope of s is written s(u) s(-u).
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY, sigmoid
from gradcheck.specs.rectifiers import relu
from gradcheck.specs.shrinkage import hardtanh

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


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


@silu.law("its derivative is s (1 + x (1 - s))")
def _(f, z=Real("*s", upto=8)):
    s = sigmoid(z)
    return equal(f.vjp(np.ones_like(z), z), s * (1 + z * (1 - s)))


@spec("swish", family="activation", x=Real("*s"), beta=Real(), torch=lambda x, beta: x * torch.sigmoid(beta * x))
def swish(x, beta):
    """x s(beta x), s the sigmoid, with one learned rate beta for all entries.

    x: any shape, beta: a number (0-d), all real. beta = 1 is SiLU, beta = 0 is x / 2, and towards
    infinity it becomes relu. Derivatives, with u = beta x: by x, s(u) (1 + u s(-u)); by beta, the
    sum of x^2 s(u) s(-u). Reference: composed of torch primitives.
    Source: Ramachandran, Zoph and Le, Searching for Activation Functions (2017), arXiv:1710.05941.
    """
    return x * sigmoid(beta * x)


@swish.vjp
def _(dy, x, beta, y):
    u = beta * x
    opened, closed = sigmoid(u), sigmoid(-u)
    return dy * opened * (1 + u * closed), np.sum(dy * x * x * (opened * closed))


@swish.law("beta 1 gives silu, beta 0 half of x")
def _(f, x, beta):
    return equal(f(x, np.ones_like(beta)), silu(x)), equal(f(x, np.zeros_like(beta)), x / 2)


@swish.law("beta swish(x) = silu(beta x)")
def _(f, x, beta):
    return equal(beta * f(x, beta), silu(beta * x))


@swish.law("is below relu by at most 0.2785 / beta, for beta > 0")
def _(f, x, rate=Real(low=0, upto=8)):
    gap = relu(x) - f(x, rate)
    return at_most(0, gap), at_most(rate * gap, 0.2785)


@swish.exhibit("beta taken for a constant in the gradient of x", expects="G101", part="vjp")
def _(dy, x, beta, y):
    opened, closed = sigmoid(beta * x), sigmoid(-beta * x)
    return dy * opened * (1 + x * closed), np.sum(dy * x * x * (opened * closed))


def _mish_gate(x):
    """tanh(log(1 + e^x)) = ((1 + e^x)^2 - 1) / ((1 + e^x)^2 + 1), multiplied out: nothing is subtracted."""
    e = np.exp(-np.abs(x))
    once = np.where(x > 0, 1 + 2 * e, e * (e + 2))
    return once / (once + np.where(x > 0, 2 * e * e, 2))


@spec("mish", family="activation", x=Real("*s", upto=np.inf), dtypes=EVERY, torch=lambda x: torch.nn.functional.mish(x))
def mish(x):
    """x tanh(log(1 + e^x)), smooth and not monotone, as SiLU is.

    Elementwise on any shape, for all real x. Derivative, with the gate t = tanh(softplus(x)):
    t + x (1 - t^2) s(x), s the sigmoid; both factors of x are written by e^-|x|, without 1 - t^2.
    Source: Misra, Mish: A Self Regularized Non-Monotonic Activation Function (2019), arXiv:1908.08681.
    """
    return x * _mish_gate(x)


@mish.vjp
def _(dy, x, y):
    e = np.exp(-np.abs(x))
    rises = np.where(x > 0, e, 1)
    slope = 4 * e * rises * (1 + e) / ((1 + e) ** 2 + rises**2) ** 2
    return dy * (_mish_gate(x) + x * slope)


@mish.law("is x tanh(softplus(x))")
def _(f, z=Real("*s", upto=32)):
    return equal(f(z), z * np.tanh(np.log1p(np.exp(z))))


@mish.law("lies between -0.3089 and relu")
def _(f, x):
    return at_most(-0.3089, f(x)), at_most(f(x), relu(x))


@mish.exhibit("x tanh(log(1 + e^x)) as it stands", expects="N104")
def _(x):
    return x * np.tanh(np.log(1 + np.exp(x)))


@spec(
    "hardsigmoid",
    family="activation",
    x=Real("*s", kinks=(-3, 3), upto=np.inf),
    dtypes=EVERY,
    torch=lambda x: torch.nn.functional.hardsigmoid(x),
)
def hardsigmoid(x):
    """relu6(x + 3) / 6: a sigmoid of three straight lines.

    Elementwise on any shape, for all real x; values in [0, 1]. Derivative: 1/6 strictly between
    -3 and 3, else 0; at -3 and at 3 every value from 0 to 1/6 is a subgradient, and 0 is taken, as
    torch does. Other libraries divide differently: Keras long had 0.2 x + 0.5.
    Source: Howard et al., Searching for MobileNetV3 (ICCV 2019), arXiv:1905.02244, section 5.2.
    """
    return np.clip(x + 3, 0, 6) / 6


@hardsigmoid.vjp
def _(dy, x, y):
    return np.where((x > -3) & (x < 3), dy / 6, 0)


@hardsigmoid.law("h(x) + h(-x) = 1")
def _(f, x):
    return equal(f(x) + f(-x), 1)


@hardsigmoid.law("is (1 + hardtanh(x / 3)) / 2")
def _(f, x):
    return equal(f(x), (1 + hardtanh(x / 3, -1.0, 1.0)) / 2)


@hardsigmoid.exhibit("the line of older libraries, 0.2 x + 0.5", expects="V101")
def _(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


@spec(
    "hardswish",
    family="activation",
    x=Real("*s", kinks=(-3, 3), upto=np.inf),
    dtypes=EVERY,
    torch=lambda x: torch.nn.functional.hardswish(x),
)
def hardswish(x):
    """x relu6(x + 3) / 6: SiLU with a piecewise linear gate.

    Elementwise on any shape, for all real x: 0 up to -3, x from 3 on, x (x + 3) / 6 between.
    Derivative between: (2x + 3) / 6; it jumps by 1/2 at -3 and at 3, where 0 and 1 are taken.
    Source: Howard et al., Searching for MobileNetV3 (ICCV 2019), arXiv:1905.02244, section 5.2.
    """
    return x * (np.clip(x + 3, 0, 6) / 6)


@hardswish.vjp
def _(dy, x, y):
    between = (2 * np.clip(x, -3, 3) + 3) / 6
    return dy * np.where(x <= -3, 0, np.where(x < 3, between, 1))


@hardswish.law("hardswish(x) - hardswish(-x) = x")
def _(f, x):
    return equal(f(x) - f(-x), x)


@hardswish.law("lies between -3/8 and relu")
def _(f, x):
    return at_most(-0.375, f(x)), at_most(f(x), relu(x))


@hardswish.exhibit("the gate taken for a constant", expects="G101", part="vjp")
def _(dy, x, y):
    return dy * (np.clip(x + 3, 0, 6) / 6)


@spec(
    "glu",
    family="activation",
    x=Real("2", "4"),
    axis=Option(-1, 0),
    torch=lambda x, axis: torch.nn.functional.glu(x, axis),
)
def glu(x, axis):
    """a s(b), where a and b are the two halves of x along an axis, s the sigmoid.

    x: any shape with an even axis, all real; the result has half of it. Derivatives: by a, s(b);
    by b, a s(b) s(-b). Source: Dauphin, Fan, Auli and Grangier, Language Modeling with Gated
    Convolutional Networks (ICML 2017), arXiv:1612.08083; the axis, the documentation of torch.nn.GLU.
    """
    a, b = np.split(x, 2, axis=axis)
    return a * sigmoid(b)


@glu.vjp
def _(dy, x, axis, y):
    a, b = np.split(x, 2, axis=axis)
    return np.concatenate([dy * sigmoid(b), dy * a * (sigmoid(b) * sigmoid(-b))], axis=axis)


@glu.law("of x beside itself is silu")
def _(f, x, axis):
    return equal(f(np.concatenate([x, x], axis=axis), axis), silu(x))


@glu.law("is linear in the half that is gated")
def _(f, x, axis, c=Real(upto=8)):
    a, b = np.split(x, 2, axis=axis)
    return equal(f(np.concatenate([c * a, b], axis=axis), axis), c * f(x, axis))


@glu.law("an opened and a closed gate let all through")
def _(f, x, axis):
    a, b = np.split(x, 2, axis=axis)
    return equal(f(x, axis) + f(np.concatenate([a, -b], axis=axis), axis), a)


@glu.exhibit("the halves confused", expects="V101")
def _(x, axis):
    a, b = np.split(x, 2, axis=axis)
    return b * sigmoid(a)


@spec(
    "maxout",
    family="activation",
    x=Real("batch", "4"),
    pieces=Option(2, 4, 1),
    torch=lambda x, pieces: torch.amax(x.reshape(len(x), -1, pieces), -1),
)
def maxout(x, pieces):
    """The largest of every group of ``pieces`` neighbouring features.

    x: (batch, features), all real; the result: (batch, features / pieces). Derivative: 1 at the
    largest of its group, 0 elsewhere; in a tie any weights that sum to 1 are a subgradient, and
    the first takes all (torch shares evenly). Reference: composed of torch primitives.
    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout Networks (ICML 2013), arXiv:1302.4389.
    """
    return np.max(np.reshape(x, (len(x), -1, pieces)), axis=-1)


@maxout.vjp
def _(dy, x, pieces, y):
    groups = np.reshape(x, (len(x), -1, pieces))
    winner = np.arange(pieces) == np.argmax(groups, axis=-1)[..., None]
    return np.reshape(np.where(winner, dy[..., None], 0), x.shape)


@maxout.law("one piece changes nothing")
def _(f, x):
    return equal(f(x, 1), x)


@maxout.law("of the pair (x, -x) is |x|; of (x, 0), relu")
def _(f, x):
    wide = (len(x), 2 * x.shape[1])
    mirrored = np.reshape(np.stack([x, -x], axis=-1), wide)
    cut = np.reshape(np.stack([x, 0 * x], axis=-1), wide)
    return equal(f(mirrored, 2), np.abs(x)), equal(f(cut, 2), relu(x))


@maxout.law("every gradient is handed to one of its group, whole")
def _(f, x, pieces):
    dy = np.ones_like(f(x, pieces))
    return equal(np.sum(np.reshape(f.vjp(dy, x, pieces), (len(x), -1, pieces)), axis=-1), dy)


@maxout.exhibit("every winner of a tie receives the whole gradient", expects="G109", part="vjp")
def _(dy, x, pieces, y):
    groups = np.reshape(x, (len(x), -1, pieces))
    return np.reshape(np.where(groups == y[..., None], dy[..., None], 0), x.shape)
