"""Cross entropy and negative log-likelihood over classes, plain, weighted, smoothed and focal.

Rows are distributions over classes, of shape (batch, classes); labels are integers of shape (batch,).
"mean" averages over the batch, for the binary losses over all entries. Logarithms are natural.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gradcheck.specs._shared import EVERY, reduce, share, softmax_less, surprisal, torch_reduced

from gradcheck import Labels, Option, Real, Simplex, at_most, equal, spec
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


def _weighed(losses, weights, reduction):
    """Losses times their weights; the mean divides by the sum of the weights, before it could vanish."""
    return np.sum(weights / np.sum(weights) * losses) if reduction == "mean" else reduce(weights * losses, reduction)


def _weighed_share(dy, weights, reduction):
    """What each loss receives of the cotangent of ``_weighed``, as a column."""
    return (dy * (weights / np.sum(weights) if reduction == "mean" else weights))[:, None]


@spec(
    "nll_weighted",
    family="loss",
    log_probabilities=Real("batch", "classes", high=0, closed=True),
    labels=Labels("batch", below="classes"),
    weights=Real("classes", low=0, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda log_probabilities, labels, weights, reduction: torch.nn.functional.nll_loss(
        log_probabilities, labels, weights, reduction=reduction
    ),
)
def nll_weighted(log_probabilities, labels, weights, reduction):
    """Negative log-likelihood with a weight for each class: -w_y (log p)_y.

    "mean" divides by the sum of the weights of the labels. The derivative is -w_y at every label, over that sum for the
    mean. Source: the documentation of torch.nn.NLLLoss.
    """
    losses = -np.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0]
    return _weighed(losses, weights[labels], reduction)


@nll_weighted.vjp
def _(dy, log_probabilities, labels, weights, reduction, y):
    slope = _weighed_share(dy, weights[labels], reduction)
    return np.where(_is_label(labels, log_probabilities.shape[1]), -slope, 0)


@nll_weighted.law("the negative log-likelihood, if all classes weigh 1")
def _(f, log_probabilities, labels, weights, reduction):
    plain = nll(log_probabilities, labels, reduction)
    return equal(f(log_probabilities, labels, np.ones_like(weights), reduction), plain)


@nll_weighted.law("the mean does not change with the scale of the weights")
def _(f, log_probabilities, labels, weights, scale=Real(low=0, upto=8)):
    scaled = f(log_probabilities, labels, scale * weights, "mean")
    return equal(scaled, f(log_probabilities, labels, weights, "mean"))


@spec(
    "cross_entropy_weighted",
    family="loss",
    logits=Real("batch", "classes"),
    labels=Labels("batch", below="classes"),
    weights=Real("classes", low=0, differentiable=False),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, labels, weights, reduction: torch.nn.functional.cross_entropy(logits, labels, weights, reduction=reduction),
)
def cross_entropy_weighted(logits, labels, weights, reduction):
    """Cross entropy from logits with a weight for each class: -w_y log softmax(x)_y.

    "mean" divides by the sum of the weights of the labels. The derivative is w_y (softmax(x) - one-hot), over that
    sum for the mean. Source: the documentation of torch.nn.CrossEntropyLoss, argument weight.
    """
    return _weighed(surprisal(logits, _is_label(labels, logits.shape[1])), weights[labels], reduction)


@cross_entropy_weighted.vjp
def _(dy, logits, labels, weights, reduction, y):
    return _weighed_share(dy, weights[labels], reduction) * softmax_less(logits, _is_label(labels, logits.shape[1]))


@cross_entropy_weighted.law("the cross entropy, if all classes weigh alike, for the mean; w times it, for the sum")
def _(f, logits, labels, scale=Real(low=0, upto=8)):
    alike = scale + np.zeros(logits.shape[1])
    mean, total = (cross_entropy(logits, labels, reduction) for reduction in ("mean", "sum"))
    return equal(f(logits, labels, alike, "mean"), mean), equal(f(logits, labels, alike, "sum"), scale * total)


@cross_entropy_weighted.law("the weighted negative log-likelihood of log softmax")
def _(f, logits, labels, weights, reduction):
    logits = np.clip(logits, -30, 30)
    return equal(f(logits, labels, weights, reduction), nll_weighted(_log_softmax(logits), labels, weights, reduction))


@dataclass(frozen=True, init=False)
class _SomeIgnored(Labels):
    """Labels of which some, but not all, are -100."""

    def draw(self, draw, shapes, dtype):
        labels = super().draw(draw, shapes, dtype)
        ignored = self._choices(draw, labels.shape, (False, True))
        return np.where(ignored & (np.arange(labels.size) != np.argmin(ignored)), -100, labels)


@spec(
    "cross_entropy_ignore",
    family="loss",
    logits=Real("batch", "classes"),
    labels=_SomeIgnored("batch", below="classes"),
    ignore_index=Option(-100),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, labels, ignore_index, reduction: torch.nn.functional.cross_entropy(
        logits, labels, ignore_index=ignore_index, reduction=reduction
    ),
)
def cross_entropy_ignore(logits, labels, ignore_index, reduction):
    """Cross entropy from logits, where the label ``ignore_index`` (-100) costs nothing and has no gradient.

    "mean" divides by the number of the other labels; with none left it would be 0/0, as torch's is, and at least
    one is left here. Source: the documentation of torch.nn.CrossEntropyLoss, argument ignore_index.
    """
    kept = labels != ignore_index
    losses = np.where(kept, surprisal(logits, _is_label(np.where(kept, labels, 0), logits.shape[1])), 0)
    return np.sum(losses) / int(np.sum(kept)) if reduction == "mean" else reduce(losses, reduction)


@cross_entropy_ignore.vjp
def _(dy, logits, labels, ignore_index, reduction, y):
    kept = labels != ignore_index
    slope = np.reshape(share(dy, int(np.sum(kept)), reduction), (-1, 1))
    return np.where(kept[:, None], slope * softmax_less(logits, _is_label(np.where(kept, labels, 0), logits.shape[1])), 0)


@cross_entropy_ignore.law("the cross entropy of the rows that are left")
def _(f, logits, labels, ignore_index):
    kept = labels != ignore_index
    mean, total = (cross_entropy(logits[kept], labels[kept], reduction) for reduction in ("mean", "sum"))
    return equal(f(logits, labels, ignore_index, "mean"), mean), equal(f(logits, labels, ignore_index, "sum"), total)


@spec(
    "label_smoothing",
    family="loss",
    targets=Real("*s", "classes", low=0, high=1, closed=True),
    eps=Option(0.1, 0.0, 0.5),
    dtypes=EVERY,
    torch=lambda targets, eps: targets * (1 - eps) + eps / targets.shape[-1],
)
def label_smoothing(targets, eps):
    """t (1 - eps) + eps / K over the K classes of the last axis: targets drawn towards the uniform distribution.

    The derivative is 1 - eps. Reference: composed of torch primitives.
    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision (CVPR 2016), section 7.
    """
    return targets * (1 - eps) + eps / targets.shape[-1]


@label_smoothing.vjp
def _(dy, targets, eps, y):
    return dy * (1 - eps)


@label_smoothing.law("[0, 1] becomes [.05, .95] with eps = .1")
def _(f):
    return equal(f(np.array([0.0, 1.0]), 0.1), np.array([0.05, 0.95]))


@label_smoothing.law("what sums to 1 still does, and the uniform distribution stays")
def _(f, eps, rows=Simplex("batch", "classes")):
    rows = rows / np.sum(rows, axis=1, keepdims=True)
    uniform = 0 * rows + 1 / rows.shape[1]
    return equal(np.sum(f(rows, eps), axis=1), 1), equal(f(uniform, eps), uniform)


@label_smoothing.exhibit("eps spread over the other classes, without the true one", expects="V101")
def _(targets, eps):
    return targets * (1 - eps) + (1 - targets) * eps / max(targets.shape[-1] - 1, 1)


@spec(
    "cross_entropy_smoothed",
    family="loss",
    logits=Real("batch", "classes"),
    labels=Labels("batch", below="classes"),
    smoothing=Option(0.1, 0.0, 0.5),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, labels, smoothing, reduction: torch.nn.functional.cross_entropy(
        logits, labels, label_smoothing=smoothing, reduction=reduction
    ),
)
def cross_entropy_smoothed(logits, labels, smoothing, reduction):
    """Cross entropy from logits with smoothed labels: -sum q log softmax(x), q = (1 - eps) one-hot + eps / K.

    The derivative is softmax(x) - q, over N for the mean. Source: Szegedy et al., Rethinking the Inception
    Architecture for Computer Vision (CVPR 2016), section 7; the documentation of torch.nn.CrossEntropyLoss.
    """
    classes = logits.shape[1]
    chosen = np.eye(classes) == 1
    each = surprisal(np.broadcast_to(logits[:, None, :], (len(logits), classes, classes)), chosen)
    share_of = np.where(_is_label(labels, classes), (1 - smoothing) * each, 0) + smoothing / classes * each
    return reduce(np.sum(share_of, axis=1), reduction)


@cross_entropy_smoothed.vjp
def _(dy, logits, labels, smoothing, reduction, y):
    classes = logits.shape[1]
    chosen = _is_label(labels, classes)
    plain = softmax_less(logits, chosen)
    slopes = np.where(chosen, plain + smoothing * (classes - 1) / classes, plain - smoothing / classes)
    return np.reshape(share(dy, labels.size, reduction), (-1, 1)) * slopes


@cross_entropy_smoothed.law("(1 - eps) the cross entropy of the label, and eps the mean of that of all labels")
def _(f, logits, labels, smoothing):
    every = [cross_entropy(logits, 0 * labels + k, "none") for k in range(logits.shape[1])]
    mixed = (1 - smoothing) * cross_entropy(logits, labels, "none") + smoothing * sum(every) / len(every)
    return equal(f(logits, labels, smoothing, "none"), mixed)


@cross_entropy_smoothed.law("at least the entropy of the smoothed target")
def _(f, logits, labels, smoothing):
    one_hot = np.where(_is_label(labels, logits.shape[1]), 1.0, 0.0)
    q = label_smoothing(one_hot, smoothing)
    return at_most(-np.sum(q * np.log(np.where(q > 0, q, 1)), axis=1), f(logits, labels, smoothing, "none"))


@cross_entropy_smoothed.exhibit("softmax minus one-hot, the smoothing forgotten", expects="G101", part="vjp")
def _(dy, logits, labels, smoothing, reduction, y):
    chosen = _is_label(labels, logits.shape[1])
    return np.reshape(share(dy, labels.size, reduction), (-1, 1)) * softmax_less(logits, chosen)


@spec(
    "focal_loss_multiclass",
    family="loss",
    logits=Real("batch", "classes"),
    labels=Labels("batch", below="classes"),
    gamma=Option(2.0, 0.0, 1.0, 0.5),
    reduction=Option("mean", "sum", "none"),
    torch=lambda logits, labels, gamma, reduction: _torch_focal(torch.log_softmax(logits, 1), labels, gamma, reduction),
)
def focal_loss_multiclass(logits, labels, gamma, reduction):
    """-(1 - p_y)^gamma log p_y with p = softmax(x): what is right already counts less.

    The derivative is (1 - p_y)^gamma (1 - gamma p_y log p_y / (1 - p_y)) (p - one-hot). Reference: composed of torch
    primitives. Source: Lin, Goyal, Girshick, He, Dollar, Focal Loss for Dense Object Detection (ICCV 2017), section 3.
    """
    chosen = _is_label(labels, logits.shape[1])
    return reduce(_rest(logits, chosen) ** gamma * surprisal(logits, chosen), reduction)


def _rest(logits, chosen):
    """1 - p_y, the probability of all other classes."""
    return np.sum(np.where(chosen, 0, softmax_less(logits, chosen)), axis=1)


def _torch_focal(log_p, labels, gamma, reduction):
    of_label = log_p.gather(1, labels[:, None])[:, 0]
    rest = (log_p.exp() * (torch.arange(log_p.shape[1]) != labels[:, None])).sum(1)
    return torch_reduced(-(rest**gamma) * of_label, reduction)


@focal_loss_multiclass.vjp
def _(dy, logits, labels, gamma, reduction, y):
    chosen = _is_label(labels, logits.shape[1])
    rest, loss = _rest(logits, chosen), surprisal(logits, chosen)
    ratio = np.where(rest > 0, loss / np.where(rest > 0, rest, 1), 1)
    slope = rest**gamma * (1 + gamma * np.exp(-loss) * ratio)
    return np.reshape(share(dy, labels.size, reduction) * slope, (-1, 1)) * softmax_less(logits, chosen)


@focal_loss_multiclass.law("the cross entropy for gamma = 0, and at most that")
def _(f, logits, labels, gamma, reduction):
    plain = cross_entropy(logits, labels, reduction)
    return equal(f(logits, labels, 0.0, reduction), plain), at_most(f(logits, labels, gamma, reduction), plain)


@focal_loss_multiclass.law("every row of the gradient sums to zero")
def _(f, logits, labels, gamma, reduction):
    dy = np.ones_like(f(logits, labels, gamma, reduction))
    return equal(np.sum(f.vjp(dy, logits, labels, gamma, reduction), axis=1), 0)
