"""Measures of information: entropy, Kullback-Leibler divergence."""

from __future__ import annotations

import math

import numpy as np
from gradcheck.specs._shared import reduce, share, torch_reduced
from scipy.special import entr, rel_entr

from gradcheck import OneHot, Option, Real, Simplex, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "kl_divergence",
    family="loss",
    target=Simplex("batch", "classes", zeros=True, differentiable=False),
    probabilities=Simplex("batch", "classes"),
    reduction=Option("batchmean", "sum"),
    torch=lambda target, probabilities, reduction: torch.nn.functional.kl_div(torch.log(probabilities), target, reduction=reduction),
)
def kl_divergence(target, probabilities, reduction):
    """Kullback-Leibler divergence: sum p (log p - log q) of a target p from q, with 0 log 0 = 0.

    Averaged over the batch, or summed. The derivative with respect to q is -p / q.
    Source: Kullback and Leibler, On Information and Sufficiency, Annals of Mathematical
    Statistics 22 (1951).
    """
    total = np.sum(rel_entr(target, probabilities))
    return total / len(target) if reduction == "batchmean" else total


@kl_divergence.vjp
def _(dy, target, probabilities, reduction, y):
    slope = dy / len(target) if reduction == "batchmean" else dy
    return -slope * target / probabilities


@kl_divergence.law("not negative between distributions")
def _(f, target, probabilities, reduction):
    p = target / np.sum(target, axis=1, keepdims=True)
    q = probabilities / np.sum(probabilities, axis=1, keepdims=True)
    return at_most(0, f(p, q, reduction))


@kl_divergence.law("zero from itself")
def _(f, probabilities, reduction):
    return equal(f(probabilities, probabilities, reduction), 0)


@kl_divergence.law("zero from itself alone: at least half the square of sum |p - q|, row by row (Pinsker)")
def _(f, target, probabilities):
    p = target / np.sum(target, axis=1, keepdims=True)
    q = probabilities / np.sum(probabilities, axis=1, keepdims=True)
    return at_most(np.sum(np.sum(np.abs(p - q), axis=1) ** 2) / 2, f(p, q, "sum"))


@kl_divergence.law("cross entropy = entropy + divergence")
def _(f, target, probabilities):
    entropy = -np.sum(target * np.log(np.where(target > 0, target, 1)))
    return equal(-np.sum(target * np.log(probabilities)), entropy + f(target, probabilities, "sum"))


@kl_divergence.exhibit("0 log 0", expects="N103")
def _(target, probabilities, reduction):
    total = np.sum(target * (np.log(target) - np.log(probabilities)))
    return total / len(target) if reduction == "batchmean" else total


@spec(
    "entropy",
    family="loss",
    probabilities=Simplex("batch", "classes"),
    base=Option(None, 2),
    torch=lambda probabilities, base: torch.special.entr(probabilities).sum(-1) / _unit(base),
)
def entropy(probabilities, base):
    """-sum p log p of each row, with 0 log 0 = 0: in nats, or in bits with base 2.

    For probabilities of shape (batch, classes). The derivative is -(log p + 1), over log 2 in bits; it is infinite at
    p = 0, which the laws alone visit. Source: Shannon, A Mathematical Theory of Communication (1948), section 6.
    """
    return np.sum(entr(probabilities), axis=-1) / _unit(base)


def _unit(base):
    """What the logarithm to ``base`` divides the natural one by."""
    return 1.0 if base is None else math.log(base)


@entropy.vjp
def _(dy, probabilities, base, y):
    return -(dy / _unit(base))[..., None] * (np.log(probabilities) + 1)


@entropy.law("0 of a one-hot row")
def _(f, base, sure=OneHot("batch", "classes")):
    return equal(f(sure, base), 0)


@entropy.law("not negative, and at most log K, which the uniform distribution has")
def _(f, probabilities, base):
    rows = probabilities / np.sum(probabilities, axis=1, keepdims=True)
    most = np.log(rows.shape[1]) / _unit(base)
    return at_most(0, f(rows, base)), at_most(f(rows, base), most), equal(f(0 * rows + 1 / rows.shape[1], base), most)


@entropy.law("2 bits of [.25, .25, .25, .25]")
def _(f):
    return equal(f(np.array([[0.25, 0.25, 0.25, 0.25]]), 2), 2)


@entropy.law("1.3568 bits of [.1, .1, .1, .7]")
def _(f):
    return at_most(np.abs(f(np.array([[0.1, 0.1, 0.1, 0.7]]), 2) - 1.3568), 5e-5)


@entropy.law("0.0313 bits of [.001, .001, .001, .999], which sum to 1.002")
def _(f):
    return at_most(np.abs(f(np.array([[0.001, 0.001, 0.001, 0.999]]), 2) - 0.0313), 5e-5)


@entropy.law("of two independent choices is the sum of their entropies")
def _(f, probabilities, base, other=Simplex("batch", "2")):
    p = probabilities / np.sum(probabilities, axis=1, keepdims=True)
    q = other / np.sum(other, axis=1, keepdims=True)
    both = np.reshape(p[:, :, None] * q[:, None, :], (len(p), -1))
    return equal(f(both, base), f(p, base) + f(q, base))


@entropy.exhibit("backward without the 1", expects="G101", part="vjp")
def _(dy, probabilities, base, y):
    return -(dy / _unit(base))[..., None] * np.log(probabilities)


@spec(
    "kl_divergence_logs",
    family="loss",
    log_target=Real("batch", "classes", high=0, closed=True),
    log_probabilities=Real("batch", "classes", high=0, closed=True),
    reduction=Option("batchmean", "mean", "sum", "none"),
    torch=lambda log_target, log_probabilities, reduction: _torch_kl(log_target, log_probabilities, reduction),
)
def kl_divergence_logs(log_target, log_probabilities, reduction):
    """Kullback-Leibler divergence from log-probabilities: the terms p (log p - log q), with p the target.

    Averaged over the batch ("batchmean"), over all entries ("mean"), summed, or one by one. The derivative with
    respect to log p is p (log p - log q + 1), to log q it is -p. Source: the documentation of torch.nn.KLDivLoss.
    """
    terms = np.exp(log_target) * (log_target - log_probabilities)
    return np.sum(terms) / len(terms) if reduction == "batchmean" else reduce(terms, reduction)


def _torch_kl(log_target, log_probabilities, reduction):
    terms = torch.nn.functional.kl_div(log_probabilities, log_target, reduction="none", log_target=True)
    return terms.sum() / len(terms) if reduction == "batchmean" else torch_reduced(terms, reduction)


@kl_divergence_logs.vjp
def _(dy, log_target, log_probabilities, reduction, y):
    slope = dy / len(log_target) if reduction == "batchmean" else share(dy, log_target.size, reduction)
    target = np.exp(log_target)
    return slope * target * (log_target - log_probabilities + 1), -slope * target


@kl_divergence_logs.law("the divergence of the probabilities")
def _(f, log_target, log_probabilities):
    p, q = np.clip(log_target, -30, 0), np.clip(log_probabilities, -30, 0)
    return equal(f(p, q, "sum"), kl_divergence(np.exp(p), np.exp(q), "sum"))


@kl_divergence_logs.law("of two distributions not negative, and zero from itself")
def _(f, log_target, log_probabilities):
    p, q = (x - np.log(np.sum(np.exp(x), axis=1, keepdims=True)) for x in (log_target, log_probabilities))
    return at_most(0, f(p, q, "sum")), equal(f(p, p, "none"), 0)


@kl_divergence_logs.exhibit("the mean over all entries for that over the batch", expects="G102", part="vjp")
def _(dy, log_target, log_probabilities, reduction, y):
    slope = share(dy, log_target.size, "mean" if reduction == "batchmean" else reduction)
    target = np.exp(log_target)
    return slope * target * (log_target - log_probabilities + 1), -slope * target
