"""What the ufuncs of NumPy and SciPy do on exact arrays: called, reduced, accumulated, at indices.

``UFUNCS`` has them by name, scipy.special's among them; what is not in it is refused by name.
"""

from __future__ import annotations

import functools
import linecache
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, Work, entries, lift, wrap
from gradcheck.exact.balls import ONE, TWO, ZERO
from gradcheck.exact.errors import NotExact, outward, user_frame

_UNARY: dict[str, Callable[[arb], Any]] = {
    "exp": arb.exp, "log": balls.log, "sqrt": arb.sqrt, "expm1": arb.expm1, "log1p": arb.log1p,
    "sin": arb.sin, "cos": arb.cos, "tan": arb.tan, "sinh": arb.sinh, "cosh": arb.cosh, "tanh": arb.tanh,
    "arcsin": arb.asin, "arccos": arb.acos, "arctan": arb.atan,
    "arcsinh": arb.asinh, "arccosh": arb.acosh, "arctanh": arb.atanh,
    "log2": lambda a: a.log() / TWO.log(), "log10": lambda a: a.log() / arb(10).log(), "exp2": lambda a: TWO**a,
    "cbrt": balls.cbrt, "square": lambda a: a * a, "reciprocal": lambda a: ONE / a,
    "absolute": abs, "fabs": abs, "negative": operator.neg, "positive": lambda a: a, "conjugate": lambda a: a,
    "sign": balls.sign, "floor": arb.floor, "ceil": arb.ceil, "rint": balls.rint, "trunc": lambda a: arb(balls.integer(a)),
    "deg2rad": lambda a: a * arb.pi() / 180, "radians": lambda a: a * arb.pi() / 180, "rad2deg": lambda a: a * 180 / arb.pi(),
    "degrees": lambda a: a * 180 / arb.pi(),
    "erf": arb.erf, "erfc": arb.erfc, "erfinv": arb.erfinv, "gammaln": balls.gammaln, "gamma": arb.gamma,
    "digamma": arb.digamma, "psi": arb.digamma, "expit": balls.expit, "logit": balls.logit, "log_expit": balls.log_expit,
    "softplus": balls.softplus, "ndtr": balls.ndtr, "log_ndtr": balls.log_ndtr, "entr": balls.entr,
}  # fmt: skip
_BINARY: dict[str, Callable[[arb, arb], Any]] = {
    "maximum": balls.larger, "minimum": balls.smaller, "fmax": balls.fmax, "fmin": balls.fmin,
    "power": balls.power, "float_power": balls.power, "pow": balls.power,
    "floor_divide": balls.floor_divide, "remainder": balls.remainder, "mod": balls.remainder, "fmod": balls.fmod,
    "arctan2": arb.atan2, "hypot": balls.hypot, "logaddexp": balls.logaddexp, "logaddexp2": balls.logaddexp2,
    "copysign": lambda a, b: abs(a) if balls.greater_equal(b, ZERO) else -abs(a),
    "heaviside": lambda a, b: b if balls.equal(a, ZERO) else arb(int(balls.greater(a, ZERO))),
    "xlogy": balls.xlogy, "xlog1py": balls.xlog1py, "rel_entr": balls.rel_entr, "kl_div": balls.kl_div, "huber": balls.huber,
}  # fmt: skip
_TESTS: dict[str, tuple[int, Callable[..., bool]]] = {
    "greater": (2, balls.greater), "greater_equal": (2, balls.greater_equal), "less": (2, balls.less),
    "less_equal": (2, balls.less_equal), "equal": (2, balls.equal), "not_equal": (2, balls.not_equal),
    "isnan": (1, balls.isnan), "isfinite": (1, balls.isfinite), "isinf": (1, balls.isinf),
    "signbit": (1, lambda a: balls.less(a, ZERO)), "logical_not": (1, lambda a: not balls.truth(a)),
    "logical_and": (2, lambda a, b: balls.truth(a) and balls.truth(b)),
    "logical_or": (2, lambda a, b: balls.truth(a) or balls.truth(b)),
    "logical_xor": (2, lambda a, b: balls.truth(a) != balls.truth(b)),
}  # fmt: skip

UFUNCS: dict[str, Callable[..., Any]] = {
    **{name: np.frompyfunc(f, 1, 1) for name, f in _UNARY.items()},
    **{name: np.frompyfunc(f, 2, 1) for name, f in _BINARY.items()},
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "true_divide": operator.truediv, "matmul": np.matmul,
    "vecdot": lambda a, b: (a * b).sum(-1), "matvec": lambda a, b: np.matmul(a, b[..., None])[..., 0],
    "vecmat": lambda a, b: np.matmul(a[..., None, :], b)[..., 0, :],
}  # fmt: skip
_SEVERAL = {
    "divmod": (UFUNCS["floor_divide"], UFUNCS["remainder"]),
    "modf": (np.frompyfunc(balls.fractional, 1, 1), UFUNCS["trunc"]),
}
"""Those that give several results: the functions that give each."""
_CONTRACTING = frozenset({"matmul", "vecdot", "matvec", "vecmat"})
_LOOP = "write it as a loop"
TESTS = {name: np.frompyfunc(f, n, 1) for name, (n, f) in _TESTS.items()}
_FOLDS: dict[str, tuple[Callable[[arb, arb], arb], arb | None]] = {
    "add": (operator.add, ZERO), "multiply": (operator.mul, ONE),
    "maximum": (balls.larger, None), "minimum": (balls.smaller, None), "fmax": (balls.fmax, None), "fmin": (balls.fmin, None),
    "logaddexp": (balls.logaddexp, arb.neg_inf()), "logaddexp2": (balls.logaddexp2, arb.neg_inf()), "hypot": (balls.hypot, ZERO),
}  # fmt: skip


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``ufunc.method(*inputs, **options)`` on balls; raises ``NotExact`` where there is no such thing."""
    name = ufunc.__name__
    if name.endswith(_MADE):
        return _made_ufunc(ufunc, method, inputs, options)
    out = options.pop("out", None)
    options.pop("dtype", None), options.pop("casting", None)
    if method == "__call__":
        result = _masked(name, inputs, out, options["where"]) if options.get("where", True) is not True else _call(name, inputs)
    elif method == "reduce":
        result = _ufunc_reduce(name, *inputs, **options)
    elif method == "accumulate":
        result = accumulate(name, *inputs, **options)
    elif method == "outer":
        first, second = (lift(v) for v in inputs)
        result = _call(name, (wrap(first.reshape(first.shape + (1,) * second.ndim)), wrap(second)))
    elif method == "at":
        return _ufunc_at(name, *inputs)
    elif method == "reduceat":
        result = _reduceat(name, *inputs, **options)
    else:
        raise NotExact(f"np.{name}.{method} has no exact counterpart", f"use np.{name}.reduce on slices")
    if out is None:
        return result
    if method == "__call__" and len(inputs) == 2 and out[0] is inputs[0] and type(out[0]) is not ExactArray and type(result) is ExactArray:
        raise NotExact(_UPDATED.get(name, "a float array is updated in place with exact values"), _without_update())
    return deliver(result, out[0]) if type(result) is not tuple else tuple(map(given, result, out))


_MADE = " (vectorized)"
"""How ``np.frompyfunc`` names what it makes."""


def _made_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What ``np.frompyfunc`` made, called with single exact values in place of floats."""
    made = getattr(ufunc, method)(*(entries(v) if type(v) is ExactArray else v for v in inputs), **options)
    return tuple(map(_joined, made)) if type(made) is tuple else _joined(made)


def _joined(made: Any) -> Any:
    """An array of objects as an exact one, if some of them are exact and all of them floats."""
    if type(made) is not np.ndarray or made.dtype != object:
        return made
    kinds = {type(v) for v in made.flat}
    return wrap(lift(made)) if ExactArray in kinds and kinds <= {ExactArray, float, np.float64} else made


_UPDATED = {
    "add": "exact values are added in place to a float array",
    "subtract": "exact values are subtracted in place from a float array",
}


def _without_update() -> str:
    """What to write for an update such as ``self.dw += ...`` of an array that was made elsewhere."""
    frame = user_frame()
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals) if frame is not None else ""
    update = re.match(r"\s*([\w.]+)\s*(\*\*|//|[-+*/@])=", line)
    instead = f", or write {update[1]} = {update[1]} {update[2]} ..." if update else ""
    return outward() + instead


def deliver(result: Any, out: Any) -> Any:
    """Write ``result`` into ``out`` as the ``out=`` of a function; a float array is refused."""
    if type(out) is ExactArray:
        out.balls_[...] = lift(result)
    elif isinstance(out, np.ndarray) and type(result) is not ExactArray:
        out[...] = result
    else:
        raise NotExact("exact values are written into a float array through out=", outward())
    return out


def given(result: Any, out: Any) -> Any:
    """``result``, or ``out`` with it inside, for functions that have an ``out``."""
    return result if out is None else deliver(result, out)


def _call(name: str, inputs: tuple[Any, ...]) -> Any:
    data = [lift(v) for v in inputs]
    if name in _SEVERAL:
        Work.steps += 1
        return tuple(wrap(one(*data)) for one in _SEVERAL[name])
    if name in TESTS:
        result = TESTS[name](*data)
        return result.astype(bool) if type(result) is np.ndarray else np.bool_(result)
    if name not in UFUNCS:
        raise NotExact(f"{name} has no exact counterpart")
    contracting = name in _CONTRACTING
    Work.steps += data[0].shape[-1] if contracting and data[0].ndim else 1
    result = UFUNCS[name](*data)
    return wrap(lift(result) if contracting and not data[0].shape[-1] else result)


def _masked(name: str, inputs: tuple[Any, ...], out: Any, mask: Any) -> Any:
    data = np.broadcast_arrays(*(lift(v) for v in inputs))
    where = np.broadcast_to(np.asarray(mask), data[0].shape)
    made = ExactArray(lift(out[0]).copy() if out is not None else np.full(data[0].shape, ZERO, dtype=object))
    chosen = _call(name, tuple(ExactArray(d[where]) for d in data))
    if type(chosen) is not ExactArray:
        raise NotExact(f"np.{name} with where= has no exact counterpart", "use np.where")
    made.balls_[where] = chosen.balls_
    return made


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(operator.index(a) % ndim if ndim else a for a in axes)


def joined_last(data: np.ndarray, axis: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """``data`` with the axes to fold joined into one last axis, and those axes."""
    if axis is None:
        return data.reshape(-1), tuple(range(data.ndim))
    axes = axes_of(axis, data.ndim)
    kept = [a for a in range(data.ndim) if a not in axes]
    moved = data.transpose(kept + list(axes)) if kept and kept[-1] >= len(kept) else data
    return moved.reshape([data.shape[a] for a in kept] + [math.prod(data.shape[a] for a in axes)]), axes


def fold(name: str, value: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """Reduce over ``axis`` with the ufunc ``name``; counts one rounding an entry."""
    data = lift(value)
    function, neutral = _FOLDS[name]
    if where is not True:
        if neutral is None:
            neutral = arb.neg_inf() if "max" in name else arb.pos_inf()
        data = np.where(np.broadcast_to(where, data.shape), data, neutral)
    joined, axes = joined_last(data, axis)
    if joined.shape[-1] == 0 and neutral is None and initial is None:
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    Work.steps += joined.shape[-1] if neutral is not None else 0
    start = (neutral if initial is None else lift(initial)[()],) * (neutral is not None or initial is not None)
    if joined.ndim == 1 and not keepdims:
        return wrap(functools.reduce(function, joined.tolist(), *start))
    entries = joined.reshape(-1, joined.shape[-1]).tolist() if joined.size else [[]] * math.prod(joined.shape[:-1])
    results = np.empty(len(entries), dtype=object)
    results[:] = [functools.reduce(function, row, *start) for row in entries]
    return wrap(results.reshape([1 if a in axes else n for a, n in enumerate(data.shape)] if keepdims else joined.shape[:-1]))


def _ufunc_reduce(name: str, value: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None, where: Any = True, **_: Any) -> Any:
    if name in ("logical_and", "logical_or"):
        return (np.all if name == "logical_and" else np.any)(value.astype(bool), axis=axis, keepdims=keepdims)
    if name not in _FOLDS:
        raise NotExact(f"np.{name}.reduce has no exact counterpart", _LOOP)
    return fold(name, value, axis, keepdims, None if initial is np._NoValue else initial, where)


def accumulate(name: str, value: Any, axis: Any = 0, **_: Any) -> Any:
    """``np.cumsum`` and its like."""
    if name not in _FOLDS:
        raise NotExact(f"np.{name}.accumulate has no exact counterpart", _LOOP)
    data = lift(value)
    Work.steps += data.shape[axis] if data.ndim else 1
    return wrap(lift(np.frompyfunc(_FOLDS[name][0], 2, 1).accumulate(data, axis=axis)) if data.size else data.copy())


def _ufunc_at(name: str, target: Any, indices: Any, *values: Any) -> None:
    if type(target) is not ExactArray:
        raise NotExact(f"exact values are put into a float array by np.{name}.at", outward())
    function = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}.get(name, UFUNCS.get(name))
    if not isinstance(function, np.ufunc) or function is np.matmul:
        raise NotExact(f"np.{name}.at has no exact counterpart", _LOOP)
    Work.steps += target.size
    function.at(target.balls_, indices, *(lift(v) for v in values))


def _reduceat(name: str, value: Any, indices: Any, axis: int = 0, **_: Any) -> Any:
    if name not in _FOLDS:
        raise NotExact(f"np.{name}.reduceat has no exact counterpart", _LOOP)
    data = lift(value)
    Work.steps += data.shape[axis]
    return wrap(np.frompyfunc(_FOLDS[name][0], 2, 1).reduceat(data, indices, axis=axis))
