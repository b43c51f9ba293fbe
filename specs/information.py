"""Measures of information: Kullback-Leibler divergence."""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from gradcheck import Option, Simplex, at_most, equal, spec
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


@kl_divergence.law("cross entropy = entropy + divergence")
def _(f, target, probabilities):
    entropy = -np.sum(target * np.log(np.where(target > 0, target, 1)))
    return equal(-np.sum(target * np.log(probabilities)), entropy + f(target, probabilities, "sum"))


@kl_divergence.exhibit("0 log 0", expects="N103")
def _(target, probabilities, reduction):
    total = np.sum(target * (np.log(target) - np.log(probabilities)))
    return total / len(target) if reduction == "batchmean" else total
