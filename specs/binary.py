"""Losses of a binary choice: cross entropy from probabilities and from logits, weighted, focal; the logistic loss."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import reduce, share, sigmoid, softplus, torch_reduced

from gradcheck import Mask, Option, Real, Sign, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "bce",
    family="loss",
    probabilities=Real("batch", "outputs", low=0, high=1),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda probabilities, targets, reduction: torch_reduced(
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


@spec(
    "bce_clipped",
    family="loss",
    probabilities=Real("batch", "outputs", low=0, high=1, closed=True),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    eps=Option(1e-7, 0.25),
    reduction=Option("mean", "sum", "none"),
    torch=lambda probabilities, targets, eps, reduction: _torch_clipped(probabilities, targets, eps, reduction),
)
def bce_clipped(probabilities, targets, eps, reduction):
    """Binary cross entropy of p clipped to [eps, 1 - eps], which is finite for p = 0 and p = 1 too.

    The derivative is (p - t) / (p (1 - p)) from eps to 1 - eps (there too) and 0 where p is clipped. In floats 1 - eps
    would be rounded: 1 - p is clipped from below instead. Reference: composed of torch primitives.
    Source: the documentation of tf.keras.losses.BinaryCrossentropy, argument epsilon of the backend.
    """
    losses = targets * _log_clipped(probabilities, eps) + (1 - targets) * _log_clipped(1 - probabilities, eps)
    return reduce(-losses, reduction)


def _log_clipped(p, eps):
    """log p for p clipped to [eps, 1 - eps]."""
    return np.where(p < 0.5, np.log(np.maximum(p, eps)), np.log1p(-np.maximum(1 - p, eps)))


def _torch_clipped(probabilities, targets, eps, reduction):
    p = 1 - torch.clamp(1 - torch.clamp(probabilities, min=eps), min=eps)
    return torch_reduced(-targets * torch.log(p) - (1 - targets) * torch.log1p(-p), reduction)


@bce_clipped.vjp
def _(dy, probabilities, targets, eps, reduction, y):
    inside = (probabilities >= eps) & (1 - probabilities >= eps)
    p = np.where(inside, probabilities, 0.5)
    return np.where(inside, share(dy, probabilities.size, reduction) * (p - targets) / (p * (1 - p)), 0)


@bce_clipped.law("binary cross entropy, where nothing is clipped")
def _(f, probabilities, targets, eps, reduction):
    p = np.clip(probabilities, eps, 0.75)
    return equal(f(p, targets, eps, reduction), bce(p, targets, reduction))


@bce_clipped.law("unchanged when the two classes change names")
def _(f, probabilities, targets, eps, reduction):
    return equal(f(1 - probabilities, 1 - targets, eps, reduction), f(probabilities, targets, eps, reduction))


@bce_clipped.law("a sure mistake costs -log eps, a sure hit -log(1 - eps)")
def _(f, eps, sure=Mask("batch", "outputs")):
    return equal(f(1 - sure, sure, eps, "none"), -np.log(eps)), equal(f(sure, sure, eps, "none"), -np.log1p(-eps))


@bce_clipped.exhibit("clipped to a rounded 1 - eps", expects=("N104", "V101"))
def _(probabilities, targets, eps, reduction):
    p = np.clip(probabilities, eps, 1 - eps)
    return reduce(-targets * np.log(p) - (1 - targets) * np.log(1 - p), reduction)


@spec(
    "bce_weighted",
    family="loss",
    probabilities=Real("batch", "outputs", low=0, high=1),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    weights=Real("batch", "outputs", low=0, closed=True, broadcast=True, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda probabilities, targets, weights, reduction: torch_reduced(
        -weights * (targets * torch.log(probabilities) + (1 - targets) * torch.log1p(-probabilities)), reduction
    ),
)
def bce_weighted(probabilities, targets, weights, reduction):
    """Weighted binary cross entropy: -w (t log p + (1 - t) log(1 - p)), averaged over all entries, summed, or one by one.

    Weights of 0 and more, of a shape that broadcasts; the mean divides by the number of entries, not by the weights'
    sum. The derivative is w (p - t) / (p (1 - p)). Reference: composed of torch primitives.
    Source: the documentation of torch.nn.BCELoss, argument weight.
    """
    losses = targets * np.log(probabilities) + (1 - targets) * np.log1p(-probabilities)
    return reduce(-weights * losses, reduction)


@bce_weighted.vjp
def _(dy, probabilities, targets, weights, reduction, y):
    slopes = weights * ((probabilities - targets) / (probabilities * (1 - probabilities)))
    return share(dy, probabilities.size, reduction) * slopes


@bce_weighted.law("binary cross entropy for weights of 1, linear in the weights")
def _(f, probabilities, targets, weights, reduction):
    one, plain = f(probabilities, targets, np.ones_like(weights), reduction), bce(probabilities, targets, reduction)
    more = f(probabilities, targets, weights + 1, reduction)
    return equal(one, plain), equal(more, f(probabilities, targets, weights, reduction) + plain)


@bce_weighted.exhibit("weights forgotten in the backward", expects="G101", part="vjp")
def _(dy, probabilities, targets, weights, reduction, y):
    return share(dy, probabilities.size, reduction) * (probabilities - targets) / (probabilities * (1 - probabilities))


@spec(
    "bce_with_logits_weighted",
    family="loss",
    logits=Real("batch", "outputs"),
    targets=Real("batch", "outputs", low=0, high=1, closed=True, differentiable=False),
    weights=Real("batch", "outputs", low=0, closed=True, broadcast=True, differentiable=False),
    pos_weight=Real("outputs", low=0, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, targets, weights, pos_weight, reduction: torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets, weights, reduction=reduction, pos_weight=pos_weight
    ),
)
def bce_with_logits_weighted(logits, targets, weights, pos_weight, reduction):
    """Weighted binary cross entropy of p = sigmoid(x): -w (c t log p + (1 - t) log(1 - p)).

    c, pos_weight, weighs the positives of each output, w any entry. Averaged over all entries, summed, or one by one.
    The derivative is w ((1 - t) sigmoid(x) - c t sigmoid(-x)), near x = 0 taken around sigmoid = 1/2.
    Source: the documentation of torch.nn.BCEWithLogitsLoss.
    """
    losses = pos_weight * targets * softplus(-logits) + (1 - targets) * softplus(logits)
    return reduce(weights * losses, reduction)


@bce_with_logits_weighted.vjp
def _(dy, logits, targets, weights, pos_weight, reduction, y):
    hit, miss = pos_weight * targets, 1 - targets
    near = 0.5 * np.tanh(0.5 * logits) * (hit + miss) + 0.5 * (miss - hit)
    far = miss * sigmoid(logits) - hit * sigmoid(-logits)
    return share(dy, logits.size, reduction) * weights * np.where(np.abs(logits) < 1, near, far)


@bce_with_logits_weighted.law("binary cross entropy with logits for weights of 1")
def _(f, logits, targets, weights, pos_weight, reduction):
    plain = bce_with_logits(logits, targets, reduction)
    return equal(f(logits, targets, np.ones_like(weights), np.ones_like(pos_weight), reduction), plain)


@bce_with_logits_weighted.law("a sure positive counts c times, a sure negative once")
def _(f, logits, weights, pos_weight, sure=Mask("batch", "outputs")):
    times = np.where(sure > 0, pos_weight * weights, weights)
    return equal(f(logits, sure, weights, pos_weight, "none"), times * bce_with_logits(logits, sure, "none"))


@spec(
    "logistic_loss",
    family="loss",
    margins=Real("batch"),
    labels=Sign("batch"),
    reduction=Option("mean", "sum", "none"),
    torch=lambda margins, labels, reduction: torch.nn.functional.soft_margin_loss(margins, labels, reduction=reduction),
)
def logistic_loss(margins, labels, reduction):
    """log(1 + e^(-y m)) for margins m and labels y of -1 or 1: averaged over the batch, summed, or one by one.

    Logistic regression's loss. The derivative is -y sigmoid(-y m). Source: Hastie, Tibshirani, Friedman, The
    Elements of Statistical Learning (2009), section 10.5; the documentation of torch.nn.SoftMarginLoss.
    """
    return reduce(softplus(-labels * margins), reduction)


@logistic_loss.vjp
def _(dy, margins, labels, reduction, y):
    return -labels * share(dy, margins.size, reduction) * sigmoid(-labels * margins)


@logistic_loss.law("binary cross entropy with logits, labels 1 and 0")
def _(f, margins, labels, reduction):
    return equal(f(margins, labels, reduction), bce_with_logits(margins, (1 + labels) / 2, reduction))


@logistic_loss.law("of both labels differs by the margin")
def _(f, margins, labels):
    return equal(f(margins, -labels, "none") - f(margins, labels, "none"), labels * margins)


@logistic_loss.law("at least log 2 times the number of wrong signs")
def _(f, margins, labels):
    return at_most(np.where(labels * margins <= 0, np.log(2), 0), f(margins, labels, "none"))


@logistic_loss.exhibit("log of 1 + e^(-y m)", expects=("N101", "N104"))
def _(margins, labels, reduction):
    return reduce(np.log(1 + np.exp(-labels * margins)), reduction)


@spec(
    "focal_loss",
    family="loss",
    logits=Real("batch", "outputs"),
    targets=Mask("batch", "outputs"),
    gamma=Option(2.0, 0.0, 1.0, 0.5),
    alpha=Option(0.25, None),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, targets, gamma, alpha, reduction: _torch_focal(logits, 2 * targets - 1, gamma, alpha, reduction),
)
def focal_loss(logits, targets, gamma, alpha, reduction):
    """-a (1 - q)^gamma log q, where q is the probability sigmoid(x) or 1 - sigmoid(x) of the true class.

    For targets 0 and 1; a is alpha for a 1 and 1 - alpha for a 0, or 1 without alpha. With s = x for a 1 and -x for a 0, the
    derivative with respect to s is -a (1 - q)^gamma (1 - q - gamma q log q). Reference: composed of torch primitives.
    Source: Lin, Goyal, Girshick, He, Dollar, Focal Loss for Dense Object Detection (ICCV 2017), eq. 5.
    """
    signed = (2 * targets - 1) * logits
    return reduce(_balance(targets, alpha) * sigmoid(-signed) ** gamma * softplus(-signed), reduction)


def _balance(targets, alpha):
    return 1 if alpha is None else alpha * targets + (1 - alpha) * (1 - targets)


def _torch_focal(logits, sign, gamma, alpha, reduction):
    balance = 1 if alpha is None else torch.where(sign > 0, alpha, 1 - alpha)
    q = torch.sigmoid(sign * logits)
    return torch_reduced(-balance * (1 - q) ** gamma * torch.log(q), reduction)


@focal_loss.vjp
def _(dy, logits, targets, gamma, alpha, reduction, y):
    sign = 2 * targets - 1
    q, rest = sigmoid(sign * logits), sigmoid(-sign * logits)
    slope = rest**gamma * (rest + gamma * q * softplus(-sign * logits))
    return -share(dy, logits.size, reduction) * _balance(targets, alpha) * sign * slope


@focal_loss.law("binary cross entropy with logits for gamma = 0, and at most that")
def _(f, logits, targets, gamma, reduction):
    plain = bce_with_logits(logits, targets, reduction)
    return equal(f(logits, targets, 0.0, None, reduction), plain), at_most(f(logits, targets, gamma, None, reduction), plain)


@focal_loss.law("weighed by alpha, a target of 1, and by 1 - alpha, a target of 0")
def _(f, logits, targets, gamma):
    times = np.where(targets > 0, 0.25, 0.75)
    return equal(f(logits, targets, gamma, 0.25, "none"), times * f(logits, targets, gamma, None, "none"))


@focal_loss.exhibit("1 - q by subtraction, as torchvision has it", expects="N104")
def _(logits, targets, gamma, alpha, reduction):
    signed = (2 * targets - 1) * logits
    return reduce(_balance(targets, alpha) * (1 - sigmoid(signed)) ** gamma * softplus(-signed), reduction)


@focal_loss.exhibit("modulating factor taken for a constant", expects="G101", part="vjp")
def _(dy, logits, targets, gamma, alpha, reduction, y):
    rest = sigmoid((1 - 2 * targets) * logits)
    return share(dy, logits.size, reduction) * _balance(targets, alpha) * (1 - 2 * targets) * rest ** (gamma + 1)
