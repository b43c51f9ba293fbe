"""What several specs need: the dtypes, reductions of losses, broadcasting undone, and sigmoid and softmax in sound forms."""

from __future__ import annotations

import numpy as np

EVERY = ("float64", "float32", "float16")
"""The dtypes of what is sound in every one of them."""


def reduce(losses, reduction):
    """``losses`` as they are ("none"), their "sum", or their "mean"."""
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def torch_reduced(losses, reduction):
    """``reduce`` for tensors, for references that are composed of torch primitives."""
    return losses if reduction == "none" else getattr(losses, reduction)()


def share(dy, count, reduction):
    """What each of ``count`` losses receives of the cotangent ``dy`` of their reduction."""
    return dy / count if reduction == "mean" else dy


def unbroadcast(gradient, shape):
    """``gradient``, summed over the axes along which an array of ``shape`` was broadcast."""
    added = np.ndim(gradient) - len(shape)
    stretched = tuple(added + axis for axis, size in enumerate(shape) if size == 1)
    return np.reshape(np.sum(gradient, axis=(*range(added), *stretched)), shape)


def sigmoid(x):
    """1 / (1 + e^-x) without overflow, e^x where that is tiny."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def softplus(x):
    """log(1 + e^x) without overflow, e^x where that is tiny."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax_less(x, chosen):
    """softmax(x) - 1 where the mask ``chosen`` marks one class a row, softmax(x) elsewhere.

    p - 1 cancels when p is nearly 1; minus the sum of the other probabilities does not.
    """
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    p = e / np.sum(e, axis=-1, keepdims=True)
    rest = np.sum(np.where(chosen, 0, p), axis=-1, keepdims=True)
    return np.where(chosen, -rest, p)


def surprisal(x, chosen):
    """-log softmax(x) of the class that ``chosen`` marks in each row, small ones included.

    The log of the sum of e^margin, margins being taken from the chosen class, whose own is 0.
    """
    margin = x - np.sum(np.where(chosen, x, 0), axis=-1, keepdims=True)
    top = np.max(margin, axis=-1, keepdims=True)
    others = np.sum(np.where(chosen, 0, np.exp(margin - top)), axis=-1)
    top = top[..., 0]
    return top + np.log1p(others + np.expm1(-top))
