"""Optimizers: update rules, checked as trajectories against torch.optim over generated gradients.

Where torch keeps a mean of squares, these keep its root: a square overflows for a gradient of 256 in
float16, and is lost below 2^-12. hypot does neither. A root of 0 tells that there has been no gradient yet, and no step is
taken then, where a small eps that the dtype flushes to 0 would make it 0 / 0.
"""

from __future__ import annotations

import numpy as np

from gradcheck import Option, at_most, equal, optimizer
from gradcheck.lazy import torch

LR, BETA1, BETA2, EPS = Option(1e-3, 0.1), Option(0.9, 0.5), Option(0.999, 0.9), Option(1e-8, 1e-3)
ADAM = {"lr": LR, "beta1": BETA1, "beta2": BETA2, "eps": EPS}


def _root_mean_square(root, g, rate):
    """The root of rate root^2 + (1 - rate) g^2."""
    return np.hypot(rate**0.5 * root, (1 - rate) ** 0.5 * g)


def _over(step, root, eps):
    """step / (root + eps), 0 where there has been no gradient yet."""
    return np.where(root == 0, 0, step) / np.where(root == 0, 1, root + eps)


@optimizer("sgd", torch=lambda p, lr, decay: torch.optim.SGD(p, lr, weight_decay=decay), lr=LR, decay=Option(0.0, 0.01))
def sgd(w, g, state, lr, decay):
    """w - lr (g + decay w): gradient descent; with gradients of mini-batches, stochastic gradient descent.

    Weight decay is the gradient of the penalty decay |w|^2 / 2.
    Source: Robbins and Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22 (1951).
    """
    return w - lr * (g + decay * w), None


@sgd.law("without decay, the way is lr times the sum of the gradients")
def _(f, weights, gradients, lr):
    return equal(weights - f(weights, gradients, lr, 0.0)[-1], lr * np.sum(gradients, axis=0))


@sgd.law("without gradients, weights decay by 1 - lr decay a step")
def _(f, weights, gradients, lr, decay):
    return equal(f(weights, 0 * gradients, lr, decay)[-1], weights * (1 - lr * decay) ** len(gradients))


@optimizer(
    "momentum",
    torch=lambda p, lr, mu, damping: torch.optim.SGD(p, lr, momentum=mu, dampening=damping),
    lr=LR,
    mu=Option(0.9, 0.5),
    damping=Option(0.0, 0.5),
)
def momentum(w, g, state, lr, mu, damping):
    """w - lr v, the velocity v being mu v + (1 - damping) g, and g at first.

    Source: Polyak, Some Methods of Speeding up the Convergence of Iteration Methods (1964); the documentation of torch.optim.SGD.
    """
    v = g if state is None else mu * state + (1 - damping) * g
    return w - lr * v, v


@momentum.law("gradient descent without momentum")
def _(f, weights, gradients, lr):
    return equal(f(weights, gradients, lr, 0.0, 0.0), sgd(weights, gradients, lr, 0.0))


@momentum.exhibit("velocity that forgets nothing", expects="V101")
def _(w, g, state, lr, mu, damping):
    v = g if state is None else state + (1 - damping) * g
    return w - lr * v, v


@optimizer("nesterov", torch=lambda p, lr, mu: torch.optim.SGD(p, lr, momentum=mu, nesterov=True), lr=LR, mu=Option(0.9, 0.5))
def nesterov(w, g, state, lr, mu):
    """w - lr (g + mu v), v = mu v + g: momentum that looks one step ahead.

    Source: Nesterov, A Method of Solving a Convex Programming Problem with Convergence Rate O(1/k^2) (1983), in the form of
    Sutskever et al., ICML (2013).
    """
    v = g if state is None else mu * state + g
    return w - lr * (g + mu * v), v


@nesterov.law("each step is that of momentum, and mu times the velocity's change more")
def _(f, weights, gradients, lr, mu):
    ahead, plain = f(weights, gradients, lr, mu), momentum(weights, gradients, lr, mu, 0.0)
    last = weights if len(gradients) == 1 else plain[-2]
    return equal(ahead[-1] - plain[-1], mu * (plain[-1] - last) - 0 * ahead[-1])


@optimizer("adagrad", torch=lambda p, lr, eps: torch.optim.Adagrad(p, lr, eps=eps), lr=Option(0.01, 0.5), eps=Option(1e-10, 1e-3))
def adagrad(w, g, state, lr, eps):
    """w - lr g / (r + eps), r^2 being the sum of all squares of gradients so far.

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, Journal of Machine Learning Research 12 (2011).
    """
    root = np.abs(g) if state is None else np.hypot(state, g)
    return w - lr * _over(g, root, eps), root


@adagrad.law("no step is longer than lr")
def _(f, weights, gradients, lr, eps):
    path = np.concatenate([weights[None], f(weights, gradients, lr, eps)])
    return at_most(np.abs(path[1:] - path[:-1]), lr)


@optimizer(
    "adadelta",
    torch=lambda p, lr, rho, eps: torch.optim.Adadelta(p, lr, rho, eps),
    lr=Option(1.0, 0.1),
    rho=Option(0.9, 0.5),
    eps=Option(1e-6, 1e-3),
)
def adadelta(w, g, state, lr, rho, eps):
    """w - lr d, d = g RMS(d) / RMS(g), where RMS is the root of eps and a mean of squares that forgets at the rate rho.

    Source: Zeiler, ADADELTA, arXiv 1212.5701 (2012), algorithm 1.
    """
    root, steps = state or (0 * g, 0 * g)
    root = _root_mean_square(root, g, rho)
    step = np.hypot(steps, eps**0.5) / np.hypot(root, eps**0.5) * g
    return w - lr * step, (root, _root_mean_square(steps, step, rho))


@adadelta.law("odd in the gradients")
def _(f, weights, gradients, lr, rho, eps):
    return equal(f(weights, gradients, lr, rho, eps) - weights, weights - f(weights, -gradients, lr, rho, eps))


@optimizer(
    "rmsprop",
    torch=lambda p, lr, alpha, eps, mu: torch.optim.RMSprop(p, lr, alpha, eps, momentum=mu),
    lr=Option(0.01, 0.1),
    alpha=Option(0.99, 0.5),
    eps=EPS,
    mu=Option(0.0, 0.9),
)
def rmsprop(w, g, state, lr, alpha, eps, mu):
    """w - lr v, v = mu v + g / (r + eps), r^2 being a mean of squares that forgets at the rate alpha.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6e (2012); the documentation of torch.optim.RMSprop.
    """
    root, v = state or (0 * g, 0 * g)
    root = _root_mean_square(root, g, alpha)
    v = mu * v + _over(g, root, eps)
    return w - lr * v, (root, v)


@rmsprop.law("without momentum, no step is longer than lr / sqrt(1 - alpha)")
def _(f, weights, gradients, lr, alpha, eps):
    path = np.concatenate([weights[None], f(weights, gradients, lr, alpha, eps, 0.0)])
    return at_most((path[1:] - path[:-1]) ** 2 * (1 - alpha), lr**2)


@optimizer(
    "rmsprop_centred",
    torch=lambda p, lr, alpha, eps: torch.optim.RMSprop(p, lr, alpha, eps, centered=True),
    lr=Option(0.01, 0.1),
    alpha=Option(0.99, 0.5),
    eps=EPS,
)
def rmsprop_centred(w, g, state, lr, alpha, eps):
    """w - lr g / (s + eps), s being the standard deviation of the gradients: their mean square less their squared mean.

    That difference cancels; alpha (s^2 + (1 - alpha) (g - mean)^2), with the mean before, is the same without cancellation.
    Source: Graves, Generating Sequences with Recurrent Neural Networks, arXiv 1308.0850 (2013), eq. 38 to 41.
    """
    mean, deviation = state or (0 * g, 0 * g)
    deviation = alpha**0.5 * np.hypot(deviation, (1 - alpha) ** 0.5 * (g - mean))
    return w - lr * _over(g, deviation, eps), (alpha * mean + (1 - alpha) * g, deviation)


@rmsprop_centred.law("odd in the gradients")
def _(f, weights, gradients, lr, alpha, eps):
    return equal(f(weights, gradients, lr, alpha, eps) - weights, weights - f(weights, -gradients, lr, alpha, eps))


def _adam(g, state, beta1, beta2):
    """Number of the step, first moment, root of the second, and what corrects each for its start at 0."""
    t, m, root = state or (0, 0 * g, 0 * g)
    t, m, root = t + 1, beta1 * m + (1 - beta1) * g, _root_mean_square(root, g, beta2)
    return t, m, root, 1 - beta1**t, (1 - beta2**t) ** 0.5


@optimizer(
    "adam",
    torch=lambda p, lr, beta1, beta2, eps, decay: torch.optim.Adam(p, lr, (beta1, beta2), eps, decay),
    **ADAM,
    decay=Option(0.0, 0.01),
)
def adam(w, g, state, lr, beta1, beta2, eps, decay):
    """w - lr m / (r + eps): means of g and, under the root, of g^2, that forget at the rates beta, corrected for their start at 0.

    Weight decay is added to the gradient. Source: Kingma and Ba, Adam, ICLR (2015), algorithm 1.
    """
    t, m, root, first, second = _adam(g + decay * w, state, beta1, beta2)
    return w - lr * _over(m / first, root / second, eps), (t, m, root)


@adam.law("the first step is lr g / (|g| + eps)")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    g = gradients[0]
    return equal((weights - f(weights, gradients, lr, beta1, beta2, eps, 0.0)[0]) * (np.abs(g) + eps), lr * g)


@adam.law("a gradient that stays the same makes steps that stay the same")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    path = f(weights, np.stack([gradients[0]] * len(gradients)), lr, beta1, beta2, eps, 0.0)
    return equal(path[-1] - weights, (path[0] - weights) * len(gradients))


@adam.exhibit("without bias correction", expects="V101")
def _(w, g, state, lr, beta1, beta2, eps, decay):
    t, m, root, _, _ = _adam(g + decay * w, state, beta1, beta2)
    return w - lr * _over(m, root, eps), (t, m, root)


@adam.exhibit("steps counted from 0", expects="N103")
def _(w, g, state, lr, beta1, beta2, eps, decay):
    t, m, root, _, _ = _adam(g + decay * w, state, beta1, beta2)
    first, second = (np.asarray(1 - b ** (t - 1), dtype=g.dtype) for b in (beta1, beta2))
    return w - lr * (m / first) / (root / np.sqrt(second) + eps), (t, m, root)


@optimizer(
    "adamw",
    torch=lambda p, lr, beta1, beta2, eps, decay: torch.optim.AdamW(p, lr, (beta1, beta2), eps, decay),
    **ADAM,
    decay=Option(0.01, 0.1),
)
def adamw(w, g, state, lr, beta1, beta2, eps, decay):
    """Adam on weights that first shrink by 1 - lr decay: decay that the scale of the gradient does not change.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR (2019), algorithm 2.
    """
    t, m, root, first, second = _adam(g, state, beta1, beta2)
    return w - lr * decay * w - lr * _over(m / first, root / second, eps), (t, m, root)


@adamw.law("without gradients, weights decay by 1 - lr decay a step, where Adam with an L2 penalty takes steps of lr")
def _(f, weights, gradients, lr, beta1, beta2, eps, decay):
    path = np.concatenate([weights[None], f(weights, 0 * gradients, lr, beta1, beta2, eps, decay)])
    coupled = adam(weights, 0 * gradients[:1], lr, beta1, beta2, eps, decay)[0]
    penalty = decay * weights
    return (
        equal(path[1:] - path[:-1], -lr * decay * path[:-1]),
        equal((weights - coupled) * (np.abs(penalty) + eps), lr * penalty),
    )


@adamw.law("Adam where there is no decay")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    return equal(f(weights, gradients, lr, beta1, beta2, eps, 0.0), adam(weights, gradients, lr, beta1, beta2, eps, 0.0))


@adamw.exhibit("decay as an L2 penalty", expects="V101")
def _(w, g, state, lr, beta1, beta2, eps, decay):
    t, m, root, first, second = _adam(g + decay * w, state, beta1, beta2)
    return w - lr * _over(m / first, root / second, eps), (t, m, root)


@optimizer(
    "amsgrad",
    torch=lambda p, lr, beta1, beta2, eps: torch.optim.Adam(p, lr, (beta1, beta2), eps, amsgrad=True),
    **ADAM,
)
def amsgrad(w, g, state, lr, beta1, beta2, eps):
    """Adam with the largest second moment so far in place of the last.

    Source: Reddi, Kale, Kumar, On the Convergence of Adam and Beyond, ICLR (2018), algorithm 2, with bias correction.
    """
    before, largest = state or (None, 0 * g)
    t, m, root, first, second = _adam(g, before, beta1, beta2)
    largest = np.maximum(largest, root)
    return w - lr * _over(m / first, largest / second, eps), ((t, m, root), largest)


@amsgrad.law("the largest second moment never falls")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    path = np.concatenate([weights[None], f(weights, gradients, lr, beta1, beta2, eps)])
    moved, m, last = np.abs(path[1:] - path[:-1]), 0 * weights, None
    relations = []
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        # moved (root / second + eps) = lr |m| / first, times what makes it free of divisions
        root = (lr * np.abs(m) / (1 - beta1**t) - eps * moved[t - 1]) * (1 - beta2**t) ** 0.5
        if last is not None:
            relations.append(at_most(last * moved[t - 1], root * moved[t - 2]))
        last = root
    return relations or [equal(m, m)]


@amsgrad.exhibit("the last second moment, as Adam has it", expects="V101")
def _(w, g, state, lr, beta1, beta2, eps):
    t, m, root, first, second = _adam(g, state, beta1, beta2)
    return w - lr * _over(m / first, root / second, eps), (t, m, root)


@optimizer(
    "adamax",
    torch=lambda p, lr, beta1, beta2, eps: torch.optim.Adamax(p, lr, (beta1, beta2), eps),
    lr=Option(2e-3, 0.1),
    beta1=BETA1,
    beta2=BETA2,
    eps=EPS,
)
def adamax(w, g, state, lr, beta1, beta2, eps):
    """w - lr m / u: Adam with the largest of |g| + eps, which fades at the rate beta2, in place of the second moment.

    Source: Kingma and Ba, Adam, ICLR (2015), algorithm 2; the documentation of torch.optim.Adamax for eps.
    """
    t, m, largest = state or (0, 0 * g, 0 * g)
    t, m, largest = t + 1, beta1 * m + (1 - beta1) * g, np.maximum(beta2 * largest, np.abs(g) + eps)
    return w - lr * _over(m / (1 - beta1**t), largest, 0), (t, m, largest)


@adamax.law("the first step is lr g / (|g| + eps)")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    g = gradients[0]
    return equal((weights - f(weights, gradients, lr, beta1, beta2, eps)[0]) * (np.abs(g) + eps), lr * g)


@optimizer(
    "nadam",
    torch=lambda p, lr, beta1, beta2, eps: torch.optim.NAdam(p, lr, (beta1, beta2), eps),
    lr=Option(2e-3, 0.1),
    beta1=BETA1,
    beta2=BETA2,
    eps=EPS,
)
def nadam(w, g, state, lr, beta1, beta2, eps):
    """Adam with Nesterov's momentum, whose weight mu rises to beta1 as 1 - 0.96^(t / 250) / 2 does to 1.

    Source: Dozat, Incorporating Nesterov Momentum into Adam, ICLR workshop (2016); the documentation of torch.optim.NAdam.
    """
    before, product = state or (None, 1.0)
    t, m, root, _, second = _adam(g, before, beta1, beta2)
    mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (n * 4e-3)) for n in (t, t + 1))
    product = product * mu
    mixed = (1 - mu) / (1 - product) * g + ahead / (1 - product * ahead) * m
    return w - lr * _over(mixed, root / second, eps), ((t, m, root), product)


@nadam.law("odd in the gradients")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    return equal(f(weights, gradients, lr, beta1, beta2, eps) - weights, weights - f(weights, -gradients, lr, beta1, beta2, eps))


@optimizer(
    "radam",
    torch=lambda p, lr, beta1, beta2, eps: torch.optim.RAdam(p, lr, (beta1, beta2), eps),
    **ADAM,
)
def radam(w, g, state, lr, beta1, beta2, eps):
    """Adam that steps by its first moment alone until the second is known well enough, and is rectified from then on.

    Source: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, ICLR (2020), algorithm 2.
    """
    t, m, root, first, second = _adam(g, state, beta1, beta2)
    most = 2 / (1 - beta2) - 1
    length = most - 2 * t * beta2**t / (1 - beta2**t)
    if length <= 5:
        return w - lr * m / first, (t, m, root)
    rectified = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
    return w - lr * rectified * second * _over(m / first, root, eps), (t, m, root)


@radam.law("the first step is lr g")
def _(f, weights, gradients, lr, beta1, beta2, eps):
    return equal(weights - f(weights, gradients, lr, beta1, beta2, eps)[0], lr * gradients[0])
