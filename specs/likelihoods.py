"""Negative log-likelihoods: Poisson counts, normal noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from gradcheck.specs._shared import reduce, share, torch_reduced
from gradcheck.specs.regression import mse
from scipy.special import gammaln

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


@dataclass(frozen=True, init=False)
class _Counts(Real):
    """Whole numbers from 0 on, in the dtype of the point."""

    def draw(self, draw, shapes, dtype):
        return np.rint(super().draw(draw, shapes, dtype))


_COUNTS = _Counts("batch", "outputs", low=0, closed=True, differentiable=False)


@spec(
    "poisson_nll",
    family="loss",
    log_rates=Real("batch", "outputs", upto=80),
    target=_COUNTS,
    full=Option(False, True),
    reduction=Option("mean", "sum", "none"),
    torch=lambda log_rates, target, full, reduction: torch.nn.functional.poisson_nll_loss(
        log_rates, target, log_input=True, full=full, reduction=reduction
    ),
)
def poisson_nll(log_rates, target, full, reduction):
    """e^x - t x for counts t and log-rates x, with Stirling's t log t - t + log(2 pi t)/2 for t > 1 if full.

    Averaged over all entries, summed, or one by one. x is at most 80, since e^x itself leaves float32 at 88. The derivative is
    e^x - t. With d = x - log t the full loss is t (e^d - 1 - d) + log(2 pi t)/2, which cancels less.
    Source: the documentation of torch.nn.PoissonNLLLoss.
    """
    plain = np.exp(log_rates) - target * log_rates
    if not full:
        return reduce(plain, reduction)
    large = np.where(target > 1, target, 2)
    apart = log_rates - np.log(large)
    completed = large * (np.expm1(apart) - apart) + 0.5 * np.log(2 * math.pi * large)
    return reduce(np.where(target > 1, completed, plain), reduction)


@poisson_nll.vjp
def _(dy, log_rates, target, full, reduction, y):
    near = np.expm1(np.minimum(log_rates, 1)) - (target - 1)
    slopes = np.where(np.abs(log_rates) < 1, near, np.exp(log_rates) - target)
    return share(dy, log_rates.size, reduction) * slopes


@poisson_nll.law("smallest at the rate t")
def _(f, log_rates, full, some=_Counts("batch", "outputs", low=1, closed=True, differentiable=False)):
    return at_most(f(np.log(some), some, full, "none"), f(log_rates, some, full, "none"))


@poisson_nll.law("full, above the logarithm of the Poisson probability by at most 1/(12 t)")
def _(f, log_rates, few=_Counts("batch", "outputs", low=2, closed=True, upto=40, differentiable=False)):
    exact = np.exp(log_rates) - few * log_rates + gammaln(few + 1)
    loss = f(log_rates, few, True, "none")
    return at_most(loss, exact), at_most(exact, loss + 1 / (12 * few))


@spec(
    "poisson_nll_rates",
    family="loss",
    rates=Real("batch", "outputs", low=0, closed=True),
    target=_COUNTS,
    full=Option(False, True),
    eps=Option(1e-8, 0.01),
    reduction=Option("mean", "sum", "none"),
    torch=lambda rates, target, full, eps, reduction: torch.nn.functional.poisson_nll_loss(
        rates, target, log_input=False, full=full, eps=eps, reduction=reduction
    ),
)
def poisson_nll_rates(rates, target, full, eps, reduction):
    """x - t log(x + eps) for counts t and rates x, with Stirling's t log t - t + log(2 pi t)/2 for t > 1 if full.

    Averaged over all entries, summed, or one by one. The derivative is 1 - t / (x + eps). The full loss is
    x - t - t log((x + eps)/t) + log(2 pi t)/2, which cancels less. Source: the documentation of torch.nn.PoissonNLLLoss.
    """
    plain = rates - target * np.log(rates + eps)
    if not full:
        return reduce(plain, reduction)
    large = np.where(target > 1, target, 2)
    apart = (rates - large + eps) / large
    ratio = np.where(np.abs(apart) < 0.5, np.log1p(np.maximum(apart, -0.5)), np.log((rates + eps) / large))
    completed = (rates - large) - large * ratio + 0.5 * np.log(2 * math.pi * large)
    return reduce(np.where(target > 1, completed, plain), reduction)


@poisson_nll_rates.vjp
def _(dy, rates, target, full, eps, reduction, y):
    return share(dy, rates.size, reduction) * ((rates - target) + eps) / (rates + eps)


@poisson_nll_rates.law("that of the log-rates log(x + eps), less eps")
def _(f, rates, target, full, eps):
    return equal(f(rates, target, full, eps, "none"), poisson_nll(np.log(rates + eps), target, full, "none") - eps)


@poisson_nll_rates.law("without counts the rate itself")
def _(f, rates, full, eps):
    return equal(f(rates, 0 * rates, full, eps, "none"), rates)


@spec(
    "gaussian_nll",
    family="loss",
    prediction=Real("batch", "outputs"),
    target=Real("batch", "outputs"),
    variance=Real("batch", "outputs", low=0, kinks=(0.01,)),
    full=Option(False, True),
    eps=Option(1e-6, 0.01),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, variance, full, eps, reduction: _torch_gaussian(prediction - target, variance, full, eps, reduction),
)
def gaussian_nll(prediction, target, variance, full, eps, reduction):
    """(log v + (y - t)^2 / v) / 2 with v = max(variance, eps), and log(2 pi)/2 more if full.

    Averaged over all entries, summed, or one by one. Derivatives: (y - t) / v, for the target its negative; (1 - (y - t)^2 / v) / (2v),
    and 0 where the variance is below eps. Reference: composed of torch primitives, since torch's
    own backward passes the clamp as if it were not there. Source: the documentation of torch.nn.GaussianNLLLoss.
    """
    v, residual = np.maximum(variance, eps), prediction - target
    losses = 0.5 * (np.log(v) + residual * (residual / v))
    return reduce(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def _torch_gaussian(residual, variance, full, eps, reduction):
    v = torch.clamp(variance, min=eps)
    return torch_reduced(0.5 * (torch.log(v) + residual**2 / v + (math.log(2 * math.pi) if full else 0)), reduction)


@gaussian_nll.vjp
def _(dy, prediction, target, variance, full, eps, reduction, y):
    v, residual = np.maximum(variance, eps), prediction - target
    slope = share(dy, prediction.size, reduction)
    to_variance = np.where(variance >= eps, (v - residual * residual) / v / v / 2, 0)
    return slope * (residual / v), -slope * (residual / v), slope * to_variance


@gaussian_nll.law("for the variance 1 half the mean squared error")
def _(f, prediction, target, variance, eps, reduction):
    loss = f(prediction, target, np.ones_like(variance), False, eps, reduction)
    return equal(loss, mse(prediction, target, reduction) / 2)


@gaussian_nll.law("full, log(2 pi)/2 more")
def _(f, prediction, target, variance, eps):
    plain = f(prediction, target, variance, False, eps, "mean")
    return equal(f(prediction, target, variance, True, eps, "mean"), plain + np.log(2 * np.pi) / 2)


@gaussian_nll.law("smallest where the variance is the squared error, or eps")
def _(f, prediction, target, variance, eps):
    best = (prediction - target) ** 2
    return at_most(f(prediction, target, best, False, eps, "none"), f(prediction, target, variance, False, eps, "none"))
