"""What optimizers are made of: descent on a quadratic, Newton's step, moving averages, clipping."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _torch_descent(x, curvature, lr, steps):
    for _ in range(steps):
        x = x - lr * curvature * x
    return x


@spec(
    "gradient_descent",
    family="optimizer",
    x=Real("*s"),
    curvature=Real("*s", low=0),
    lr=Option(0.1, 0.9, 1e-10),
    steps=Option(3, 1),
    torch=_torch_descent,
)
def gradient_descent(x, curvature, lr, steps):
    """x after some steps x - lr c x of gradient descent on sum c x^2 / 2: it is x (1 - lr c)^steps.

    Source: Boyd and Vandenberghe, Convex Optimization (2004), section 9.3.
    """
    return x * (1 - lr * curvature) ** steps


@gradient_descent.vjp
def _(dy, x, curvature, lr, steps, y):
    rate = 1 - lr * curvature
    return dy * rate**steps, -dy * x * steps * rate ** (steps - 1) * lr


@gradient_descent.law("comes nearer to the minimum if lr < 2 / curvature, and goes away from it if not")
def _(f, x, curvature, lr, steps):
    before, after = np.abs(x), np.abs(f(x, curvature, lr, steps))
    converges = lr * curvature <= 2
    return at_most(np.where(converges, after, before), np.where(converges, before, after))


@gradient_descent.law("alternates in sign where lr > 1 / curvature")
def _(f, x, curvature, lr):
    return at_most(np.where(lr * curvature >= 1, x * f(x, curvature, lr, 1), 0), 0)


def _hessian(a):
    return a.T @ a + np.eye(len(a), dtype=a.dtype)


@spec(
    "newton_step",
    family="optimizer",
    x=Real("2"),
    gradient=Real("2"),
    a=Real("2", "2", upto=2),
    torch=lambda x, gradient, a: x - torch.linalg.solve(a.T @ a + torch.eye(2, dtype=a.dtype), gradient),
    dtypes=("float64", "float32"),
)
def newton_step(x, gradient, a):
    """x - H^-1 g, a step of Newton's method, with the Hessian H = a^T a + 1.

    What forming H rounds, its inverse makes up to |a|^2 times larger: a has entries of at most 2. With s = H^-1 g and
    l = H^-1 dy, the gradients are dy, -l, and a (l s^T + s l^T), by d(H^-1) = -H^-1 dH H^-1.
    Source: Nocedal and Wright, Numerical Optimization (2006), section 2.2.
    """
    return x - np.linalg.solve(_hessian(a), gradient)


@newton_step.vjp
def _(dy, x, gradient, a, y):
    h = _hessian(a)
    s, adjoint = np.linalg.solve(h, gradient), np.linalg.solve(h, dy)
    return dy, -adjoint, np.outer(a @ adjoint, s) + np.outer(a @ s, adjoint)


@newton_step.law("reaches the minimum of a quadratic in one step from anywhere")
def _(f, x, a):
    return equal(f(x, _hessian(a) @ x, a) + x, x)


def _weights(steps, rate):
    """What x_k weighs in the average after step t: (1 - rate) rate^(t - k) / (1 - rate^(t + 1)), for k <= t."""
    t, k = np.indices((steps, steps))
    return np.where(k <= t, (1 - rate) * rate ** np.maximum(t - k, 0) / (1 - rate ** (t + 1.0)), 0.0)


@spec(
    "moving_average",
    family="optimizer",
    x=Real("steps", "features"),
    rate=Option(0.9, 0.5),
    torch=lambda x, rate: torch.tensordot(torch.as_tensor(_weights(len(x), rate), dtype=x.dtype), x, dims=1),
)
def moving_average(x, rate):
    """The exponential moving average m = rate m + (1 - rate) x from m = 0, divided by 1 - rate^t to make up for the start at 0.

    It is linear in x: its backward runs the same recursion from the end. Reference: composed of torch primitives.
    Source: Kingma and Ba, Adam, ICLR (2015), section 3.
    """
    m, path = 0 * x[0], []
    for t, row in enumerate(x, 1):
        m = rate * m + (1 - rate) * row
        path.append(m / (1 - rate**t))
    return np.stack(path)


@moving_average.vjp
def _(dy, x, rate, y):
    to_m, gradients = 0 * x[0], []
    for t in range(len(x), 0, -1):
        to_m = to_m * rate + dy[t - 1] / (1 - rate**t)
        gradients.append((1 - rate) * to_m)
    return np.stack(gradients[::-1])


@moving_average.law("exact on constants")
def _(f, x, rate):
    return equal(f(np.broadcast_to(x[:1], x.shape), rate), np.broadcast_to(x[:1], x.shape))


@moving_average.law("lies between the least and the largest")
def _(f, x, rate):
    return at_most(np.min(x, axis=0), f(x, rate)[-1]), at_most(f(x, rate)[-1], np.max(x, axis=0))


@moving_average.exhibit("without bias correction", expects="V101")
def _(x, rate):
    m, path = 0 * x[0], []
    for row in x:
        m = rate * m + (1 - rate) * row
        path.append(m)
    return np.stack(path)


@spec(
    "clip_by_value",
    family="optimizer",
    g=Real("*s", kinks=(1.0, -1.0, 0.5), upto=np.inf),
    limit=Option(1.0, 0.5),
    torch=lambda g, limit: torch.clamp(g, -limit, limit),
    dtypes=EVERY,
)
def clip_by_value(g, limit):
    """Every entry brought into [-limit, limit]; its derivative is 1 inside, 0 outside, and either at the ends.

    Source: the documentation of torch.nn.utils.clip_grad_value_.
    """
    return np.clip(g, -limit, limit)


@clip_by_value.vjp
def _(dy, g, limit, y):
    return np.where(np.abs(g) <= limit, dy, 0)


@clip_by_value.law("nothing is larger than the limit, and clipping again changes nothing")
def _(f, g, limit):
    return at_most(np.abs(f(g, limit)), limit), equal(f(f(g, limit), limit), f(g, limit))


NORM_EPS = 1e-6
"""What torch.nn.utils.clip_grad_norm_ adds to the norm."""


@spec(
    "clip_by_norm",
    family="optimizer",
    g=Real("n"),
    limit=Option(1.0, 10.0),
    torch=lambda g, limit: g * torch.clamp(limit / (torch.linalg.vector_norm(g) + NORM_EPS), max=1.0),
)
def clip_by_norm(g, limit):
    """g limit / (|g| + 1e-6) where that makes g shorter, else g: its direction stays.

    The backward of what is clipped, at the length n = |g| and the factor c, is c (sum_j g_j (dy_i g_j - g_i dy_j) / n^2 + g_i
    (g . dy) eps / (n^2 (n + eps))): the part along g all but vanishes, and would cancel if it were subtracted.
    Source: Pascanu, Mikolov, Bengio, On the Difficulty of Training Recurrent Neural Networks, ICML (2013), algorithm 1; the
    documentation of torch.nn.utils.clip_grad_norm_ for the 1e-6.
    """
    return g * np.minimum(limit / (np.sqrt(np.sum(g * g)) + NORM_EPS), 1)


@clip_by_norm.vjp
def _(dy, g, limit, y):
    square = np.sum(g * g)
    length = np.sqrt(square)
    if length + NORM_EPS <= limit:
        return +dy
    across = np.sum((np.outer(dy, g) - np.outer(g, dy)) * g, axis=1)
    return limit / (length + NORM_EPS) * (across + g * np.sum(g * dy) * NORM_EPS / (length + NORM_EPS)) / square


@clip_by_norm.law("no longer than the limit")
def _(f, g, limit):
    return at_most(np.sum(f(g, limit) ** 2), limit**2)


@clip_by_norm.law("points where g does")
def _(f, g, limit):
    return equal(np.outer(f(g, limit), g), np.outer(g, f(g, limit)))


@clip_by_norm.exhibit("backward that takes the norm for a constant", expects="G101", part="vjp")
def _(dy, g, limit, y):
    return dy * np.minimum(limit / (np.sqrt(np.sum(g * g)) + NORM_EPS), 1)
