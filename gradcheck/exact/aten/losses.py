"""Losses and their backwards. ``reduction`` is torch's: 0 keeps the entries, 1 takes their mean, 2 their sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, lift
from gradcheck.exact.aten.elementwise import Array, each, log, maximum
from gradcheck.exact.balls import ONE, ZERO, ball


def _reduced(losses: Array, reduction: int) -> Array:
    return losses if not reduction else np.mean(losses) if reduction == 1 else np.sum(losses)


def _share(grad: Array, count: int, reduction: int) -> Array:
    """What the loss of one entry receives of ``grad``."""
    return grad / count if reduction == 1 else grad


def mse_loss(x: Array, target: Array, reduction: int = 1) -> Array:
    gap = x - target
    return _reduced(gap * gap, reduction)


def mse_loss_backward(grad: Array, x: Array, target: Array, reduction: int) -> Array:
    gap = x - target
    return 2 * gap * _share(grad, gap.size, reduction)


def smooth_l1_loss(x: Array, target: Array, reduction: int = 1, beta: float = 1.0) -> Array:
    edge = ball(beta)
    losses = each(lambda a: a * a / edge / 2 if balls.less(a, edge) else a - edge / 2, roundings=3)
    return _reduced(losses(abs(x - target)), reduction)


def smooth_l1_loss_backward(grad: Array, x: Array, target: Array, reduction: int, beta: float) -> Array:
    edge = ball(beta)
    slope = each(lambda a: -ONE if balls.less_equal(a, -edge) else ONE if balls.greater_equal(a, edge) else a / edge, roundings=1)
    gap = x - target
    return slope(gap) * _share(grad, gap.size, reduction)


def huber_loss(x: Array, target: Array, reduction: int = 1, delta: float = 1.0) -> Array:
    edge = ball(delta)
    losses = each(lambda a: a * a / 2 if balls.less_equal(a, edge) else edge * (a - edge / 2), roundings=3)
    return _reduced(losses(abs(x - target)), reduction)


def huber_loss_backward(grad: Array, x: Array, target: Array, reduction: int, delta: float) -> Array:
    edge = ball(delta)
    slope = each(lambda a: a if balls.less_equal(abs(a), edge) else edge * balls.sign(a), roundings=1)
    gap = x - target
    return slope(gap) * _share(grad, gap.size, reduction)


def soft_margin_loss(x: Array, target: Array, reduction: int = 1) -> Array:
    return _reduced(-sc.log_expit(x * target), reduction)


def soft_margin_loss_backward(grad: Array, x: Array, target: Array, reduction: int) -> Array:
    return -target * sc.expit(-x * target) * _share(grad, x.size, reduction)


# Probabilities
_log, _log_of_rest = each(log, roundings=1), each(lambda a: arb.neg_inf() if a == 1 else (-a).log1p(), roundings=1)
SMALLEST_LOG = -100
"""Where torch cuts off the logarithms of a cross entropy."""
SMALLEST_VARIANCE = 1e-12
"""Where torch cuts off ``p (1 - p)``, which its gradient is divided by."""


def binary_cross_entropy(x: Array, target: Array, weight: Array | None = None, reduction: int = 1) -> Array:
    losses = (target - 1) * maximum(_log_of_rest(x), SMALLEST_LOG) - target * maximum(_log(x), SMALLEST_LOG)
    return _reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_backward(grad: Array, x: Array, target: Array, weight: Array | None = None, reduction: int = 1) -> Array:
    found = _share(grad, x.size, reduction) * (x - target) / maximum(x * (1 - x), SMALLEST_VARIANCE)
    return found if weight is None else found * weight


def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: Array | None = None, of_positives: Array | None = None, reduction: int = 1
) -> Array:
    scale = 1 if of_positives is None else (of_positives - 1) * target + 1
    losses = (1 - target) * x - scale * sc.log_expit(x)
    return _reduced(losses if weight is None else losses * weight, reduction)


class _Classes:
    """Where the entries of the target classes lie, and their weights; the ignored ones have the weight zero."""

    def __init__(self, x: Array, target: np.ndarray, weight: Array | None, ignored: int) -> None:
        self.axis = min(x.ndim - 1, 1)
        kept = np.asarray(target) != ignored
        classes = np.where(kept, target, 0)
        if ((classes < 0) | (classes >= x.shape[self.axis])).any():
            raise IndexError("a target class is out of bounds")
        self.at = np.expand_dims(classes, self.axis)
        weights = np.full(classes.shape, ONE, dtype=object) if weight is None else lift(weight)[classes]
        self.weights = np.asarray(np.where(kept, weights, ZERO), dtype=object)
        self.kept = kept


def nll_loss(x: Array, target: np.ndarray, weight: Array | None, reduction: int, ignored: int) -> tuple[Array, Array]:
    """The loss, and the sum of the weights."""
    classes = _Classes(x, target, weight, ignored)
    chosen = np.take_along_axis(lift(x), classes.at, classes.axis).squeeze(classes.axis)
    chosen = np.asarray(np.where(classes.kept, chosen, ZERO), dtype=object)
    losses, weights = -ExactArray(chosen) * classes.weights, np.sum(ExactArray(classes.weights))
    if not reduction:
        return losses, weights if x.ndim == 1 else 0 * weights
    return np.sum(losses) / weights if reduction == 1 else np.sum(losses), weights


def nll_loss_backward(grad: Array, x: Array, target: np.ndarray, weight: Array | None, reduction: int, ignored: int, total: Array) -> Array:
    classes = _Classes(x, target, weight, ignored)
    received = grad / total if reduction == 1 else grad
    values = np.where(classes.kept, lift(-received * classes.weights), ZERO)
    made = np.full(x.shape, ZERO, dtype=object)
    np.put_along_axis(made, classes.at, np.expand_dims(values, classes.axis), classes.axis)
    return ExactArray(made)


TABLE: dict[str, Callable[..., Any]] = {
    "mse_loss": mse_loss, "mse_loss_backward": mse_loss_backward,
    "smooth_l1_loss": smooth_l1_loss, "smooth_l1_loss_backward": smooth_l1_loss_backward,
    "huber_loss": huber_loss, "huber_loss_backward": huber_loss_backward,
    "soft_margin_loss": soft_margin_loss, "soft_margin_loss_backward": soft_margin_loss_backward,
    "binary_cross_entropy": binary_cross_entropy, "binary_cross_entropy_backward": binary_cross_entropy_backward,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "nll_loss_forward": nll_loss, "nll_loss_backward": nll_loss_backward,
    "nll_loss2d_forward": nll_loss, "nll_loss2d_backward": nll_loss_backward,
}  # fmt: skip
