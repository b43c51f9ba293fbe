"""Margin losses: what is right by a margin costs nothing."""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY, reduce, share

from gradcheck import Labels, Option, Real, Sign, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "hinge",
    family="loss",
    scores=Real("batch", kinks=(1.0, -1.0)),
    labels=Sign("batch"),
    torch=lambda scores, labels: torch.relu(1 - labels * scores).mean(),
)
def hinge(scores, labels):
    """Mean of max(0, 1 - y m) for scores m and labels y of -1 or 1: the loss of the binary SVM.

    The derivative is -y / N inside the margin (y m < 1) and 0 beyond; at the margin itself any
    number between is a subgradient, and 0 is taken. Reference: composed of torch primitives.
    Source: Cortes and Vapnik, Support-Vector Networks, Machine Learning 20 (1995).
    """
    return np.mean(np.maximum(0, 1 - labels * scores))


@hinge.vjp
def _(dy, scores, labels, y):
    return np.where(labels * scores < 1, -labels, 0) * dy / scores.size


@hinge.law("zero at the margin and beyond")
def _(f, scores, labels):
    return equal(f(labels * (1 + np.abs(scores)), labels), 0)


@hinge.law("at least the mean of 1 - y m, and equal to it inside the margin")
def _(f, scores, labels):
    inside = np.minimum(labels * scores, 1) * labels
    return at_most(np.mean(1 - labels * scores), f(scores, labels)), equal(f(inside, labels), np.mean(1 - labels * inside))


@hinge.law("at least the share of scores with the wrong sign")
def _(f, scores, labels):
    return at_most(np.mean(np.where(labels * scores < 0, 1.0, 0.0)), f(scores, labels))


@spec(
    "multiclass_hinge",
    family="loss",
    scores=Real("batch", "classes", kinks=(0.0, 1.0)),
    labels=Labels("batch", below="classes"),
    torch=lambda scores, labels: (torch.relu(scores - scores.gather(1, labels[:, None]) + 1).sum(1) - 1).mean(),
)
def multiclass_hinge(scores, labels):
    """Sum over the classes j != y of max(0, s_j - s_y + 1), averaged over the batch.

    Each wrong class within the margin has the derivative 1/N, the true class minus their number
    over N; at the margin itself 0 is taken. Reference: composed of torch primitives, where the true
    class itself counts 1 (torch.nn.MultiMarginLoss divides by the number of classes as well).
    Source: Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition,
    ESANN (1999).
    """
    return np.sum(np.maximum(0, _violations(scores, labels))) / labels.size


def _violations(scores, labels, margin=1):
    """s_j - s_y + margin in every row; 0 for the true class y."""
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    return np.where(np.arange(scores.shape[1]) == labels[:, None], 0, scores - true + margin)


@multiclass_hinge.vjp
def _(dy, scores, labels, y):
    slopes = np.where(_violations(scores, labels) > 0, dy / labels.size, 0)
    true = np.arange(scores.shape[1]) == labels[:, None]
    return np.where(true, -np.sum(slopes, axis=1, keepdims=True), slopes)


@multiclass_hinge.law("unchanged when all scores of a row are shifted alike")
def _(f, scores, labels, shift=Real("batch", "1", upto=8)):
    return equal(f(scores + shift, labels), f(scores, labels))


@multiclass_hinge.law("zero when the true class leads by the margin")
def _(f, scores, labels):
    true = np.arange(scores.shape[1]) == labels[:, None]
    return equal(f(np.where(true, np.max(scores, axis=1, keepdims=True) + 1, scores), labels), 0)


@multiclass_hinge.law("with two classes, the binary hinge of their difference")
def _(f, difference=Real("batch"), sign=Sign("batch")):
    scores = np.stack([0 * difference, difference], axis=1)
    return equal(f(scores, np.where(sign > 0, 1, 0)), hinge(difference, sign))


@multiclass_hinge.exhibit("backward that leaves the true class out", expects="G101", part="vjp")
def _(dy, scores, labels, y):
    return np.where(_violations(scores, labels) > 0, dy / labels.size, 0)


def _torch_reduce(losses, reduction):
    return losses if reduction == "none" else getattr(losses, reduction)()


@spec(
    "squared_hinge",
    family="loss",
    scores=Real("batch", kinks=(1.0, -1.0)),
    labels=Sign("batch"),
    reduction=Option("mean", "sum", "none"),
    torch=lambda scores, labels, reduction: _torch_reduce(torch.relu(1 - labels * scores) ** 2, reduction),
)
def squared_hinge(scores, labels, reduction):
    """max(0, 1 - y m)^2 for scores m and labels y of -1 or 1: the L2-loss of the binary SVM.

    The derivative is -2 y max(0, 1 - y m), over N for the mean; unlike the hinge it has no kink.
    Reference: composed of torch primitives. Source: Fan, Chang, Hsieh, Wang, Lin, LIBLINEAR: A Library
    for Large Linear Classification, JMLR 9 (2008), section 2.
    """
    inside = np.maximum(0, 1 - labels * scores)
    return reduce(inside * inside, reduction)


@squared_hinge.vjp
def _(dy, scores, labels, reduction, y):
    return -2 * share(dy, scores.size, reduction) * labels * np.maximum(0, 1 - labels * scores)


@squared_hinge.law("the square of the hinge, score by score")
def _(f, scores, labels):
    each = [hinge(scores[i : i + 1], labels[i : i + 1]) for i in range(len(scores))]
    return equal(f(scores, labels, "none"), np.stack(each) ** 2)


@squared_hinge.law("its mean is at least the squared mean of the hinge")
def _(f, scores, labels):
    return at_most(hinge(scores, labels) ** 2, f(scores, labels, "mean"))


@squared_hinge.exhibit("backward of the square beyond the margin too", expects="G101", part="vjp")
def _(dy, scores, labels, reduction, y):
    return -2 * share(dy, scores.size, reduction) * labels * (1 - labels * scores)


@spec(
    "multiclass_squared_hinge",
    family="loss",
    scores=Real("batch", "classes", kinks=(0.0, 1.0)),
    labels=Labels("batch", below="classes"),
    torch=lambda scores, labels: ((torch.relu(scores - scores.gather(1, labels[:, None]) + 1) ** 2).sum(1) - 1).mean(),
)
def multiclass_squared_hinge(scores, labels):
    """Sum over the classes j != y of max(0, s_j - s_y + 1)^2, averaged over the batch.

    Each wrong class has the derivative 2/N times its violation of the margin, the true class minus
    their sum; there is no kink. Reference: composed of torch primitives, where the true class itself
    counts 1. Source: Lee and Lin, A Study on L2-Loss (Squared Hinge-Loss) Multiclass SVM, Neural
    Computation 25 (2013).
    """
    return np.sum(np.maximum(0, _violations(scores, labels)) ** 2) / labels.size


@multiclass_squared_hinge.vjp
def _(dy, scores, labels, y):
    slopes = 2 * dy / labels.size * np.maximum(0, _violations(scores, labels))
    true = np.arange(scores.shape[1]) == labels[:, None]
    return np.where(true, -np.sum(slopes, axis=1, keepdims=True), slopes)


@multiclass_squared_hinge.law("zero when the true class leads by the margin")
def _(f, scores, labels):
    true = np.arange(scores.shape[1]) == labels[:, None]
    return equal(f(np.where(true, np.max(scores, axis=1, keepdims=True) + 1, scores), labels), 0)


@multiclass_squared_hinge.law("with two classes, the binary squared hinge of their difference")
def _(f, difference=Real("batch"), sign=Sign("batch")):
    scores = np.stack([0 * difference, difference], axis=1)
    return equal(f(scores, np.where(sign > 0, 1, 0)), squared_hinge(difference, sign, "mean"))


@spec(
    "multi_margin",
    family="loss",
    scores=Real("batch", "classes", kinks=(0.0, 0.5, 1.0)),
    labels=Labels("batch", below="classes"),
    weight=Real("classes", low=0, closed=True, upto=8, differentiable=False),
    p=Option(1, 2),
    margin=Option(1.0, 0.5),
    reduction=Option("mean", "sum", "none"),
    torch=lambda scores, labels, weight, p, margin, reduction: torch.nn.functional.multi_margin_loss(
        scores, labels, p, margin, weight, reduction=reduction
    ),
)
def multi_margin(scores, labels, weight, p, margin, reduction):
    """w_y / C times the sum over the classes j != y of max(0, margin + s_j - s_y)^p, for p = 1 or 2.

    scores: (batch, classes), labels integers, weight: a factor for each true class. Unlike the other
    multi-class hinges it divides by the number C of classes. Each violating class has the derivative
    w_y p / C times its violation to the power p - 1, the true class minus their sum; 0 is taken at
    the margin. Source: the documentation of torch.nn.MultiMarginLoss.
    """
    inside = np.maximum(0, _violations(scores, labels, margin))
    return reduce(weight[labels] * np.sum(inside**p, axis=1) / scores.shape[1], reduction)


def _margin_slope(violations, p):
    """The derivative of max(0, v)^p."""
    return 2 * np.maximum(0, violations) if p == 2 else np.maximum(0, np.sign(violations))


@multi_margin.vjp
def _(dy, scores, labels, weight, p, margin, reduction, y):
    slope = _margin_slope(_violations(scores, labels, margin), p)
    slope = slope * np.reshape(share(dy, labels.size, reduction) * weight[labels], (-1, 1)) / scores.shape[1]
    true = np.arange(scores.shape[1]) == labels[:, None]
    return np.where(true, -np.sum(slope, axis=1, keepdims=True), slope)


@multi_margin.law("with a margin of 1 and no weights, 1/C of the multi-class hinges")
def _(f, scores, labels):
    count, ones = scores.shape[1], np.ones(scores.shape[1])
    return (
        equal(f(scores, labels, ones, 1, 1.0, "mean") * count, multiclass_hinge(scores, labels)),
        equal(f(scores, labels, ones, 2, 1.0, "mean") * count, multiclass_squared_hinge(scores, labels)),
    )


@multi_margin.law("scores, margin and loss scale alike when p = 1")
def _(f, scores, labels, weight, margin):
    return equal(f(4 * scores, labels, weight, 1, 4 * margin, "none"), 4 * f(scores, labels, weight, 1, margin, "none"))


@multi_margin.exhibit("the weight of the wrong class in the backward", expects="G101", part="vjp")
def _(dy, scores, labels, weight, p, margin, reduction, y):
    slope = weight * _margin_slope(_violations(scores, labels, margin), p)
    slope = slope * np.reshape(share(dy, labels.size, reduction), (-1, 1)) / scores.shape[1]
    true = np.arange(scores.shape[1]) == labels[:, None]
    return np.where(true, -np.sum(slope, axis=1, keepdims=True), slope)


@spec(
    "hinge_embedding",
    family="loss",
    distances=Real("batch", kinks=(0.0, 0.5, 1.0)),
    labels=Sign("batch"),
    margin=Option(1.0, 0.5),
    reduction=Option("mean", "sum", "none"),
    dtypes=EVERY,
    torch=lambda distances, labels, margin, reduction: torch.nn.functional.hinge_embedding_loss(
        distances, labels, margin, reduction=reduction
    ),
)
def hinge_embedding(distances, labels, margin, reduction):
    """The distance x of a like pair (y = 1), max(0, margin - x) of an unlike one (y = -1).

    distances and labels: (batch,); any real distance. The derivative is 1 for a like pair, -1 for
    an unlike one within the margin and 0 beyond; 0 is taken at the margin.
    Source: the documentation of torch.nn.HingeEmbeddingLoss.
    """
    return reduce(np.where(labels > 0, distances, np.maximum(0, margin - distances)), reduction)


@hinge_embedding.vjp
def _(dy, distances, labels, margin, reduction, y):
    slope = share(dy, distances.size, reduction)
    return np.where(labels > 0, slope, np.where(distances < margin, -slope, 0))


@hinge_embedding.law("the loss of a pair taken as like, less that as unlike: x - max(0, margin - x)")
def _(f, distances, margin):
    ones = np.ones_like(distances)
    both = f(distances, ones, margin, "none") - f(distances, -ones, margin, "none")
    return equal(both, np.minimum(distances, 2 * distances - margin))


@hinge_embedding.law("the hinge, for unlike pairs and a margin of 1")
def _(f, distances):
    ones = np.ones_like(distances)
    return equal(f(distances, -ones, 1.0, "mean"), hinge(distances, ones))
