"""Wrong backwards and forwards of the activations, softmax and its relatives."""

from __future__ import annotations

import math

import numpy as np
from gradcheck.specs._shared import sigmoid as s

from .registry import SPECS, changed, mutant, off, table, value_mutant

table("G102", [
    ("sigmoid", "x", "twice the gradient", lambda g, *_: 2 * g, "a factor 2"),
    ("tanh", "x", "half the gradient", lambda g, *_: g / 2, "a factor 1/2"),
    ("softplus", "x", "the slope of log2(1 + e^x)", lambda g, *_: g / math.log(2), "log2"),
    ("silu", "x", "a relative error of 1e-12 in every entry", lambda g, *_: g * (1 + 1e-12)),
    ("logsumexp", "x", "divided by the number of classes", lambda g, dy, x, y: g / x.shape[1], "axis 1 of x"),
    ("selu", "x", "the scale forgotten", lambda g, *_: g / 1.0507009873554805, "a factor 0.951745"),
])  # fmt: skip

table("G103", [
    ("elu", "x", "minus the gradient", lambda g, *_: -g),
    ("prelu", "slope", "sum of max(-x, 0), not of min(x, 0)", lambda g, *_: -g),
], cause="the wrong way round")  # fmt: skip

table("G112", [
    ("relu", "x", "zeros", lambda g, *_: np.zeros_like(g), "never computed"),
    ("prelu", "slope", "None for the slope", lambda g, *_: None, "None"),
    ("prelu_shared", "slope", "zero for the slope", lambda g, *_: 0 * g),
])  # fmt: skip

table("G107", [
    ("prelu", "slope", "a stray keepdims", lambda g, *_: g[None], "an axis too many"),
    ("prelu_shared", "slope", "a number in brackets", lambda g, *_: np.reshape(g, (1,)), "an axis too many"),
])  # fmt: skip

table("G101", [
    ("leaky_relu", "x", "the last entry wrong by 1e-9", lambda g, *_: off(g, g.size - 1, 9)),
    ("sigmoid", "x", "wrong for x > 20 alone", lambda g, dy, x, y: np.where(x > 20, dy * y, g)),
    ("tanh", "x", "wrong for x < -3 alone", lambda g, dy, x, y: np.where(x < -3, 2 * g, g)),
])  # fmt: skip


@mutant("sigmoid", "s for s (1 - s)", expects="G101", argument="x")
def _(dy, x, y):
    return dy * y


@mutant("sigmoid", "upstream ignored", expects="G104", argument="x", cause="upstream gradient is not used")
def _(dy, x, y):
    return y * s(-x)


@mutant("tanh", "1 - y for 1 - y^2", expects="G101", argument="x", also=(("N104", "x"),))
def _(dy, x, y):
    # 1 - y cancels for y near 1, which the house form avoids
    return dy * (1 - y)


@mutant("tanh", "writes into the upstream gradient", expects="S102", argument=None)
def _(dy, x, y):
    e = np.exp(-np.abs(x))
    dy *= (2 * e / (1 + e * e)) ** 2
    return dy


@mutant("logit", "the term 1 / (1 - p) missing", expects="G101", argument="p")
def _(dy, p, y):
    return dy / p


@mutant("logit", "1 / (1 + p) for 1 / (1 - p)", expects="G101", argument="p")
def _(dy, p, y):
    return dy / p / (1 + p)


@mutant("relu", "mask inverted", expects="G101", argument="x")
def _(dy, x, y):
    return np.where(x > 0, 0, dy)


@mutant("relu", "mask from 1 on", expects="G101", argument="x")
def _(dy, x, y):
    return np.where(x > 1, dy, 0)


@mutant("relu", "masked by the sign of the upstream gradient", expects="G101", argument="x")
def _(dy, x, y):
    return np.where(dy > 0, dy, 0)


@mutant("relu", "2 at the kink", expects="G109", argument="x", cause="equality")
def _(dy, x, y):
    return np.where(x > 0, dy, np.where(x == 0, 2 * dy, 0))


@mutant("relu", "writes into its input", expects="S101", argument="x")
def _(dy, x, y):
    x[x <= 0] = 0
    return dy * (x > 0)


@mutant("relu", "1 at the kink, as valid as 0", expects=None, argument=None)
def _(dy, x, y):
    return np.where(x >= 0, dy, 0)


@mutant("relu", "a half at the kink, as valid as 0", expects=None, argument=None)
def _(dy, x, y):
    return dy * np.heaviside(x, 0.5).astype(dy.dtype)


@mutant("relu", "returns nothing", expects="R104", argument=None)
def _(dy, x, y):
    np.where(x > 0, dy, 0)


@mutant("leaky_relu", "0 at the kink, below both slopes", expects="G109", argument="x", cause="equality")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, np.where(x < 0, slope * dy, 0))


@mutant("leaky_relu", "the slope on the wrong side", expects="G101", argument="x")
def _(dy, x, slope, y):
    return np.where(x > 0, slope * dy, dy)


@mutant("leaky_relu", "the derivative of relu", expects="G101", argument="x")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, 0)


@mutant("prelu", "the slope of channel 0 for all", expects="G101", argument="x")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope[0] * dy), np.sum(dy * np.minimum(x, 0), axis=0)


@mutant("prelu", "slope not multiplied by the input", expects="G101", argument="slope")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), np.sum(np.where(x > 0, 0, dy), axis=0)


@mutant("prelu", "mask of the slope inverted", expects="G101", argument="slope")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), np.sum(dy * np.maximum(x, 0), axis=0)


@mutant("prelu", "mean over the batch for the sum", expects="G102", argument="slope", cause="one over the number of rows of x")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), np.mean(dy * np.minimum(x, 0), axis=0)


@mutant("prelu_shared", "slope not summed", expects="G106", argument="slope", cause="sum over the broadcast axes")
def _(dy, x, slope, y):
    return np.where(x > 0, dy, slope * dy), dy * np.minimum(x, 0)


@mutant("elu", "alpha forgotten", expects="G101", argument="x")
def _(dy, x, alpha, y):
    return np.where(x > 0, dy, dy * np.exp(np.minimum(x, 0)))


@mutant("elu", "the value for the derivative", expects="G101", argument="x")
def _(dy, x, alpha, y):
    return np.where(x > 0, dy, dy * y)


@mutant("selu", "0 at the kink, below both slopes", expects="G109", argument="x")
def _(dy, x, y):
    return np.where(x == 0, 0, SPECS["selu"].backward(dy, x, y))


@mutant("gelu", "the term x phi(x) missing", expects="G101", argument="x")
def _(dy, x, y):
    return SPECS["gelu"].backward(dy, x, y) - dy * x * np.exp(-x * x / 2) * (2 * np.pi) ** -0.5


@mutant("gelu_tanh", "the 3 of the cubic forgotten", expects="G101", argument="x")
def _(dy, x, y):
    rate, cubic = (2 / np.pi) ** 0.5, 0.044715
    u = rate * (x + cubic * x**3)
    bump = x * s(2 * u) * s(-2 * u)
    return dy * (s(2 * u) + 2 * rate * (bump + cubic * bump * x * x))


@mutant("gelu_tanh", "a digit of the cubic lost, 0.04472", expects="G101", argument="x")
def _(dy, x, y):
    rate, cubic = (2 / np.pi) ** 0.5, 0.04472
    u = rate * (x + cubic * x**3)
    bump = x * s(2 * u) * s(-2 * u)
    return dy * (s(2 * u) + 2 * rate * (bump + 3 * cubic * bump * x * x))


@mutant("silu", "the term x s(-x) missing", expects="G101", argument="x")
def _(dy, x, y):
    return dy * s(x)


@mutant("gelu", "0 at 0 alone", expects="G101", argument="x")
def _(dy, x, y):
    return np.where(x == 0, 0, SPECS["gelu"].backward(dy, x, y))


@mutant("sigmoid", "twice too much at 0 alone", expects="G101", argument="x")
def _(dy, x, y):
    g = SPECS["sigmoid"].backward(dy, x, y)
    return np.where(x == 0, 2 * g, g)


@mutant("relu", "writes into the output it is given", expects="S101", argument="the output")
def _(dy, x, y):
    y[y > 0] = 1
    return dy * y


@mutant("softplus", "the sigmoid of -x", expects="G101", argument="x")
def _(dy, x, y):
    return dy * s(-x)


@mutant("softplus", "cut off at 20, as if linear beyond", expects="G101", argument="x")
def _(dy, x, y):
    return np.where(x > 20, dy, dy * s(x))


def _sum(v, axis=-1):
    return np.sum(v, axis=axis, keepdims=True)


@mutant("softmax", "diagonal of the Jacobian alone", expects="G101", argument="x")
def _(dy, x, y):
    return dy * y * s_less(x)


def s_less(x):
    """1 - softmax(x) without cancellation."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    others = [np.sum(np.delete(e, i, axis=-1), axis=-1) for i in range(x.shape[-1])]
    return np.stack(others, axis=-1) / _sum(e)


@mutant("softmax", "the sum over the rows", expects="G101", argument="x", also=(("N104", "x"),))
def _(dy, x, y):
    # and in one row it is dy - y dy, which cancels
    return y * (dy - _sum(y * dy, axis=0))


@mutant("softmax", "p forgotten in the sum", expects="G101", argument="x")
def _(dy, x, y):
    return y * (dy - _sum(dy))


@mutant("softmax", "writes into the upstream gradient", expects="S102", argument=None)
def _(dy, x, y):
    given = SPECS["softmax"].backward(dy.copy(), x, y)
    dy[...] = given
    return given


@mutant("log_softmax", "log p for p", expects="G101", argument="x")
def _(dy, x, y):
    return dy - y * _sum(dy)


@mutant("log_softmax", "mean of the upstream gradient for its sum", expects="G101", argument="x")
def _(dy, x, y):
    return dy - np.exp(y) * np.mean(dy, axis=-1, keepdims=True)


@mutant("logsumexp", "upstream ignored", expects="G104", argument="x")
def _(dy, x, y):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / _sum(e)


@mutant("logsumexp", "normalised over the whole batch", expects="G101", argument="x")
def _(dy, x, y):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return dy[:, None] * e / np.sum(e)


# Forwards.


@value_mutant("relu", "|x|, the vjp of relu left as it is", expects="V101")
def _(x):
    return np.abs(x)


@value_mutant("relu", "|x| with its own vjp", expects="V101", vjp=lambda dy, x, y: dy * np.sign(x))
def _(x):
    return np.abs(x)


@value_mutant("relu", "1 at 0 alone", expects="V101")
def _(x):
    return np.where(x == 0, 1, np.maximum(x, 0))


@value_mutant("softplus", "log2 for ln", expects="V102", cause="log2")
def _(x):
    return SPECS["softplus"].forward(x) / math.log(2)


@value_mutant(
    "softplus",
    "log10 for ln, with its own vjp",
    expects="V102",
    cause="log10",
    vjp=changed("softplus", "x", lambda g, *_: g / math.log(10)),
)
def _(x):
    return SPECS["softplus"].forward(x) / math.log(10)


@value_mutant("silu", "a relative error of 1e-12", expects="V102")
def _(x):
    return x * s(x) * (1 + 1e-12)


@value_mutant("gelu", "the tanh form with the vjp of the other", expects="V101")
def _(x):
    return SPECS["gelu_tanh"].forward(x)


@value_mutant("gelu", "the tanh form with its own vjp", expects="V101", vjp=SPECS["gelu_tanh"].backward)
def _(x):
    return SPECS["gelu_tanh"].forward(x)


@value_mutant(
    "elu",
    "alpha forgotten, with its own vjp",
    expects="V101",
    vjp=lambda dy, x, alpha, y: np.where(x > 0, dy, dy * np.exp(np.minimum(x, 0))),
)
def _(x, alpha):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


@value_mutant("relu", "writes into its input", expects="S101", argument="x")
def _(x):
    x[x < 0] = 0
    return x.copy()


@value_mutant("logsumexp", "keepdims", expects="V104", vjp=lambda dy, x, y: dy * SPECS["softmax"].forward(x))
def _(x):
    return SPECS["logsumexp"].forward(x)[:, None]


def over_all(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def over_all_vjp(dy, x, y):
    dy = dy - dy.reshape(-1)[np.argmax(x)]
    return y * (dy - np.sum(y * dy))


value_mutant("softmax", "normalised over the whole batch", expects="V101", vjp=over_all_vjp)(over_all)
value_mutant("softmax", "normalised over the whole batch, no reference at hand", expects="V103", vjp=over_all_vjp, reference=False)(
    over_all
)


@value_mutant("tanh", "without a reference, a sigmoid", expects="V103", vjp=SPECS["sigmoid"].backward, reference=False)
def _(x):
    return s(x)
