"""Cross entropy of probabilities, against one-hot rows and labels, for a batch and for one row."""

from __future__ import annotations

import numpy as np
from gradcheck.specs.cross_entropy import _is_label, nll

from gradcheck import Labels, OneHot, Option, Simplex, at_most, equal, spec
from gradcheck.lazy import torch


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


@spec(
    "cross_entropy_vector",
    family="loss",
    probabilities=Simplex("classes"),
    targets=Simplex("classes", zeros=True),
    eps=Option(0.0, 1e-7),
    torch=lambda probabilities, targets, eps: -(targets * torch.log(probabilities + eps)).sum(),
)
def cross_entropy_vector(probabilities, targets, eps):
    """Cross entropy of one distribution: -sum t log(p + eps) for targets t that are one-hot, or any distribution.

    Both of shape (classes,). The derivative with respect to p is -t / (p + eps), to t it is -log(p + eps).
    Reference: composed of torch primitives. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 3.13.
    """
    return -np.sum(targets * np.log(probabilities + eps))


@cross_entropy_vector.vjp
def _(dy, probabilities, targets, eps, y):
    return -dy * targets / (probabilities + eps), -dy * np.log(probabilities + eps)


@cross_entropy_vector.law("-log(p + eps) of the class, when the target is one-hot")
def _(f, probabilities, eps, sure=OneHot("classes")):
    return equal(f(probabilities, sure, eps), -np.log(probabilities[np.argmax(sure)] + eps))


@cross_entropy_vector.law("smallest, and the entropy of the target, at p = t (Gibbs)")
def _(f, probabilities, targets, other=Simplex("classes")):
    p, t = probabilities / np.sum(probabilities), other / np.sum(other)
    return at_most(f(t, t, 0.0), f(p, t, 0.0)), equal(f(t, t, 0.0), -np.sum(t * np.log(t)))


@spec(
    "cross_entropy_vector_label",
    family="loss",
    probabilities=Simplex("classes"),
    label=Labels(below="classes"),
    eps=Option(0.0, 1e-7),
    torch=lambda probabilities, label, eps: -torch.log(probabilities[label] + eps),
)
def cross_entropy_vector_label(probabilities, label, eps):
    """Cross entropy of one distribution, shape (classes,), and an integer target: -log(p_y + eps).

    The derivative is -1 / (p_y + eps) at the label and 0 elsewhere. Reference: composed of torch primitives.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 3.13.
    """
    return -np.log(probabilities[label] + eps)


@cross_entropy_vector_label.vjp
def _(dy, probabilities, label, eps, y):
    return np.where(np.arange(probabilities.size) == label, -dy / (probabilities + eps), 0)


@cross_entropy_vector_label.law("that of the one-hot target")
def _(f, probabilities, label, eps):
    one_hot = np.where(np.arange(probabilities.size) == label, 1.0, 0.0)
    return equal(f(probabilities, label, eps), cross_entropy_vector(probabilities, one_hot, eps))
