"""Scalar functions with their gradients, Hessian-vector products and Hessians."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import sigmoid, softplus

from gradcheck import Option, Real, Sign, at_most, equal, hvp, spec
from gradcheck.lazy import torch


def _hessian(function):
    """The Hessian of a scalar torch function of one vector, differentiated row by row."""

    def hessian(x):
        x = x if x.requires_grad else x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(x), x, create_graph=True)
        return torch.stack([torch.autograd.grad(g, x, create_graph=True)[0] for g in gradient])

    return hessian


@spec(
    "quadratic",
    family="second order",
    x=Real("n"),
    a=Real("n", "n", upto=64, differentiable=False),
    b=Real("n", differentiable=False),
    torch=lambda x, a, b: 0.5 * x @ (a @ x) - b @ x,
)
def quadratic(x, a, b):
    """x . A x / 2 - b . x, for a matrix A that need not be symmetric.

    The gradient is (A + A^T) x / 2 - b, the Hessian (A + A^T) / 2: of A, only its symmetric part shows.
    Source: Boyd and Vandenberghe, Convex Optimization (2004), section 9.1.
    """
    return 0.5 * np.sum(x * (a @ x)) - np.sum(b * x)


@quadratic.vjp
def _(dy, x, a, b, y):
    return dy * (0.5 * (a @ x + a.T @ x) - b)


@hvp(quadratic)
def quadratic_hvp(v, x, a, b):
    return 0.5 * (a @ v + a.T @ v)


@quadratic.law("its second difference is the square that A makes of the step, wherever it starts")
def _(f, x, a, b, step=Real("n", upto=8)):
    return equal(f(x + step, a, b) + f(x - step, a, b), 2 * f(x, a, b) + np.sum(step * (a @ step)))


def _valley(x):
    return torch.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@spec("rosenbrock", family="second order", x=Real("n>=2", upto=64), torch=_valley)
def rosenbrock(x):
    """sum of 100 (x[i + 1] - x[i]^2)^2 + (1 - x[i])^2: a bent valley with its minimum, 0, at ones.

    x: (n,), n >= 2. With r = x[i + 1] - x[i]^2, the gradient collects -400 x[i] r - 2 (1 - x[i]) at i and 200 r at i + 1.
    Source: Rosenbrock, An Automatic Method for Finding the Greatest or Least Value of a Function, The Computer Journal 3 (1960).
    """
    bend = x[1:] - x[:-1] * x[:-1]
    return np.sum(100 * bend * bend + (1 - x[:-1]) ** 2)


@rosenbrock.vjp
def _(dy, x, y):
    bend, g = x[1:] - x[:-1] * x[:-1], np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * bend - 2 * (1 - x[:-1])
    g[1:] += 200 * bend
    return dy * g


@hvp(rosenbrock)
def rosenbrock_hvp(v, x):
    bend, turn, product = x[1:] - x[:-1] * x[:-1], v[1:] - 2 * x[:-1] * v[:-1], np.zeros_like(x)
    product[:-1] = -400 * (v[:-1] * bend + x[:-1] * turn) + 2 * v[:-1]
    product[1:] += 200 * turn
    return product


@rosenbrock.law("nowhere below 0, which it is at ones, where its gradient is 0 too")
def _(f, x):
    ones = np.ones_like(x)
    return at_most(0, f(x)), equal(f(ones), 0), equal(f.vjp(1.0, ones), 0)


@rosenbrock.exhibit("gradient that overwrites what the step before wrote", expects="G101", part="vjp")
def _(dy, x, y):
    bend, g = x[1:] - x[:-1] * x[:-1], np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * bend - 2 * (1 - x[:-1])
    g[1:] = 200 * bend
    return dy * g


@spec("rosenbrock_hessian", family="second order", x=Real("n>=2", upto=64), torch=_hessian(_valley))
def rosenbrock_hessian(x):
    """The Hessian of ``rosenbrock``, (n, n), with three diagonals.

    1200 x[i]^2 - 400 x[i + 1] + 2 for every i but the last, 200 more for every one but the first; -400 x[i] beside.
    """
    n = len(x)
    h = np.zeros((n, n), dtype=x.dtype)
    i = np.arange(n - 1)
    h[i, i] = 1200 * x[:-1] * x[:-1] - 400 * x[1:] + 2
    h[i + 1, i + 1] += 200
    h[i, i + 1] = h[i + 1, i] = -400 * x[:-1]
    return h


@rosenbrock_hessian.vjp
def _(dy, x, y):
    i, g = np.arange(len(x) - 1), np.zeros_like(x)
    g[:-1] = 2400 * x[:-1] * dy[i, i] - 400 * (dy[i, i + 1] + dy[i + 1, i])
    g[1:] -= 400 * dy[i, i]
    return g


@rosenbrock_hessian.law("symmetric; its product with a vector is the Hessian-vector product")
def _(f, x, v=Real("n>=2", upto=8)):
    h = f(x)
    return equal(h, h.T), equal(h @ v, rosenbrock_hvp.backward(v, x))


@spec(
    "logistic_regression",
    family="second order",
    weights=Real("features", upto=64),
    x=Real("batch", "features", upto=64, differentiable=False),
    target=Sign("batch"),
    strength=Option(0.1, 0.0),
    torch=lambda weights, x, target, strength: (
        torch.nn.functional.softplus(-target * (x @ weights), threshold=800).mean() + strength / 2 * (weights**2).sum()
    ),
)
def logistic_regression(weights, x, target, strength):
    """The mean of log(1 + e^(-t x . w)) and strength / 2 |w|^2, for labels t of -1 and 1.

    weights: (features,), x: (batch, features). With s the sigmoid of -t x . w, the gradient is -mean(t s x) + strength w, the
    Hessian mean(s (1 - s) x x^T) + strength. The rows of the two labels may cancel where s is nearly 1/2, and where it is nearly 1:
    the halves and the ones are summed by themselves. Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.3.
    """
    return np.mean(softplus(-target * (x @ weights))) + strength / 2 * np.sum(weights * weights)


@logistic_regression.vjp
def _(dy, weights, x, target, strength, y):
    margin = x @ weights
    near = np.abs(margin) < 1
    whole = np.where(near, target / 2, np.where(target * margin < 0, target, 0))
    rest = np.where(near, np.tanh(margin / 2) / 2, -np.sign(margin) * sigmoid(-np.abs(margin)))
    return dy * ((x.T @ rest - x.T @ whole) / len(x) + strength * weights)


@hvp(logistic_regression)
def logistic_regression_hvp(v, weights, x, target, strength):
    margin = x @ weights
    return x.T @ (sigmoid(margin) * sigmoid(-margin) * (x @ v)) / len(x) + strength * v


@logistic_regression.law("convex: a chord lies above")
def _(f, weights, x, target, strength, other=Real("features", upto=64)):
    middle = f((weights + other) / 2, x, target, strength)
    return at_most(middle, (f(weights, x, target, strength) + f(other, x, target, strength)) / 2)


@logistic_regression.law("without a penalty, and at weights of 0, the logarithm of 2")
def _(f, weights, x, target):
    return equal(f(0 * weights, x, target, 0.0), np.log(2))
