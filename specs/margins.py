"""Margin losses: what is right by a margin costs nothing."""

from __future__ import annotations

import numpy as np

from gradcheck import Labels, Real, Sign, at_most, equal, spec
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


def _violations(scores, labels):
    """s_j - s_y + 1 in every row; 0 for the true class y."""
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    return np.where(np.arange(scores.shape[1]) == labels[:, None], 0, scores - true + 1)


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
