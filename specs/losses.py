"""Losses on real targets and on margins: squared, absolute, Huber, hinge.

Predictions and targets have the shape (batch, outputs), scores (batch,) or (batch, classes). A mean
is over all entries, for the hinge losses over the batch.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import reduce, share

from gradcheck import Labels, Option, Real, Sign, at_most, equal, spec
from gradcheck.lazy import torch


@spec(
    "half_sum_squares",
    family="loss",
    prediction=Real("batch", "outputs"),
    target=Real("batch", "outputs", differentiable=False),
    torch=lambda prediction, target: 0.5 * torch.nn.functional.mse_loss(prediction, target, reduction="sum"),
)
def half_sum_squares(prediction, target):
    """1/2 sum (y - t)^2, the loss of least squares.

    The half makes the derivative the residual y - t. Unlike the mean squared error it grows with
    the number of entries. Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 1.2.
    """
    residual = prediction - target
    return 0.5 * np.sum(residual * residual)


@half_sum_squares.vjp
def _(dy, prediction, target, y):
    return dy * (prediction - target)


@half_sum_squares.law("half the squared Euclidean norm of the residual")
def _(f, prediction, target):
    return equal(2 * f(prediction, target), np.linalg.norm(prediction - target) ** 2)


@half_sum_squares.law("the residual is the step back to the target")
def _(f, prediction, target):
    return equal(prediction - f.vjp(np.array(1.0), prediction, target), target)


@half_sum_squares.exhibit("backward that takes the upstream gradient for 1", expects="G104", part="vjp")
def _(dy, prediction, target, y):
    return prediction - target


@spec(
    "mse",
    family="loss",
    prediction=Real("batch", "outputs"),
    target=Real("batch", "outputs", differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, reduction: torch.nn.functional.mse_loss(prediction, target, reduction=reduction),
)
def mse(prediction, target, reduction):
    """Mean squared error: (y - t)^2, averaged over all entries, summed, or one by one.

    Its derivative is 2 (y - t) / N for N entries, without the / N for "sum" and "none".
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 5.1.4.
    """
    residual = prediction - target
    return reduce(residual * residual, reduction)


@mse.vjp
def _(dy, prediction, target, reduction, y):
    return share(dy, prediction.size, reduction) * 2 * (prediction - target)


@mse.law("2/N of half the sum of squares")
def _(f, prediction, target):
    return equal(f(prediction, target, "mean"), half_sum_squares(prediction, target) * 2 / prediction.size)


@mse.law("mean square of the error = its variance + its squared mean")
def _(f, prediction, target):
    error = prediction - target
    return equal(f(prediction, target, "mean"), np.var(error) + np.mean(error) ** 2)


@mse.exhibit("backward without the 1/N of the mean", expects="G102", part="vjp")
def _(dy, prediction, target, reduction, y):
    return dy * 2 * (prediction - target)


@spec(
    "mae",
    family="loss",
    prediction=Real("batch", "outputs", kinks=(0.0, 1.0)),
    target=Real("batch", "outputs", kinks=(0.0, 1.0)),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, reduction: torch.nn.functional.l1_loss(prediction, target, reduction=reduction),
)
def mae(prediction, target, reduction):
    """Mean absolute error: |y - t|, averaged over all entries, summed, or one by one.

    The derivative is sign(y - t) / N, for the target its negative; at a tie y = t any number between
    -1/N and 1/N is a subgradient, and 0 is taken.
    Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning (2009), section 10.6.
    """
    return reduce(np.abs(prediction - target), reduction)


@mae.vjp
def _(dy, prediction, target, reduction, y):
    slope = share(dy, prediction.size, reduction) * np.sign(prediction - target)
    return slope, -slope


@mae.law("symmetric in its arguments")
def _(f, prediction, target, reduction):
    return equal(f(prediction, target, reduction), f(target, prediction, reduction))


@mae.law("its square is at most the mean squared error")
def _(f, prediction, target):
    return at_most(f(prediction, target, "mean") ** 2, mse(prediction, target, "mean"))


@mae.law("obeys the triangle inequality")
def _(f, prediction, target, reduction, via=Real("batch", "outputs")):
    return at_most(f(prediction, target, reduction), f(prediction, via, reduction) + f(via, target, reduction))


@mae.exhibit("target's gradient with the sign of the prediction's", expects="G103", part="vjp")
def _(dy, prediction, target, reduction, y):
    slope = share(dy, prediction.size, reduction) * np.sign(prediction - target)
    return slope, slope


@spec(
    "huber",
    family="loss",
    prediction=Real("batch", "outputs", kinks=(0.0, 0.5, -0.5, 1.0, -1.0)),
    target=Real("batch", "outputs", kinks=(0.0, 1.0), differentiable=False),
    delta=Option(1.0, 0.5, 3.0),
    torch=lambda prediction, target, delta: torch.nn.functional.huber_loss(prediction, target, delta=delta),
)
def huber(prediction, target, delta):
    """Mean of r^2/2 where |r| <= delta and delta (|r| - delta/2) beyond, with r = y - t.

    Quadratic near the target, linear far from it, smooth where the two meet: the derivative is
    r clipped to [-delta, delta], over N. Source: Huber, Robust Estimation of a Location Parameter,
    Annals of Mathematical Statistics 35 (1964).
    """
    residual = prediction - target
    distance = np.abs(residual)
    losses = np.where(distance <= delta, 0.5 * residual * residual, delta * (distance - 0.5 * delta))
    return np.mean(losses)


@huber.vjp
def _(dy, prediction, target, delta, y):
    return dy / prediction.size * np.clip(prediction - target, -delta, delta)


@huber.law("at most half the mean squared error, and delta times the mean absolute error")
def _(f, prediction, target, delta):
    loss = f(prediction, target, delta)
    return at_most(loss, mse(prediction, target, "mean") / 2), at_most(loss, delta * mae(prediction, target, "mean"))


@huber.law("within delta^2/2 of delta times the mean absolute error")
def _(f, prediction, target, delta):
    return at_most(delta * mae(prediction, target, "mean") - delta**2 / 2, f(prediction, target, delta))


@huber.exhibit("backward of the square at every distance", expects="G101", part="vjp")
def _(dy, prediction, target, delta, y):
    return dy / prediction.size * (prediction - target)


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
