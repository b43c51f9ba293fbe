"""Losses of a segmentation: how far a predicted mask and a true one fail to overlap.

Images are flattened, of shape (batch, pixels). Every loss is taken image by image, then reduced.
Where 1 - overlap would cancel, the part that does not overlap is summed instead.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import reduce, share

from gradcheck import Labels, Mask, Option, Real, Simplex, at_most, equal, spec
from gradcheck.lazy import torch


def _torch_reduce(losses, reduction):
    return losses if reduction == "none" else getattr(losses, reduction)()


def _columns(dy, count, reduction):
    """The cotangent of every image's loss, as a column."""
    return np.reshape(share(dy, count, reduction), (-1, 1))


def _total(x):
    return np.sum(x, axis=1, keepdims=True)


def _swapped(p, t):
    """p (1 - t) + t (1 - p), pixel by pixel: what only one of two masks has."""
    return p * (1 - t) + t * (1 - p)


def _dice_torch(probabilities, mask, eps, squared, reduction):
    p, t = (probabilities**2, mask**2) if squared else (probabilities, mask)
    overlap = (2 * (probabilities * mask).sum(1) + eps) / (p.sum(1) + t.sum(1) + eps)
    return _torch_reduce(1 - overlap, reduction)


@spec(
    "dice",
    family="loss",
    probabilities=Real("batch", "pixels", low=0, high=1, closed=True),
    mask=Mask("batch", "pixels"),
    eps=Option(1.0, 1e-3),
    squared=Option(False, True),
    reduction=Option("mean", "sum", "none"),
    torch=_dice_torch,
)
def dice(probabilities, mask, eps, squared, reduction):
    """1 - (2 sum p t + eps) / (sum p + sum t + eps): one less the soft Dice coefficient of an image.

    probabilities in [0, 1], mask of zeros and ones: (batch, pixels). eps > 0 keeps two empty masks
    from 0/0, and makes them agree. ``squared`` puts squares into the sums of the denominator.
    With D = sum p + sum t + eps the derivative is (2 sum p t + eps) / D^2 off the mask and
    -2 (sum t + sum p (1 - t) + eps / 2) / D^2 on it: no difference of large numbers is taken. Reference: composed of torch
    primitives. Source: Milletari, Navab, Ahmadi, V-Net, 3DV (2016), section 3 (with squares).
    """
    p, t = probabilities, mask
    if squared:
        return reduce(np.sum((p - t) ** 2, axis=1) / (np.sum(p * p + t * t, axis=1) + eps), reduction)
    return reduce(np.sum(_swapped(p, t), axis=1) / (np.sum(p + t, axis=1) + eps), reduction)


@dice.vjp
def _(dy, probabilities, mask, eps, squared, reduction, y):
    p, t = probabilities, mask
    shared, size = 2 * _total(p * t) + eps, _total(p * p + t * t if squared else p + t) + eps
    slope = _columns(dy, len(p), reduction) / size
    if squared:
        return slope * 2 * (p * (shared / size) - t)
    beside = 2 * _total(t + p * (1 - t)) + eps
    return slope * ((1 - t) * shared - t * beside) / size


@dice.law("zero where the prediction is the mask, 1 on average at most")
def _(f, probabilities, mask, eps, squared):
    return equal(f(mask, mask, eps, squared, "none"), 0), at_most(f(probabilities, mask, eps, squared, "mean"), 1)


@dice.law("of a prediction of zeros and ones, the same with squares and without")
def _(f, mask, eps, reduction, guess=Mask("batch", "pixels")):
    return equal(f(guess, mask, eps, False, reduction), f(guess, mask, eps, True, reduction))


@dice.exhibit("eps forgotten in the backward", expects="G101", part="vjp")
def _(dy, probabilities, mask, eps, squared, reduction, y):
    p, t = probabilities, mask
    shared, size = 2 * _total(p * t), _total(p * p + t * t if squared else p + t) + eps
    return _columns(dy, len(p), reduction) / size * ((2 * p if squared else 1) * shared / size - 2 * t)


@dice.exhibit("one less the coefficient, which cancels for a good prediction", expects="N104")
def _(probabilities, mask, eps, squared, reduction):
    p, t = probabilities, mask
    size = np.sum(p * p + t * t if squared else p + t, axis=1) + eps
    return reduce(1 - (2 * np.sum(p * t, axis=1) + eps) / size, reduction)


def _jaccard_torch(probabilities, mask, eps, reduction):
    shared = (probabilities * mask).sum(1)
    return _torch_reduce(1 - (shared + eps) / (probabilities.sum(1) + mask.sum(1) - shared + eps), reduction)


@spec(
    "jaccard",
    family="loss",
    probabilities=Real("batch", "pixels", low=0, high=1, closed=True),
    mask=Mask("batch", "pixels"),
    eps=Option(1.0, 1e-3),
    reduction=Option("mean", "sum", "none"),
    torch=_jaccard_torch,
)
def jaccard(probabilities, mask, eps, reduction):
    """1 - (I + eps) / (U + eps) with I = sum p t and U = sum p + sum t - I: one less the soft intersection over union.

    probabilities in [0, 1], mask of zeros and ones: (batch, pixels); eps > 0 keeps two empty masks
    from 0/0. The derivative is (I + eps) / (U + eps)^2 off the mask and -1 / (U + eps) on it.
    Reference: composed of torch primitives. Source: Rahman and Wang, Optimizing Intersection-Over-Union
    in Deep Neural Networks for Image Segmentation, ISVC (2016).
    """
    p, t = probabilities, mask
    return reduce(np.sum(_swapped(p, t), axis=1) / (np.sum(t + p * (1 - t), axis=1) + eps), reduction)


@jaccard.vjp
def _(dy, probabilities, mask, eps, reduction, y):
    p, t = probabilities, mask
    shared, union = _total(p * t) + eps, _total(t + p * (1 - t)) + eps
    return _columns(dy, len(p), reduction) / union * ((1 - t) * shared / union - t)


@jaccard.law("with half the eps, 2 D / (1 + D) of the Dice loss D")
def _(f, probabilities, mask, eps):
    d = dice(probabilities, mask, eps, False, "none")
    return equal(f(probabilities, mask, eps / 2, "none"), 2 * d / (1 + d))


@jaccard.law("zero where the prediction is the mask, never below the Dice loss of the same eps, at most 1")
def _(f, probabilities, mask, eps):
    loss = f(probabilities, mask, eps, "none")
    d = dice(probabilities, mask, eps, False, "none")
    return equal(f(mask, mask, eps, "none"), 0), at_most(d, loss), at_most(loss, 1)


@jaccard.exhibit("union taken for a constant", expects="G101", part="vjp")
def _(dy, probabilities, mask, eps, reduction, y):
    union = _total(mask + probabilities * (1 - mask)) + eps
    return -_columns(dy, len(mask), reduction) / union * mask


def _tversky_torch(probabilities, mask, alpha, beta, eps, reduction):
    p, t = probabilities, mask
    hits = (p * t).sum(1)
    return _torch_reduce(1 - (hits + eps) / (hits + alpha * (p * (1 - t)).sum(1) + beta * ((1 - p) * t).sum(1) + eps), reduction)


@spec(
    "tversky",
    family="loss",
    probabilities=Real("batch", "pixels", low=0, high=1, closed=True),
    mask=Mask("batch", "pixels"),
    alpha=Option(0.3, 0.5),
    beta=Option(0.7, 0.5),
    eps=Option(1.0, 1e-3),
    reduction=Option("mean", "sum", "none"),
    torch=_tversky_torch,
)
def tversky(probabilities, mask, alpha, beta, eps, reduction):
    """1 - (TP + eps) / (TP + alpha FP + beta FN + eps), with TP = sum p t, FP = sum p (1 - t), FN = sum (1 - p) t.

    probabilities in [0, 1], mask of zeros and ones: (batch, pixels). alpha is the price of a pixel too
    many, beta of one too few. With M = alpha FP + beta FN and D = TP + M + eps, the derivative is
    alpha (TP + eps) / D^2 off the mask and -(beta (TP + eps) + M) / D^2 on it. Reference: composed of torch
    primitives. Source: Salehi, Erdogmus, Gholipour, Tversky Loss Function for Image Segmentation Using 3D Fully
    Convolutional Deep Networks, MLMI (2017), eq. 3.
    """
    hits, missed = _tversky_parts(probabilities, mask, alpha, beta)
    return reduce((missed / (hits + missed + eps))[:, 0], reduction)


def _tversky_parts(p, t, alpha, beta):
    return _total(p * t), _total(alpha * p * (1 - t) + beta * (1 - p) * t)


@tversky.vjp
def _(dy, probabilities, mask, alpha, beta, eps, reduction, y):
    hits, missed = _tversky_parts(probabilities, mask, alpha, beta)
    size, found = hits + missed + eps, hits + eps
    return _columns(dy, len(mask), reduction) / size * ((1 - mask) * alpha * found - mask * (beta * found + missed)) / size


@tversky.law("with alpha = beta = 1/2 the Dice loss of twice the eps, with 1 the Jaccard loss")
def _(f, probabilities, mask, eps, reduction):
    return (
        equal(f(probabilities, mask, 0.5, 0.5, eps, reduction), dice(probabilities, mask, 2 * eps, False, reduction)),
        equal(f(probabilities, mask, 1.0, 1.0, eps, reduction), jaccard(probabilities, mask, eps, reduction)),
    )


@tversky.exhibit("alpha and beta exchanged in the backward", expects="G101", part="vjp")
def _(dy, probabilities, mask, alpha, beta, eps, reduction, y):
    hits, missed = _tversky_parts(probabilities, mask, alpha, beta)
    size, found = hits + missed + eps, hits + eps
    return _columns(dy, len(mask), reduction) / size * ((1 - mask) * beta * found - mask * (alpha * found + missed)) / size


def _sensitivity_torch(probabilities, mask, balance, eps, reduction):
    errors = (mask - probabilities) ** 2
    sensitivity = (errors * mask).sum(1) / (mask.sum(1) + eps)
    specificity = (errors * (1 - mask)).sum(1) / ((1 - mask).sum(1) + eps)
    return _torch_reduce(balance * sensitivity + (1 - balance) * specificity, reduction)


@spec(
    "sensitivity_specificity",
    family="loss",
    probabilities=Real("batch", "pixels", low=0, high=1, closed=True),
    mask=Mask("batch", "pixels"),
    balance=Option(0.5, 0.05),
    eps=Option(1e-5, 1.0),
    reduction=Option("mean", "sum", "none"),
    torch=_sensitivity_torch,
)
def sensitivity_specificity(probabilities, mask, balance, eps, reduction):
    """balance sum (r - p)^2 r / (sum r + eps) + (1 - balance) sum (r - p)^2 (1 - r) / (sum (1 - r) + eps).

    probabilities p in [0, 1], mask r of zeros and ones: (batch, pixels). Squared errors on the mask and off
    it, each over the size of its part, so that a small object weighs as much as its background; eps > 0 keeps an
    empty part from 0/0. The derivative is 2 (p - r) times the weight of the pixel's part over its size.
    Reference: composed of torch primitives. Source: Brosch et al., Deep Convolutional Encoder Networks for
    Multiple Sclerosis Lesion Segmentation, MICCAI (2015), eq. 7.
    """
    return reduce(np.sum(_pixel_weights(mask, balance, eps) * (mask - probabilities) ** 2, axis=1), reduction)


def _pixel_weights(mask, balance, eps):
    return balance * mask / (_total(mask) + eps) + (1 - balance) * (1 - mask) / (_total(1 - mask) + eps)


@sensitivity_specificity.vjp
def _(dy, probabilities, mask, balance, eps, reduction, y):
    return 2 * _columns(dy, len(mask), reduction) * _pixel_weights(mask, balance, eps) * (probabilities - mask)


@sensitivity_specificity.law("unchanged when mask and prediction are inverted and the balance as well")
def _(f, probabilities, mask, balance, eps, reduction):
    loss = f(probabilities, mask, balance, eps, reduction)
    return equal(loss, f(1 - probabilities, 1 - mask, 1 - balance, eps, reduction))


@sensitivity_specificity.law("zero where the prediction is the mask, below 1 everywhere")
def _(f, probabilities, mask, balance, eps):
    return equal(f(mask, mask, balance, eps, "none"), 0), at_most(f(probabilities, mask, balance, eps, "none"), 1)


@sensitivity_specificity.exhibit("background weighed by the size of the object", expects="V101")
def _(probabilities, mask, balance, eps, reduction):
    weight = (balance * mask + (1 - balance) * (1 - mask)) / (_total(mask) + eps)
    return reduce(np.sum(weight * (mask - probabilities) ** 2, axis=1), reduction)


def _jaccard_steps(truth):
    """By how much the Jaccard loss grows with every further pixel that is wrong, along the last axis.

    Once k pixels are wrong it is k / U_k, with U_k the true pixels and the false ones among the k:
    a true pixel adds 1 / U_k, a false one (U_k - k) / (U_k (U_k - 1)), or 1 if it is the whole union.
    """
    union = np.sum(truth, axis=-1, keepdims=True) + np.cumsum(1 - truth, axis=-1)
    wrong = np.cumsum(np.ones_like(truth), axis=-1)
    alone = union < 2
    false = np.where(alone, 1, (union - wrong) / (union * np.where(alone, 1, union - 1)))
    return np.where(truth > 0, 1 / union, false)


def _lovasz_weights(order, truth):
    """The steps of the Jaccard loss for every pixel, the pixels turning wrong in ``order``."""
    steps = _jaccard_steps(np.take_along_axis(truth, order, axis=-1))
    return np.take_along_axis(steps, np.argsort(order, axis=-1), axis=-1)


def _lovasz_torch(errors, order, truth):
    """As published: differences of the Jaccard index along the sorted errors, along the last axis."""
    errors, truth = errors.gather(-1, order), truth.gather(-1, order)
    total = truth.sum(-1, keepdim=True)
    index = 1 - (total - truth.cumsum(-1)) / (total + (1 - truth).cumsum(-1))
    return (errors * torch.diff(index, prepend=torch.zeros_like(index[..., :1]))).sum(-1)


def _lovasz_hinge_torch(logits, mask, reduction):
    ahead = logits * (2 * mask - 1)
    order = torch.argsort(ahead.detach(), dim=1, stable=True)
    return _torch_reduce(_lovasz_torch(torch.relu(1 - ahead), order, mask), reduction)


@spec(
    "lovasz_hinge",
    family="loss",
    logits=Real("batch", "pixels", kinks=(0.0, 1.0, -1.0)),
    mask=Mask("batch", "pixels"),
    reduction=Option("mean", "sum", "none"),
    torch=_lovasz_hinge_torch,
)
def lovasz_hinge(logits, mask, reduction):
    """The piecewise linear extension of the Jaccard loss, at the hinge errors max(0, 1 - logit * sign) of an image.

    logits, mask: (batch, pixels), sign = 2 mask - 1. The errors are sorted from the largest and
    multiplied by what each further wrong pixel adds to the Jaccard loss. The derivative is minus that step
    times the sign, 0 where there is no error; where errors tie, the order of the pixels decides among the
    subgradients. Sorted by logit * sign: 1 - that would round different ones to the same.
    Reference: composed of torch primitives. Source: Berman, Rannen Triki, Blaschko, The Lovasz-Softmax Loss, CVPR (2018),
    section 2.3.
    """
    ahead = logits * (2 * mask - 1)
    weights = _lovasz_weights(np.argsort(ahead, axis=1, kind="stable"), mask)
    return reduce(np.sum(weights * np.maximum(0, 1 - ahead), axis=1), reduction)


@lovasz_hinge.vjp
def _(dy, logits, mask, reduction, y):
    sign = 2 * mask - 1
    weights = _lovasz_weights(np.argsort(logits * sign, axis=1, kind="stable"), mask)
    return _columns(dy, len(mask), reduction) * np.where(logits * sign < 1, -sign * weights, 0)


@lovasz_hinge.law("of logits of -1 and 1, twice the Jaccard loss")
def _(f, mask, guess=Mask("batch", "pixels")):
    union = np.sum(np.maximum(guess, mask), axis=1)
    return equal(f(2 * guess - 1, mask, "none") * union, 2 * np.sum(np.abs(guess - mask), axis=1))


@lovasz_hinge.law("convex in the logits")
def _(f, logits, mask, other=Real("batch", "pixels")):
    middle = f((logits + other) / 2, mask, "none")
    return at_most(middle, (f(logits, mask, "none") + f(other, mask, "none")) / 2)


@lovasz_hinge.exhibit("sorted by the logits, not by the errors", expects="V101", part="forward")
def _(logits, mask, reduction):
    weights = _lovasz_weights(np.argsort(-logits, axis=1, kind="stable"), mask)
    return reduce(np.sum(weights * np.maximum(0, 1 - logits * (2 * mask - 1)), axis=1), reduction)


def _lovasz_softmax_torch(probabilities, labels, classes):
    p = probabilities.T
    truth = torch.where(torch.arange(len(p))[:, None] == labels, torch.ones_like(p), torch.zeros_like(p))
    errors = (truth - p).abs()
    losses = _lovasz_torch(errors, torch.argsort(-errors.detach(), dim=1, stable=True), truth)
    return losses.mean() if classes == "all" else losses[truth.sum(1) > 0].mean()


@spec(
    "lovasz_softmax",
    family="loss",
    probabilities=Simplex("pixels", "classes"),
    labels=Labels("pixels", below="classes"),
    classes=Option("present", "all"),
    torch=_lovasz_softmax_torch,
)
def lovasz_softmax(probabilities, labels, classes):
    """The piecewise linear extension of every class's Jaccard loss at the errors |[label = c] - p_c|, averaged over classes.

    probabilities: (pixels, classes), after the softmax; labels: integers (pixels,). ``classes`` says
    whether classes without a pixel count. The errors of a class are sorted from the largest and multiplied
    by what each further wrong pixel adds to its Jaccard loss; the derivative is that step over the number
    of classes, negative for the true class; where errors tie, the order of the pixels decides.
    Reference: composed of torch primitives. Source: Berman, Rannen Triki, Blaschko, The Lovasz-Softmax Loss, CVPR (2018),
    section 3.
    """
    _, errors, weights = _class_errors(probabilities, labels, classes)
    return np.sum(weights * errors)


def _class_errors(probabilities, labels, classes):
    """The mask, errors and weights of all classes, of shape (classes, pixels)."""
    p = probabilities.T
    truth = np.where(np.arange(len(p))[:, None] == labels, np.ones_like(p), np.zeros_like(p))
    errors, right = np.where(truth > 0, 1 - p, p), np.where(truth > 0, p, 1 - p)
    order = np.argsort(right, axis=1, kind="stable")  # tells errors that round to the same near 1 apart
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(errors, order, axis=1), axis=1, kind="stable"), axis=1)
    counts = np.any(truth > 0, axis=1, keepdims=True) | (classes == "all")
    return truth, errors, np.where(counts, _lovasz_weights(order, truth), 0) / int(np.sum(counts))


@lovasz_softmax.vjp
def _(dy, probabilities, labels, classes, y):
    truth, _, weights = _class_errors(probabilities, labels, classes)
    return dy * (weights * (1 - 2 * truth)).T


@lovasz_softmax.law("of one-hot predictions, the mean over classes of the Jaccard loss")
def _(f, probabilities, labels, guess=Labels("pixels", below="classes")):
    names = np.arange(probabilities.shape[1])
    hard, truth = (np.where(names == v[:, None], 1.0, 0.0) for v in (guess, labels))
    union = np.sum(np.maximum(hard, truth), axis=0)
    losses = np.sum(np.abs(hard - truth), axis=0) / np.maximum(union, 1)
    return equal(f(hard, labels, "all"), np.mean(losses))


@lovasz_softmax.law("of a single pixel, the error of its class")
def _(f, probabilities, labels):
    return equal(f(probabilities[:1], labels[:1], "present"), 1 - probabilities[0, labels[0]])
