"""Cross entropy and negative log-likelihood over classes.

Rows are distributions over classes, of shape (batch, classes); labels are integers of shape (batch,).
"mean" averages over the batch, for the binary losses over all entries. Logarithms are natural.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import reduce, share, softmax_less, surprisal

from gradcheck import Labels, OneHot, Option, Real, Simplex, at_most, equal, spec
from gradcheck.lazy import torch


def _is_label(labels, classes):
    """The mask of shape (batch, classes) of the labels."""
    return np.arange(classes) == labels[:, None]


def _log_softmax(logits):
    """By the definition, for laws alone: they run in exact arithmetic."""
    return logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))


@spec(
    "nll",
    family="loss",
    log_probabilities=Real("batch", "classes", high=0, closed=True),
    labels=Labels("batch", below="classes"),
    reduction=Option("mean", "sum", "none"),
    torch=lambda log_probabilities, labels, reduction: torch.nn.functional.nll_loss(log_probabilities, labels, reduction=reduction),
)
def nll(log_probabilities, labels, reduction):
    """Negative log-likelihood: -(log p)_y, given log-probabilities and integer labels.

    The derivative is -1/N at every label and 0 elsewhere.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4.
    """
    return reduce(-np.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0], reduction)


@nll.vjp
def _(dy, log_probabilities, labels, reduction, y):
    slope = np.reshape(share(dy, labels.size, reduction), (-1, 1))
    return np.where(_is_label(labels, log_probabilities.shape[1]), -slope, 0)


@nll.law("linear in the log-probabilities")
def _(f, log_probabilities, labels, reduction, scale=Real(upto=8)):
    return equal(f(scale * log_probabilities, labels, reduction), scale * f(log_probabilities, labels, reduction))


@nll.law("of the uniform distribution is log K, whatever the labels")
def _(f, log_probabilities, labels):
    uniform = 0 * log_probabilities - np.log(log_probabilities.shape[1])
    return equal(f(uniform, labels, "mean"), np.log(log_probabilities.shape[1]))


@spec(
    "cross_entropy",
    family="loss",
    logits=Real("batch", "classes"),
    labels=Labels("batch", below="classes"),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, labels, reduction: torch.nn.functional.cross_entropy(logits, labels, reduction=reduction),
)
def cross_entropy(logits, labels, reduction):
    """Cross entropy from logits: -log softmax(x)_y, given integer labels.

    The derivative is (softmax(x) - one-hot) / N. A class that is right by a margin of 100 has the
    loss e^-100, and a gradient as small: both are kept.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.2.2.3.
    """
    return reduce(surprisal(logits, _is_label(labels, logits.shape[1])), reduction)


@cross_entropy.vjp
def _(dy, logits, labels, reduction, y):
    slope = np.reshape(share(dy, labels.size, reduction), (-1, 1))
    return slope * softmax_less(logits, _is_label(labels, logits.shape[1]))


@cross_entropy.law("the negative log-likelihood of log softmax")
def _(f, logits, labels, reduction):
    logits = np.clip(logits, -30, 30)
    return equal(f(logits, labels, reduction), nll(_log_softmax(logits), labels, reduction))


@cross_entropy.law("unchanged when all logits of a row are shifted alike")
def _(f, logits, labels, reduction, shift=Real("batch", "1", upto=8)):
    return equal(f(logits + shift, labels, reduction), f(logits, labels, reduction))


@cross_entropy.law("never negative; at most log K when the label is the largest logit")
def _(f, logits, labels):
    classes = logits.shape[1]
    largest = np.where(_is_label(labels, classes), np.max(logits, axis=1, keepdims=True), logits)
    return at_most(0, f(logits, labels, "none")), at_most(f(largest, labels, "none"), np.log(classes))


@cross_entropy.law("every row of the gradient sums to zero")
def _(f, logits, labels, reduction):
    dy = np.ones_like(f(logits, labels, reduction))
    return equal(np.sum(f.vjp(dy, logits, labels, reduction), axis=1), 0)


@cross_entropy.exhibit("log of the softmax", expects=("N102", "N104"))
def _(logits, labels, reduction):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return reduce(-np.log(np.take_along_axis(p, labels[:, None], axis=1)[:, 0]), reduction)


@cross_entropy.exhibit("logits less their logsumexp, which absorbs a confident answer", expects="N104")
def _(logits, labels, reduction):
    top = np.max(logits, axis=1, keepdims=True)
    log_p = logits - top - np.log(np.sum(np.exp(logits - top), axis=1, keepdims=True))
    return reduce(-np.take_along_axis(log_p, labels[:, None], axis=1)[:, 0], reduction)


@cross_entropy.exhibit("softmax minus one-hot, literally: 0 for a confident answer", expects="N104", part="vjp")
def _(dy, logits, labels, reduction, y):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    difference = e / np.sum(e, axis=1, keepdims=True) - _is_label(labels, logits.shape[1])
    return np.reshape(share(dy, labels.size, reduction), (-1, 1)) * difference


@spec(
    "cross_entropy_probabilities",
    family="loss",
    probabilities=Simplex("batch", "classes"),
    targets=OneHot("batch", "classes"),
    eps=Option(1e-7, 0.0),
    torch=lambda probabilities, targets, eps: -(targets * torch.log(probabilities + eps)).sum(-1).mean(),
)
def cross_entropy_probabilities(probabilities, targets, eps):
    """Cross entropy from probabilities: mean over the batch of -sum t log(p + eps), targets one-hot.

    The derivative is -t / (p + eps) / N. The eps keeps p = 0 finite, at the price of a small bias;
    it belongs into the backward as well. Reference: composed of torch primitives.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 3.13.
    """
    return -np.sum(targets * np.log(probabilities + eps)) / len(probabilities)


@cross_entropy_probabilities.vjp
def _(dy, probabilities, targets, eps, y):
    return -dy / len(probabilities) * targets / (probabilities + eps)


@cross_entropy_probabilities.law("the same as with the labels written as integers")
def _(f, probabilities, eps, labels=Labels("batch", below="classes")):
    targets = np.eye(probabilities.shape[1])[labels]
    return equal(f(probabilities, targets, eps), cross_entropy_labels(probabilities, labels, eps))


@cross_entropy_probabilities.law("half the probability costs log 2 more")
def _(f, probabilities, targets):
    return equal(f(probabilities / 2, targets, 0.0), f(probabilities, targets, 0.0) + np.log(2))


@cross_entropy_probabilities.exhibit("the eps of the forward forgotten in the backward", expects="G111", part="vjp")
def _(dy, probabilities, targets, eps, y):
    return -dy / len(probabilities) * targets / probabilities


@spec(
    "cross_entropy_labels",
    family="loss",
    probabilities=Simplex("batch", "classes"),
    labels=Labels("batch", below="classes"),
    eps=Option(1e-7, 0.0),
    torch=lambda probabilities, labels, eps: torch.nn.functional.nll_loss(torch.log(probabilities + eps), labels),
)
def cross_entropy_labels(probabilities, labels, eps):
    """Cross entropy from probabilities: mean over the batch of -log(p_y + eps), targets integers.

    The derivative is -1 / (p_y + eps) / N at the label and 0 elsewhere. Reference: composed of
    torch primitives. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 3.13.
    """
    return -np.mean(np.log(np.take_along_axis(probabilities, labels[:, None], axis=1) + eps))


@cross_entropy_labels.vjp
def _(dy, probabilities, labels, eps, y):
    slopes = -dy / labels.size / (probabilities + eps)
    return np.where(_is_label(labels, probabilities.shape[1]), slopes, 0)


@cross_entropy_labels.law("the negative log-likelihood of log(p + eps)")
def _(f, probabilities, labels, eps):
    return equal(f(probabilities, labels, eps), nll(np.log(probabilities + eps), labels, "mean"))


@cross_entropy_labels.law("the eps can only lower it")
def _(f, probabilities, labels, eps):
    return at_most(f(probabilities, labels, eps), f(probabilities, labels, 0.0))
