"""Normalisation by layers, groups and batches, and dropout's backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.exact.aten.elementwise import Array

Axes = tuple[int, ...]


def _standardised(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    """``x`` with mean zero and variance one along ``axes``, its mean, and what it was multiplied with."""
    mean = np.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    scale = 1 / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)
    return centred * scale, mean, scale


def _standardised_backward(grad: Array, y: Array, scale: Array, axes: Axes) -> Array:
    along = np.mean(grad * y, axis=axes, keepdims=True)
    return scale * (grad - np.mean(grad, axis=axes, keepdims=True) - y * along)


def _affine(y: Array, weight: Array | None, bias: Array | None) -> Array:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _summed(x: Array, axes: Axes) -> Array:
    return np.sum(x, axis=axes) if axes else x


def _masked(mask: Any, *gradients: Callable[[], Array]) -> tuple[Array | None, ...]:
    return tuple(gradient() if wanted else None for wanted, gradient in zip(mask, gradients, strict=True))


def layer_norm(x: Array, shape: Any, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    y, mean, scale = _standardised(x, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(y, weight, bias), mean, scale


def layer_norm_backward(
    grad: Array, x: Array, shape: Any, mean: Array, scale: Array, weight: Array | None, bias: Array | None, mask: Any
) -> tuple[Array | None, ...]:
    first = x.ndim - len(shape)
    lead, axes = tuple(range(first)), tuple(range(first, x.ndim))
    y = (x - mean) * scale
    return _masked(
        mask,
        lambda: _standardised_backward(_affine(grad, weight, None), y, scale, axes),
        lambda: _summed(grad * y, lead),
        lambda: _summed(grad, lead),
    )


def _by_channel(values: Array | None, ndim: int) -> Array | None:
    return None if values is None else values.reshape(1, -1, *[1] * (ndim - 2))


def group_norm(
    x: Array, weight: Array | None, bias: Array | None, n: int, channels: int, size: int, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    y, mean, scale = _standardised(x.reshape(n, groups, -1), (2,), eps)
    made = _affine(y.reshape(*x.shape), _by_channel(weight, x.ndim), _by_channel(bias, x.ndim))
    return made, mean.reshape(n, groups), scale.reshape(n, groups)


def group_norm_backward(
    grad: Array, x: Array, mean: Array, scale: Array, weight: Array | None, n: int, channels: int, size: int, groups: int, mask: Any
) -> tuple[Array | None, ...]:
    mean, scale = mean.reshape(n, groups, 1), scale.reshape(n, groups, 1)
    y = (x.reshape(n, groups, -1) - mean) * scale
    others = (0, *range(2, x.ndim))
    weighted = _affine(grad, _by_channel(weight, x.ndim), None).reshape(n, groups, -1)
    return _masked(
        mask,
        lambda: _standardised_backward(weighted, y, scale, (2,)).reshape(*x.shape),
        lambda: np.sum(grad * y.reshape(*x.shape), axis=others),
        lambda: np.sum(grad, axis=others),
    )


def batch_norm_backward(
    grad: Array, x: Array, weight: Array | None, running_mean: Array | None, running_var: Array | None,
    mean: Array | None, scale: Array | None, training: bool, eps: float, mask: Any,
) -> tuple[Array | None, ...]:  # fmt: skip
    if not training:
        assert running_var is not None
        mean, scale = running_mean, 1 / np.sqrt(running_var + eps)
    by_channel = [_by_channel(v, x.ndim) for v in (mean, scale, weight)]
    y, axes = (x - by_channel[0]) * by_channel[1], (0, *range(2, x.ndim))
    weighted = _affine(grad, by_channel[2], None)
    return _masked(
        mask,
        lambda: _standardised_backward(weighted, y, by_channel[1], axes) if training else weighted * by_channel[1],
        lambda: np.sum(grad * y, axis=axes),
        lambda: np.sum(grad, axis=axes),
    )


TABLE: dict[str, Callable[..., Any]] = {
    "native_layer_norm": layer_norm, "native_layer_norm_backward": layer_norm_backward,
    "native_group_norm": group_norm, "native_group_norm_backward": group_norm_backward,
    "native_batch_norm_backward": batch_norm_backward,
    "native_dropout_backward": lambda grad, mask, scale: grad * mask * scale,
}  # fmt: skip
