"""Arithmetic, functions and comparisons, entry by entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sc
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, Work, lift, wrap
from gradcheck.exact.balls import ONE, TWO, ZERO, ball
from gradcheck.exact.errors import NotExact

Array = Any  # an ExactArray, or an array of integers or booleans


def each(function: Callable[..., Any], roundings: int = 0) -> Callable[..., Any]:
    """``function`` of balls, entry by entry; torch rounds that many times on its way."""
    ufunc = np.frompyfunc(function, function.__code__.co_argcount, 1)

    def apply(*arrays: Array) -> Any:
        Work.steps += roundings
        return wrap(ufunc(*[lift(a) for a in arrays]))

    return apply


def _comparison(decide: Callable[[Any, Any], bool], if_same: bool) -> Callable[[Array, Array], Any]:
    """A _comparison that knows that an entry equals itself, however wide its ball."""
    ufunc = np.frompyfunc(lambda a, b: if_same if a is b else decide(a, b), 2, 1)
    return lambda a, b: np.asarray(ufunc(lift(a), lift(b))).astype(bool)


def _test(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda *arrays: ufunc(*(wrap(lift(a)) for a in arrays))


def larger(a: arb, b: arb) -> arb:
    return a if a is b or a >= b else b if b >= a else a.max(b)


def smaller(a: arb, b: arb) -> arb:
    return a if a is b or a <= b else b if b <= a else a.min(b)


maximum, minimum = each(lambda a, b: larger(a, b)), each(lambda a, b: smaller(a, b))


def clamp(x: Array, low: Any = None, high: Any = None, **names: Any) -> Array:
    low, high = names.get("min", low), names.get("max", high)
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def div(a: Array, b: Array, rounding_mode: str | None = None) -> Array:
    a, b = wrap(lift(a)), wrap(lift(b))
    return a / b if rounding_mode is None else np.floor(a / b) if rounding_mode == "floor" else np.trunc(a / b)


def fmod(a: Array, b: Array) -> Array:
    a, b = wrap(lift(a)), wrap(lift(b))
    return a - b * np.trunc(a / b)


def polygamma(n: int, a: arb) -> arb:
    if n == 0:
        return a.digamma()
    below = ZERO
    while not a > 0:  # Hurwitz zeta wants a positive argument
        if not a > -1000:
            raise NotExact("polygamma far below zero")
        below, a = below + ONE / a ** (n + 1), a + 1
    return (-1) ** (n + 1) * math.factorial(n) * (arb(n + 1).zeta(a) + below)


def lgamma(a: arb) -> arb:
    return a.lgamma() if a > 0 else abs(a.gamma()).log()


def log(a: arb) -> arb:
    return arb.neg_inf() if a == 0 else a.log()


def sinc(a: arb) -> arb:
    return ONE if a == 0 else (arb.pi() * a).sin() / (arb.pi() * a)


def logit(x: Array, eps: float | None = None) -> Array:
    return sc.logit(x if eps is None else clamp(x, eps, 1 - ball(eps)))


def logaddexp(a: arb, b: arb) -> arb:
    found = balls.logaddexp(a, b)
    if found.is_finite() or not (a.is_finite() and b.is_finite()):
        return found
    return a.max(b) + arb(0.35, 0.35)  # it lies between the larger and that plus log 2


def logaddexp2(a: Array, b: Array) -> Array:
    two = TWO.log()
    return np.logaddexp(wrap(lift(a)) * two, wrap(lift(b)) * two) / two


def where(condition: Array, *choices: Array) -> Any:
    decided = condition.astype(bool) if isinstance(condition, ExactArray) else condition
    return wrap(np.array(np.where(decided, *(lift(c) for c in choices)), dtype=object))


def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    return where(mask, value, x)


equal = _comparison(balls.equal, True)

_UNARY: dict[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in
    ["exp", "sqrt", "expm1", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log2", "log10", "exp2",
     "square", "reciprocal", "sign", "floor", "ceil", "trunc"]
} | {"a" + name: getattr(np, "arc" + name) for name in ["sin", "cos", "tan", "sinh", "cosh", "tanh"]}  # fmt: skip

TABLE: dict[str, Callable[..., Any]] = _UNARY | {
    "abs": np.absolute, "neg": np.negative, "sgn": np.sign, "rsqrt": lambda x: 1 / np.sqrt(x),
    "round": lambda x, decimals=0: np.rint(x * 10**decimals) / 10**decimals, "frac": lambda x: x - np.trunc(x),
    "sigmoid": sc.expit, "logit": logit, "positive": lambda x: x.copy(), "conj_physical": lambda x: x.copy(),
    "erf": sc.erf, "erfc": sc.erfc, "erfinv": sc.erfinv, "lgamma": each(lgamma), "digamma": sc.digamma,
    "special_ndtr": sc.ndtr, "special_log_ndtr": sc.log_ndtr, "special_entr": sc.entr, "sinc": each(sinc),
    "special_erfcx": lambda x: np.exp(x * x) * sc.erfc(x),
    "polygamma": lambda n, x: each(lambda a: polygamma(n, a))(x), "log": each(log),
    "i0": each(lambda a: a.bessel_i(ZERO)), "special_i1": each(lambda a: a.bessel_i(ONE)),
    "special_i0e": each(lambda a: (-abs(a)).exp() * a.bessel_i(ZERO)), "special_i1e": each(lambda a: (-abs(a)).exp() * a.bessel_i(ONE)),
    "angle": lambda x: where(x < 0, arb.pi(), ZERO), "special_ndtri": lambda p: sc.erfinv(2 * p - 1) * TWO.sqrt(),
    "add": lambda a, b, alpha=1: wrap(lift(a)) + (b if alpha == 1 else wrap(lift(b)) * alpha),
    "sub": lambda a, b, alpha=1: wrap(lift(a)) - (b if alpha == 1 else wrap(lift(b)) * alpha),
    "rsub": lambda a, b, alpha=1: b - (a if alpha == 1 else a * alpha),
    "mul": lambda a, b: wrap(lift(a)) * b, "div": div, "pow": lambda a, b: np.power(wrap(lift(a)), b),
    "addcmul": lambda x, a, b, value=1: x + wrap(lift(a)) * b * value,
    "addcdiv": lambda x, a, b, value=1: x + wrap(lift(a)) / b * value,
    "lerp": lambda a, b, t: a + (b - a) * t,
    "remainder": lambda a, b: np.remainder(wrap(lift(a)), b), "fmod": fmod, "floor_divide": lambda a, b: np.floor(div(a, b)),
    "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp, "logaddexp2": logaddexp2,
    "xlogy": sc.xlogy, "special_xlog1py": sc.xlog1py, "copysign": lambda a, b: np.copysign(wrap(lift(a)), b),
    "heaviside": np.heaviside, "maximum": maximum, "minimum": minimum, "fmax": maximum, "fmin": minimum,
    "clamp": clamp, "clamp_min": maximum, "clamp_max": minimum, "where": where, "masked_fill": masked_fill,
    "eq": equal, "ne": _comparison(balls.not_equal, False), "gt": _comparison(balls.greater, False),
    "ge": _comparison(balls.greater_equal, True), "lt": _comparison(balls.less, False), "le": _comparison(balls.less_equal, True),
    "isnan": _test(np.isnan), "isinf": _test(np.isinf), "isfinite": _test(np.isfinite), "signbit": _test(np.signbit),
    "logical_not": _test(np.logical_not), "logical_and": _test(np.logical_and), "logical_or": _test(np.logical_or),
    "logical_xor": _test(np.logical_xor), "equal": lambda a, b: bool(a.shape == b.shape and equal(a, b).all()),
}  # fmt: skip
