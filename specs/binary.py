"""Losses of a binary choice: cross entropy from probabilities and from logits."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import reduce, share, sigmoid

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "bce",
    family="loss",
    probabilities=Real("batch", "outputs", low=0, high=1),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda probabilities, targets, reduction: _torch_reduced(
        -targets * torch.log(probabilities) - (1 - targets) * torch.log1p(-probabilities), reduction
    ),
)
def bce(probabilities, targets, reduction):
    """Binary cross entropy: -(t log p + (1 - t) log(1 - p)), averaged over all entries, summed, or one by one.

    For p strictly between 0 and 1, targets from 0 to 1. The derivative is (p - t) / (p (1 - p)).
    Reference: composed of torch primitives, since torch's own backward divides by 1e-12 at least.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.90.
    """
    losses = targets * np.log(probabilities) + (1 - targets) * np.log1p(-probabilities)
    return reduce(-losses, reduction)


def _torch_reduced(losses, reduction):
    return losses if reduction == "none" else getattr(losses, reduction)()


@bce.vjp
def _(dy, probabilities, targets, reduction, y):
    slopes = (probabilities - targets) / (probabilities * (1 - probabilities))
    return share(dy, probabilities.size, reduction) * slopes


@bce.law("unchanged when the two classes change names")
def _(f, probabilities, targets, reduction):
    return equal(f(1 - probabilities, 1 - targets, reduction), f(probabilities, targets, reduction))


@bce.law("log 2 at p = 1/2, whatever the target")
def _(f, probabilities, targets):
    return equal(f(0 * probabilities + 0.5, targets, "none"), np.log(2))


@bce.law("smallest at p = t")
def _(f, probabilities, other=Real("batch", "outputs", low=0, high=1)):
    return at_most(f(other, other, "none"), f(probabilities, other, "none"))


@bce.exhibit("p - t, which is the derivative with respect to the logits", expects="G101", part="vjp")
def _(dy, probabilities, targets, reduction, y):
    return share(dy, probabilities.size, reduction) * (probabilities - targets)


@spec(
    "bce_with_logits",
    family="loss",
    logits=Real("batch", "outputs"),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, targets, reduction: torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction=reduction),
)
def bce_with_logits(logits, targets, reduction):
    """Binary cross entropy of p = sigmoid(x): log(1 + e^x) - t x, averaged over all entries, summed, or one by one.

    Targets are from 0 to 1. The derivative is sigmoid(x) - t, of which a confident answer keeps
    the tail: (1 - t) sigmoid(x) - t sigmoid(-x), or around x = 0, tanh(x/2)/2 + (1/2 - t).
    Source: the documentation of torch.nn.BCEWithLogitsLoss.
    """
    towards = np.maximum(logits, 0) * (1 - targets) + np.maximum(-logits, 0) * targets
    return reduce(towards + np.log1p(np.exp(-np.abs(logits))), reduction)


@bce_with_logits.vjp
def _(dy, logits, targets, reduction, y):
    near = 0.5 * np.tanh(0.5 * logits) + (0.5 - targets)
    far = (1 - targets) * sigmoid(logits) - targets * sigmoid(-logits)
    return share(dy, logits.size, reduction) * np.where(np.abs(logits) < 1, near, far)


@bce_with_logits.law("binary cross entropy of the sigmoid")
def _(f, logits, targets, reduction):
    logits = np.clip(logits, -30, 30)
    return equal(f(logits, targets, reduction), bce(1 / (1 + np.exp(-logits)), targets, reduction))


@bce_with_logits.law("unchanged when the two classes change names")
def _(f, logits, targets, reduction):
    return equal(f(-logits, 1 - targets, reduction), f(logits, targets, reduction))


@bce_with_logits.law("the logistic loss log(1 + e^-x) for the target 1")
def _(f, logits):
    logits = np.clip(logits, -30, 30)
    return equal(f(logits, np.ones_like(logits), "none"), np.log(1 + np.exp(-logits)))


@bce_with_logits.exhibit("logarithms of the sigmoid and of 1 less it", expects=("N102", "N104"))
def _(logits, targets, reduction):
    p = sigmoid(logits)
    hit = np.where(targets > 0, targets * np.log(p), 0)
    miss = np.where(targets < 1, (1 - targets) * np.log(1 - p), 0)
    return reduce(-hit - miss, reduction)


@bce_with_logits.exhibit("sigmoid minus target, literally: 0 for a confident answer", expects="N104", part="vjp")
def _(dy, logits, targets, reduction, y):
    return share(dy, logits.size, reduction) * (sigmoid(logits) - targets)
