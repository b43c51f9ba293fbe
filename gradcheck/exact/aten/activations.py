"""Activation functions and their backwards; at a kink the backward takes the side that torch takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, lift
from gradcheck.exact.aten.elementwise import Array, clamp, each, maximum, where
from gradcheck.exact.balls import ONE, TWO, ZERO, ball


def sigmoid_backward(grad: Array, y: Array) -> Array:
    return grad * (1 - y) * y


def tanh_backward(grad: Array, y: Array) -> Array:
    return grad * (1 - y * y)


def silu_backward(grad: Array, x: Array) -> Array:
    s = sc.expit(x)
    return grad * s * (1 + x * (1 - s))


def mish_backward(grad: Array, x: Array) -> Array:
    t, s = np.tanh(_softplus(x)), sc.expit(x)
    return grad * (t + x * s * (1 - t * t))


def glu(x: Array, dim: int = -1) -> Array:
    a, b = _halves(x, dim)
    return a * sc.expit(b)


def glu_backward(grad: Array, x: Array, dim: int) -> Array:
    a, b = _halves(x, dim)
    s = sc.expit(b)
    return np.concatenate([grad * s, grad * a * s * (1 - s)], axis=dim)


def _halves(x: Array, dim: int) -> list[ExactArray]:
    return [ExactArray(half) for half in np.split(lift(x), 2, axis=dim)]


# Exponentials on one side
_softplus = each(lambda a: balls.softplus(a), roundings=2)


def softplus(x: Array, beta: Any = 1, threshold: Any = 20) -> Array:
    scale, edge = ball(beta), ball(threshold)
    return each(lambda a: a if balls.greater(a * scale, edge) else balls.softplus(a * scale) / scale, roundings=4)(x)


def softplus_backward(grad: Array, x: Array, beta: Any, threshold: Any) -> Array:
    scale, edge = ball(beta), ball(threshold)
    return each(lambda g, a: g if balls.greater(a * scale, edge) else g * balls.expit(a * scale), roundings=5)(grad, x)


def elu(x: Array, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Array:
    below, above, inner = ball(alpha) * ball(scale), ball(scale), ball(input_scale)
    return each(lambda a: a * above if balls.greater(a, ZERO) else (a * inner).expm1() * below, roundings=3)(x)


def elu_backward(grad: Array, alpha: Any, scale: Any, input_scale: Any, is_result: bool, y: Array) -> Array:
    """``y`` is the result if ``is_result``, else the argument."""
    below, above, inner = ball(alpha) * ball(scale), ball(scale), ball(input_scale)

    def slope(a: arb) -> arb:
        return inner * (a + below) if is_result else inner * below * (a * inner).exp()

    return each(lambda g, a: g * slope(a) if balls.less_equal(a, ZERO) else g * above, roundings=4)(grad, y)


# Lines with kinks
def threshold(x: Array, threshold: Any, value: Any) -> Array:
    edge, filling = ball(threshold), ball(value)
    return each(lambda a: filling if balls.less_equal(a, edge) else a)(x)


def threshold_backward(grad: Array, x: Array, threshold: Any) -> Array:
    edge = ball(threshold)
    return each(lambda g, a: ZERO if balls.less_equal(a, edge) else g)(grad, x)


def leaky_relu(x: Array, slope: Any = 0.01) -> Array:
    below = ball(slope)
    return each(lambda a: a if balls.greater(a, ZERO) else a * below, roundings=1)(x)


def leaky_relu_backward(grad: Array, x: Array, slope: Any, is_result: bool) -> Array:
    below = ball(slope)
    return each(lambda g, a: g if balls.greater(a, ZERO) else g * below, roundings=1)(grad, x)


def prelu(x: Array, weight: Array) -> Array:
    return each(lambda a, w: a if balls.greater(a, ZERO) else a * w, roundings=1)(x, weight)


def prelu_backward(grad: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    above = x > 0
    return where(above, grad, grad * weight), where(above, ZERO, grad * x)


def hardtanh(x: Array, low: Any = -1, high: Any = 1) -> Array:
    return clamp(x, low, high)


def hardtanh_backward(grad: Array, x: Array, low: Any, high: Any) -> Array:
    start, end = ball(low), ball(high)
    return each(lambda g, a: ZERO if balls.less_equal(a, start) or balls.greater_equal(a, end) else g)(grad, x)


def hardsigmoid_backward(grad: Array, x: Array) -> Array:
    return where((x > -3) & (x < 3), grad / 6, ZERO)


def hardswish_backward(grad: Array, x: Array) -> Array:
    return where(x <= -3, ZERO, where(x < 3, grad * (x / 3 + ONE / 2), grad))


def softshrink(x: Array, width: Any = 0.5) -> Array:
    edge = ball(width)
    return each(lambda a: a - edge if balls.greater(a, edge) else a + edge if balls.less(a, -edge) else ZERO, roundings=1)(x)


def hardshrink(x: Array, width: Any = 0.5) -> Array:
    return shrink_backward(x, x, width)


def shrink_backward(grad: Array, x: Array, width: Any) -> Array:
    edge = ball(width)
    return each(lambda g, a: g if balls.greater(abs(a), edge) else ZERO)(grad, x)


# torch's decomposition rounds a constant of these
def _gelu_tanh_argument(x: Array) -> tuple[Array, Array]:
    scale = (TWO / arb.pi()).sqrt()
    cubic = ball(0.044715)
    return scale * (x + cubic * x**3), scale * (1 + 3 * cubic * x**2)


def gelu(x: Array, approximate: str = "none") -> Array:
    return x * (1 + np.tanh(_gelu_tanh_argument(x)[0])) / 2 if approximate == "tanh" else x * sc.ndtr(x)


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        inner, slope = _gelu_tanh_argument(x)
        t = np.tanh(inner)
        return grad * ((1 + t) / 2 + x * (1 - t * t) / 2 * slope)
    return grad * (sc.ndtr(x) + x * np.exp(-x * x / 2) / (2 * arb.pi()).sqrt())


TABLE: dict[str, Callable[..., Any]] = {
    "relu": lambda x: maximum(x, 0), "sigmoid_backward": sigmoid_backward, "tanh_backward": tanh_backward,
    "silu": lambda x: x * sc.expit(x), "silu_backward": silu_backward,
    "mish": lambda x: x * np.tanh(_softplus(x)), "mish_backward": mish_backward, "glu": glu, "glu_backward": glu_backward,
    "log_sigmoid_forward": lambda x: (sc.log_expit(x), x), "log_sigmoid_backward": lambda grad, x, _: grad * sc.expit(-x),
    "softplus": softplus, "softplus_backward": softplus_backward, "elu": elu, "elu_backward": elu_backward,
    "threshold": threshold, "threshold_backward": threshold_backward,
    "leaky_relu": leaky_relu, "leaky_relu_backward": leaky_relu_backward,
    "_prelu_kernel": prelu, "_prelu_kernel_backward": prelu_backward,
    "hardtanh": hardtanh, "hardtanh_backward": hardtanh_backward,
    "hardsigmoid": lambda x: clamp(x + 3, 0, 6) / 6, "hardsigmoid_backward": hardsigmoid_backward,
    "hardswish": lambda x: x * clamp(x + 3, 0, 6) / 6, "hardswish_backward": hardswish_backward,
    "softshrink": softshrink, "softshrink_backward": shrink_backward, "hardshrink": hardshrink, "hardshrink_backward": shrink_backward,
    "gelu": gelu, "gelu_backward": gelu_backward,
}  # fmt: skip
