"""Nodes of a computation graph: sums, differences, products, quotients, powers."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import unbroadcast

from gradcheck import Real, equal, spec
from gradcheck.lazy import torch


@spec(
    "add",
    family="layer",
    a=Real("*s", broadcast=True),
    b=Real("*s", broadcast=True),
    torch=lambda a, b: a + b,
)
def add(a, b):
    """a + b, each broadcast to the shape of both.

    Each gradient is dy, summed over the axes along which the argument was broadcast.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return a + b


@add.vjp
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), unbroadcast(dy, np.shape(b))


@add.law("commutative")
def _(f, a, b):
    return equal(f(a, b), f(b, a))


@add.law("every gradient sums to the sum of the cotangents")
def _(f, a, b, dy=Real("*s")):
    to_a, to_b = f.vjp(dy, a, b)
    return equal(np.sum(to_a), np.sum(dy)), equal(np.sum(to_b), np.sum(dy))


@add.exhibit("gradient of the second not summed over its broadcast axes", expects="G106", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), +dy


@spec(
    "multiply",
    family="layer",
    a=Real("*s", broadcast=True),
    b=Real("*s", broadcast=True),
    torch=lambda a, b: a * b,
)
def multiply(a, b):
    """a * b entry by entry, each broadcast to the shape of both.

    Each gradient is dy times the other argument, summed over the axes along which the argument
    was broadcast. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return a * b


@multiply.vjp
def _(dy, a, b, y):
    return unbroadcast(dy * b, np.shape(a)), unbroadcast(dy * a, np.shape(b))


@multiply.law("distributes over a sum")
def _(f, a, b, other=Real("*s")):
    return equal(f(a + other, b), f(a, b) + f(other, b))


@multiply.law("argument times gradient sums to output times cotangent, for both")
def _(f, a, b, dy=Real("*s")):
    to_a, to_b = f.vjp(dy, a, b)
    total = np.sum(dy * f(a, b))
    return equal(np.sum(a * to_a), total), equal(np.sum(b * to_b), total)


@multiply.exhibit("gradients that take the upstream gradient for 1", expects="G104", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(b + 0 * dy, np.shape(a)), unbroadcast(a + 0 * dy, np.shape(b))


@spec(
    "subtract",
    family="layer",
    a=Real("*s", broadcast=True),
    b=Real("*s", broadcast=True),
    torch=lambda a, b: a - b,
)
def subtract(a, b):
    """a - b, each broadcast to the shape of both.

    The gradients are dy and -dy, each summed over the axes along which the argument was broadcast.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
    """
    return a - b


@subtract.vjp
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), -unbroadcast(dy, np.shape(b))


@subtract.law("changes sign when the arguments change places")
def _(f, a, b):
    return equal(f(a, b), -f(b, a))


@subtract.law("a shift of both leaves it unchanged")
def _(f, a, b, shift=Real()):
    return equal(f(a + shift, b + shift), f(a, b))


@subtract.exhibit("gradient of the second with the sign of the first", expects="G103", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(dy, np.shape(a)), unbroadcast(dy, np.shape(b))


@spec(
    "divide",
    family="layer",
    a=Real("*s", broadcast=True),
    b=Real("*s", low=0, broadcast=True),
    torch=lambda a, b: a / b,
)
def divide(a, b):
    """a / b entry by entry, each broadcast to the shape of both; b > 0.

    The gradients are dy / b and -dy a / b^2, summed over the axes along which the argument was
    broadcast. a / b first would underflow for a subnormal a, dy / b^2 first overflow for a subnormal b: the
    first of these only where the second does. Source: Deep Learning (2016), section 6.5.6.
    """
    return a / b


@divide.vjp
def _(dy, a, b, y):
    steep = dy / b / b
    to_b = np.where(np.isfinite(steep), steep * a, dy * (y / b))
    return unbroadcast(dy / b, np.shape(a)), -unbroadcast(to_b, np.shape(b))


@divide.law("undoes a multiplication, and changes sign with the divisor")
def _(f, a, b):
    return equal(f(a * b, b), a), equal(f(a, -b), -f(a, b))


@divide.law("argument times gradient sums to output times cotangent, and to minus that")
def _(f, a, b, dy=Real("*s")):
    to_a, to_b = f.vjp(dy, a, b)
    total = np.sum(dy * f(a, b))
    return equal(np.sum(a * to_a), total), equal(np.sum(b * to_b), -total)


@divide.exhibit("backward that squares the divisor, which vanishes when that is tiny", expects="N101", part="vjp")
def _(dy, a, b, y):
    return unbroadcast(dy / b, np.shape(a)), unbroadcast(-dy * a / (b * b), np.shape(b))


@spec(
    "power",
    family="layer",
    x=Real("*s", low=0),
    p=Real("*s", broadcast=True, upto=8),
    torch=lambda x, p: torch.pow(x, p),
)
def power(x, p):
    """x^p entry by entry, for x > 0, the exponent broadcast to the shape of x.

    The gradients are dy p x^(p - 1), written as p y / x for p < 1 where x^(p - 1) may overflow, and
    dy x^p log x, summed over the axes along which p was broadcast. The exponent is at most 8 in size:
    a greater one leaves the range of float32 at once. Source: the documentation of torch.pow.
    """
    return x**p


@power.vjp
def _(dy, x, p, y):
    return dy * np.where(p < 1, p * y / x, p * x ** (p - 1)), unbroadcast(dy * y * np.log(x), np.shape(p))


@power.law("exponents add, and 0 gives 1, 1 gives x")
def _(f, x, p, other=Real(upto=8)):
    return equal(f(x, p + other), f(x, p) * f(x, other)), equal(f(x, 0 * p), 1), equal(f(x, 0 * p + 1), x)


@power.law("homogeneous of degree p: x times its gradient is p y dy")
def _(f, x, p, dy=Real("*s")):
    return equal(x * f.vjp(dy, x, p)[0], p * f(x, p) * dy)


@power.exhibit("gradient of the exponent without the logarithm of the base", expects="G101", part="vjp")
def _(dy, x, p, y):
    return dy * np.where(p < 1, p * y / x, p * x ** (p - 1)), unbroadcast(dy * y, np.shape(p))
