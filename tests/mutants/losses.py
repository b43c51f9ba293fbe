"""Wrong backwards and forwards of the losses."""

from __future__ import annotations

import math

import numpy as np
from gradcheck.specs._shared import reduce, share

from .registry import SPECS, changed, mutant, off, table, value_mutant


def mean(n, reduction):
    """What undoes, or does once more, the division by N of a mean."""
    return n if reduction == "mean" else 1


table("G102", [
    ("mse", "prediction", "without the 1/N", lambda g, dy, p, t, r, y: g * mean(p.size, r), "the number of entries of prediction"),
    ("mse", "prediction", "1/N twice", lambda g, dy, p, t, r, y: g / mean(p.size, r), "one over the number of entries of prediction"),
    ("mse", "prediction", "over the batch, not all", lambda g, dy, p, t, r, y: g * mean(p.shape[1], r), "axis 1 of prediction"),
    ("mse", "prediction", "without the 2", lambda g, *_: g / 2, "a factor 1/2"),
    ("half_sum_squares", "prediction", "with a 2 that the half undoes", lambda g, *_: 2 * g, "a factor 2"),
    ("mae", "target", "without the 1/N, one of two", lambda g, dy, p, t, r, y: g * mean(p.size, r), "the number of entries of prediction"),
    ("hinge", "scores", "1/N twice", lambda g, dy, s, t, y: g / s.size, "one over the number of entries of"),
    ("multiclass_hinge", "scores", "over the classes as well", lambda g, dy, s, t, y: g / s.shape[1], "axis 1 of scores"),
    ("nll", "log_probabilities", "without the 1/N", lambda g, dy, x, t, r, y: g * mean(len(t), r), "the number of entries of labels"),
    ("cross_entropy", "logits", "without the 1/N", lambda g, dy, x, t, r, y: g * mean(len(t), r), "the number of entries of labels"),
    ("cross_entropy", "logits", "over all entries", lambda g, dy, x, t, r, y: g / mean(x.shape[1], r), "one over the size of axis 1"),
    ("cross_entropy_labels", "probabilities", "log2 for ln", lambda g, *_: g / math.log(2), "log2"),
    ("bce_with_logits", "logits", "a relative error of 1e-12", lambda g, *_: g * (1 - 1e-12)),
    ("kl_divergence", "probabilities", "without the 1/N", lambda g, dy, t, p, r, y: g * (len(t) if r == "batchmean" else 1), "rows of"),
])  # fmt: skip

table("G103", [
    ("mse", "prediction", "target minus prediction", lambda g, *_: -g),
    ("cross_entropy", "logits", "one-hot minus softmax", lambda g, *_: -g),
    ("nll", "log_probabilities", "the minus lost", lambda g, *_: -g),
], cause="the wrong way round")  # fmt: skip

table("G105", [
    ("mse", "prediction", "transposed", lambda g, *_: g.T),
], cause="wrong order")  # fmt: skip

table("G112", [
    ("mae", "target", "None for the target", lambda g, *_: None),
    ("mae", "target", "zeros for the target", lambda g, *_: 0 * g),
])  # fmt: skip

table("G107", [
    ("hinge", "scores", "a column", lambda g, *_: g[:, None]),
    ("mse", "prediction", "flat", lambda g, *_: np.reshape(g, -1)),
    ("half_sum_squares", "prediction", "a row too few", lambda g, *_: g[1:]),
], cause="an axis")  # fmt: skip

table("G101", [
    ("mse", "prediction", "the first entry wrong by 1e-10", lambda g, *_: off(g, 0, 10)),
    ("cross_entropy", "logits", "the last class zero", lambda g, *_: g * (np.arange(g.shape[1]) != g.shape[1] - 1)),
    ("mse", "prediction", "the first entry wrong by 1e-12", lambda g, *_: off(g, 0, 12)),
])  # fmt: skip


@mutant("mse", "upstream ignored", expects="G104", argument="prediction")
def _(dy, prediction, target, reduction, y):
    return share(np.ones_like(dy), prediction.size, reduction) * 2 * (prediction - target)


@mutant("half_sum_squares", "sum for the difference", expects="G101", argument="prediction")
def _(dy, prediction, target, y):
    return dy * (prediction + target)


@mutant("half_sum_squares", "writes into the prediction", expects="S101", argument="prediction")
def _(dy, prediction, target, y):
    prediction -= target
    return dy * prediction


@mutant("mae", "the two gradients in the wrong order", expects="G103", argument="prediction", also=(("G103", "target"),))
def _(dy, prediction, target, reduction, y):
    slope = share(dy, prediction.size, reduction) * np.sign(prediction - target)
    return -slope, slope


@mutant("mae", "twice the slope at a tie", expects="G109", argument="prediction", also=(("G109", "target"),))
def _(dy, prediction, target, reduction, y):
    sign = np.where(prediction == target, 2, np.sign(prediction - target))
    slope = share(dy, prediction.size, reduction) * sign
    return slope, -slope


@mutant("mae", "1 at a tie, as valid as 0", expects=None, argument=None)
def _(dy, prediction, target, reduction, y):
    slope = share(dy, prediction.size, reduction) * (np.sign(prediction - target) + (prediction == target))
    return slope, -slope


@mutant("mae", "one gradient for two arguments", expects="G107", argument=None)
def _(dy, prediction, target, reduction, y):
    return share(dy, prediction.size, reduction) * np.sign(prediction - target)


@mutant("huber", "clipped to 1, whatever delta", expects="G101", argument="prediction")
def _(dy, prediction, target, delta, y):
    return dy / prediction.size * np.clip(prediction - target, -1, 1)


@mutant("huber", "clipped from above alone", expects="G101", argument="prediction")
def _(dy, prediction, target, delta, y):
    return dy / prediction.size * np.minimum(prediction - target, delta)


@mutant("huber", "delta times the gradient", expects="G102", argument="prediction", cause="a factor delta")
def _(dy, prediction, target, delta, y):
    return dy / prediction.size * np.clip(prediction - target, -delta, delta) * delta


@mutant("hinge", "mask inverted", expects="G101", argument="scores")
def _(dy, scores, labels, y):
    return np.where(labels * scores >= 1, -labels, 0) * dy / scores.size


@mutant("hinge", "the label forgotten in the mask", expects="G101", argument="scores")
def _(dy, scores, labels, y):
    return np.where(scores < 1, -labels, 0) * dy / scores.size


@mutant("hinge", "the margin at 0", expects="G101", argument="scores")
def _(dy, scores, labels, y):
    return np.where(labels * scores < 0, -labels, 0) * dy / scores.size


@mutant("hinge", "the slope inside at the margin too, as valid as 0", expects=None, argument=None)
def _(dy, scores, labels, y):
    return np.where(labels * scores <= 1, -labels, 0) * dy / scores.size


@mutant("multiclass_hinge", "the true class less 1, not their number", expects="G101", argument="scores")
def _(dy, scores, labels, y):
    house = SPECS["multiclass_hinge"].backward(dy, scores, labels, y)
    true = np.arange(scores.shape[1]) == labels[:, None]
    return np.where(true, -np.where(np.any(house != 0, axis=1, keepdims=True), dy / labels.size, 0), house)


@mutant("nll", "always at class 0", expects="G101", argument="log_probabilities")
def _(dy, log_probabilities, labels, reduction, y):
    slope = np.reshape(share(dy, labels.size, reduction), (-1, 1))
    return np.where(np.arange(log_probabilities.shape[1]) == 0, -slope, np.zeros_like(log_probabilities))


@mutant("cross_entropy", "softmax without the one-hot", expects="G101", argument="logits")
def _(dy, logits, labels, reduction, y):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return np.reshape(share(dy, labels.size, reduction), (-1, 1)) * e / np.sum(e, axis=1, keepdims=True)


@mutant("cross_entropy", "upstream ignored", expects="G104", argument="logits")
def _(dy, logits, labels, reduction, y):
    return SPECS["cross_entropy"].backward(np.ones_like(dy), logits, labels, reduction, y)


@mutant("cross_entropy_probabilities", "eps with the wrong sign", expects="G111", argument="probabilities", cause="eps")
def _(dy, probabilities, targets, eps, y):
    return -dy / len(probabilities) * targets / (probabilities - eps)


@mutant("cross_entropy_labels", "eps forgotten", expects="G111", argument="probabilities", cause="eps")
def _(dy, probabilities, labels, eps, y):
    return SPECS["cross_entropy_labels"].backward(dy, probabilities, labels, 0.0, y)


@mutant("cross_entropy_labels", "eps twice", expects="G111", argument="probabilities", cause="eps")
def _(dy, probabilities, labels, eps, y):
    return SPECS["cross_entropy_labels"].backward(dy, probabilities, labels, 2 * eps, y)


@mutant("bce", "the term of the other class missing", expects="G101", argument="probabilities")
def _(dy, probabilities, targets, reduction, y):
    return -share(dy, probabilities.size, reduction) * targets / probabilities


@mutant("bce", "an eps that the forward has not", expects="G111", argument="probabilities")
def _(dy, probabilities, targets, reduction, y):
    slopes = (probabilities - targets) / (probabilities * (1 - probabilities) + 1e-12)
    return share(dy, probabilities.size, reduction) * slopes


@mutant("bce_with_logits", "the target added", expects="G101", argument="logits")
def _(dy, logits, targets, reduction, y):
    return share(dy, logits.size, reduction) * (SPECS["sigmoid"].forward(logits) + targets)


@mutant("kl_divergence", "the gradient of the cross entropy's logarithm lost", expects="G101", argument="probabilities")
def _(dy, target, probabilities, reduction, y):
    return -(dy / len(target) if reduction == "batchmean" else dy) * target


@mutant("bce_with_logits", "writes into the targets", expects="S101", argument="targets")
def _(dy, logits, targets, reduction, y):
    gradient = SPECS["bce_with_logits"].backward(dy, logits, targets.copy(), reduction, y)
    targets -= 1
    return gradient


# Forwards.


@value_mutant("mse", "sum for the mean", expects="V102", cause="the number of entries of prediction")
def _(prediction, target, reduction):
    losses = (prediction - target) ** 2
    return losses if reduction == "none" else np.sum(losses)


@value_mutant(
    "mse", "sum for the mean, with its own vjp", expects="V102", cause="the number of entries of prediction",
    vjp=changed("mse", "prediction", lambda g, dy, p, t, r, y: g * mean(p.size, r)),
)  # fmt: skip
def _(prediction, target, reduction):
    losses = (prediction - target) ** 2
    return losses if reduction == "none" else np.sum(losses)


@value_mutant("half_sum_squares", "the half forgotten", expects="V102", cause="a factor 2")
def _(prediction, target):
    return np.sum((prediction - target) ** 2)


@value_mutant("nll", "the minus forgotten", expects="V102", cause="-1", vjp=changed("nll", "log_probabilities", lambda g, *_: -g))
def _(log_probabilities, labels, reduction):
    return reduce(np.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0], reduction)


@value_mutant("huber", "delta/2 not taken off: a jump at delta", expects="V101")
def _(prediction, target, delta):
    distance = np.abs(prediction - target)
    return np.mean(np.where(distance <= delta, 0.5 * distance * distance, delta * distance))


@value_mutant("hinge", "the margin at 0", expects="V101", vjp=lambda dy, s, t, y: np.where(t * s < 0, -t, 0) * dy / s.size)
def _(scores, labels):
    return np.mean(np.maximum(0, -labels * scores))


@value_mutant("mse", "a mean that keeps its axes", expects="V104", vjp=changed("mse", "prediction", lambda g, *_: g))
def _(prediction, target, reduction):
    losses = (prediction - target) ** 2
    return losses if reduction == "none" else np.reshape(reduce(losses, reduction), (1, 1))


@value_mutant("multiclass_hinge", "the true class counted", expects="V101")
def _(scores, labels):
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    return np.sum(np.maximum(0, scores - true + 1)) / labels.size


@value_mutant("kl_divergence", "without a reference, the cross entropy", expects="V103", reference=False)
def _(target, probabilities, reduction):
    total = -np.sum(target * np.log(probabilities))
    return total / len(target) if reduction == "batchmean" else total
