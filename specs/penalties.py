"""Penalties of weights."""

from __future__ import annotations

import numpy as np

from gradcheck import Option, Real, at_most, equal, spec


@spec("l1_penalty", family="loss", weights=Real("*s", kinks=(0,)), strength=Option(0.01, 1.0), torch=lambda w, c: c * w.abs().sum())
def l1_penalty(weights, strength):
    """strength * sum |w|, over weights of any shape: the penalty of the lasso.

    The derivative is strength * sign w; at w = 0 any number from -strength to strength is a subgradient, and
    0 is taken. Reference: composed of torch primitives.
    Source: Tibshirani, Regression Shrinkage and Selection via the Lasso, J. Royal Statistical Society B 58 (1996).
    """
    return strength * np.sum(np.abs(weights))


@l1_penalty.vjp
def _(dy, weights, strength, y):
    return dy * strength * np.sign(weights)


@l1_penalty.law("a norm: scales with |c|, obeys the triangle inequality")
def _(f, weights, strength, more=Real("*s"), c=Real(upto=8)):
    apart = f(weights, strength) + f(more, strength)
    return equal(f(c * weights, strength), np.abs(c) * f(weights, strength)), at_most(f(weights + more, strength), apart)


@spec("l2_penalty", family="loss", weights=Real("*s"), strength=Option(0.01, 1.0), torch=lambda w, c: c * (w * w).sum())
def l2_penalty(weights, strength):
    """strength * sum w^2, over weights of any shape: the penalty of ridge regression.

    The derivative is 2 strength w; where weight decay is meant to be strength w, the strength is halved.
    Reference: composed of torch primitives. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 7.1.1.
    """
    return strength * np.sum(weights * weights)


@l2_penalty.vjp
def _(dy, weights, strength, y):
    return dy * 2 * strength * weights


@l2_penalty.law("strength times the squared Euclidean norm")
def _(f, weights, strength):
    return equal(f(weights, strength), strength * np.linalg.norm(np.ravel(weights)) ** 2)


@l2_penalty.law("obeys the parallelogram law")
def _(f, weights, strength, more=Real("*s")):
    diagonals = f(weights + more, strength) + f(weights - more, strength)
    return equal(diagonals, 2 * (f(weights, strength) + f(more, strength)))


@l2_penalty.exhibit("weight decay without the 2", expects="G102", part="vjp")
def _(dy, weights, strength, y):
    return dy * strength * weights


@spec(
    "elastic_net_penalty",
    family="loss",
    weights=Real("*s", kinks=(0,)),
    strength=Option(1.0, 0.01),
    ratio=Option(0.5, 0.0, 1.0, 0.15),
    torch=lambda w, c, ratio: c * (ratio * w.abs().sum() + 0.5 * (1 - ratio) * (w * w).sum()),
)
def elastic_net_penalty(weights, strength, ratio):
    """strength * (ratio sum |w| + (1 - ratio)/2 sum w^2), over weights of any shape.

    The derivative is strength * (ratio sign w + (1 - ratio) w), with sign 0 = 0. Reference: composed of torch primitives.
    Source: Zou and Hastie, Regularization and Variable Selection via the Elastic Net, J. Royal Statistical
    Society B 67 (2005); the halves are those of the documentation of sklearn.linear_model.ElasticNet.
    """
    return strength * (ratio * np.sum(np.abs(weights)) + 0.5 * (1 - ratio) * np.sum(weights * weights))


@elastic_net_penalty.vjp
def _(dy, weights, strength, ratio, y):
    return dy * strength * (ratio * np.sign(weights) + (1 - ratio) * weights)


@elastic_net_penalty.law("a mixture of the penalties of the lasso and of ridge regression")
def _(f, weights, strength, ratio):
    mixed = ratio * l1_penalty(weights, strength) + (1 - ratio) / 2 * l2_penalty(weights, strength)
    return equal(f(weights, strength, ratio), mixed)


@elastic_net_penalty.law("convex")
def _(f, weights, strength, ratio, more=Real("*s")):
    middle = f((weights + more) / 2, strength, ratio)
    return at_most(middle, (f(weights, strength, ratio) + f(more, strength, ratio)) / 2)
