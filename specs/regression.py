"""Losses of a prediction against a target: squared, absolute, and what lies between."""

from __future__ import annotations

import math

import numpy as np
from gradcheck.specs._shared import reduce, share, torch_reduced

from gradcheck import Option, Real, at_most, equal, spec
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


@mse.law("its sum is the squared Euclidean norm of the error")
def _(f, prediction, target):
    return equal(f(prediction, target, "sum"), np.linalg.norm(prediction - target) ** 2)


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
    target=Real("batch", "outputs", kinks=(0.0, 1.0), ties="prediction"),
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
    "smooth_l1",
    family="loss",
    prediction=Real("batch", "outputs", kinks=(0.0, 0.5, -0.5, 1.0, -1.0)),
    target=Real("batch", "outputs", kinks=(0.0, 1.0), differentiable=False),
    beta=Option(1.0, 0.5, 2.0),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, beta, reduction: torch.nn.functional.smooth_l1_loss(
        prediction, target, beta=beta, reduction=reduction
    ),
)
def smooth_l1(prediction, target, beta, reduction):
    """r^2 / (2 beta) where |r| < beta and |r| - beta/2 beyond, with r = y - t; averaged, summed, or one by one.

    The absolute error with its corner rounded off. The derivative is r / beta clipped to [-1, 1], over N
    for the mean. Source: Girshick, Fast R-CNN (ICCV 2015), eq. 3; the documentation of torch.nn.SmoothL1Loss.
    """
    distance = np.abs(prediction - target)
    return reduce(np.where(distance < beta, 0.5 * distance * distance / beta, distance - 0.5 * beta), reduction)


@smooth_l1.vjp
def _(dy, prediction, target, beta, reduction, y):
    return share(dy, prediction.size, reduction) * np.clip((prediction - target) / beta, -1, 1)


@smooth_l1.law("the Huber loss over beta")
def _(f, prediction, target, beta):
    return equal(f(prediction, target, beta, "mean"), huber(prediction, target, beta) / beta)


@smooth_l1.law("below the absolute error, by at most beta/2")
def _(f, prediction, target, beta, reduction):
    below = mae(prediction, target, "none") - f(prediction, target, beta, "none")
    return at_most(0, below), at_most(below, beta / 2)


@smooth_l1.exhibit("backward of the Huber loss, without the 1/beta", expects="G102", part="vjp")
def _(dy, prediction, target, beta, reduction, y):
    return share(dy, prediction.size, reduction) * np.clip(prediction - target, -beta, beta)


@spec(
    "log_cosh",
    family="loss",
    prediction=Real("batch", "outputs"),
    target=Real("batch", "outputs", differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, reduction: torch_reduced(torch.log(torch.cosh(prediction - target)), reduction),
)
def log_cosh(prediction, target, reduction):
    """log cosh(y - t), averaged over all entries, summed, or one by one.

    Like r^2/2 near the target and |r| - log 2 far from it; the derivative is tanh r. Small losses are
    log(1 + 2 sinh^2(r/2)), which keeps their digits. Reference: composed of torch primitives.
    Source: the documentation of tf.keras.losses.LogCosh.
    """
    distance = np.abs(prediction - target)
    near = np.log1p(2 * np.sinh(0.5 * np.minimum(distance, 1)) ** 2)
    far = distance - math.log(2) + np.log1p(np.exp(-2 * distance))
    return reduce(np.where(distance < 1, near, far), reduction)


@log_cosh.vjp
def _(dy, prediction, target, reduction, y):
    return share(dy, prediction.size, reduction) * np.tanh(prediction - target)


@log_cosh.law("symmetric in its arguments")
def _(f, prediction, target, reduction):
    return equal(f(prediction, target, reduction), f(target, prediction, reduction))


@log_cosh.law("at most the absolute error and half the squared one, at least the former less log 2")
def _(f, prediction, target):
    loss, distance = f(prediction, target, "none"), np.abs(prediction - target)
    return at_most(loss, distance), at_most(loss, distance**2 / 2), at_most(distance - np.log(2), loss)


@log_cosh.exhibit("log of cosh as it stands", expects=("N101", "N104"))
def _(prediction, target, reduction):
    return reduce(np.log(np.cosh(prediction - target)), reduction)


@spec(
    "quantile_loss",
    family="loss",
    prediction=Real("batch", "outputs", kinks=(0.0, 1.0)),
    target=Real("batch", "outputs", kinks=(0.0, 1.0), ties="prediction"),
    quantile=Option(0.5, 0.1, 0.9),
    reduction=Option("mean", "sum", "none"),
    torch=lambda prediction, target, quantile, reduction: torch_reduced(
        torch.relu(target - prediction) * quantile + torch.relu(prediction - target) * (1 - quantile), reduction
    ),
)
def quantile_loss(prediction, target, quantile, reduction):
    """The pinball loss, max(q r, (q - 1) r) with r = t - y: averaged over all entries, summed, or one by one.

    Its expectation is smallest at the q-quantile. The derivative is -q below the target and 1 - q above it, for the
    target its negative; at a tie every number between is a subgradient, and 0 is taken. Reference: composed
    of torch primitives. Source: Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978).
    """
    short = target - prediction
    return reduce(np.maximum(quantile * short, (quantile - 1) * short), reduction)


@quantile_loss.vjp
def _(dy, prediction, target, quantile, reduction, y):
    slope = share(dy, prediction.size, reduction)
    slope = np.where(prediction < target, -quantile * slope, np.where(prediction > target, (1 - quantile) * slope, 0))
    return slope, -slope


@quantile_loss.law("half the absolute error for the median")
def _(f, prediction, target, reduction):
    return equal(f(prediction, target, 0.5, reduction), mae(prediction, target, reduction) / 2)


@quantile_loss.law("that of q from above is that of 1 - q from below")
def _(f, prediction, target, quantile, reduction):
    return equal(f(prediction, target, quantile, reduction), f(target, prediction, 1 - quantile, reduction))


@quantile_loss.law("of q and of 1 - q add up to the absolute error")
def _(f, prediction, target, quantile, reduction):
    both = f(prediction, target, quantile, reduction) + f(prediction, target, 1 - quantile, reduction)
    return equal(both, mae(prediction, target, reduction))


@quantile_loss.exhibit("q and 1 - q for each other", expects="G101", part="vjp")
def _(dy, prediction, target, quantile, reduction, y):
    slope = share(dy, prediction.size, reduction)
    slope = np.where(prediction < target, (quantile - 1) * slope, np.where(prediction > target, quantile * slope, 0))
    return slope, -slope
