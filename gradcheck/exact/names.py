"""The names of ``numpy``, ``scipy.special`` and ``math`` that make floats out of nothing, and what makes exact arrays instead."""

from __future__ import annotations

import dis
import functools
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import scipy
import scipy.special
from flint import arb

from gradcheck.exact.array import ExactArray, entries, exact, lift, wrap
from gradcheck.exact.borrowed import BORROWED, borrow
from gradcheck.exact.errors import NotExact
from gradcheck.exact.ordering import interpolate
from gradcheck.exact.registry import FUNCTIONS
from gradcheck.exact.ufuncs import fold
from gradcheck.exact.vectorized import Vectorized


class StandIn(ModuleType):
    """A module with some of its names replaced; the rest are the original's."""

    def __init__(self, original: ModuleType, names: dict[str, Any], constants: dict[str, Callable[[], arb]]) -> None:
        super().__init__(original.__name__)
        self.__dict__.update(names)
        self._original, self._names, self._constants = original, names, constants

    def over(self, original: ModuleType) -> StandIn:
        """The same names in place of those of another module."""
        return StandIn(original, self._names, self._constants)

    def __getattr__(self, name: str) -> Any:
        if name in self._constants:
            return wrap(self._constants[name]())
        if name in _CONVERSIONS and _called((frame := sys._getframe(1)).f_code, frame.f_lasti):
            return _CONVERSIONS[name]
        return getattr(self._original, name)


def _floating(dtype: Any) -> bool:
    return dtype is None or np.dtype(dtype).kind == "f"


def _holds_exact(value: Any) -> bool:
    return type(value) is ExactArray or (isinstance(value, (list, tuple)) and any(_holds_exact(v) for v in value))


def _array(value: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **_: Any) -> Any:
    """``np.array``: exact where the result would be floating, an ordinary array where not."""
    if not _holds_exact(value):
        made = np.array(value, dtype=dtype, ndmin=ndmin)
        return exact(made) if made.dtype.kind == "f" else made
    data = value if type(value) is ExactArray and not copy and (value.ndim or value.flags.writeable) else exact(value)
    data = wrap(data.balls_.reshape((1,) * (ndmin - data.ndim) + data.shape)) if data.ndim < ndmin else data
    return data if _floating(dtype) else data.astype(dtype)


def _as_array(value: Any, dtype: Any = None, **_: Any) -> Any:
    return _array(value, dtype, copy=False)


def _maker(function: Callable[..., Any]) -> Callable[..., Any]:
    """A factory of arrays, such as ``np.zeros``, whose floating results are exact."""

    @functools.wraps(function)
    def make(*args: Any, **kwargs: Any) -> Any:
        made = function(*(_plain(a) for a in args), **kwargs)
        if isinstance(made, tuple):  # np.linspace with retstep
            return tuple(map(_array, made))
        return exact(made) if made.dtype.kind == "f" else made

    return make


def _plain(value: Any) -> Any:
    return int(value) if type(value) is ExactArray and value.ndim == 0 and value._only().is_integer() else value


def _full(shape: Any, fill_value: Any, dtype: Any = None, **_: Any) -> Any:
    if not _floating(dtype) or (dtype is None and np.asarray(fill_value if type(fill_value) is not ExactArray else 0.0).dtype.kind != "f"):
        return np.full(shape, fill_value, dtype=dtype)
    return ExactArray(np.broadcast_to(lift(fill_value), shape).copy())


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function such as ``np.sqrt``, exact on plain numbers too: a constant is not rounded."""

    @functools.wraps(function)
    def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
        plain = (type(x) is not ExactArray and isinstance(x, (int, float, np.number, np.ndarray))) or (
            isinstance(x, list) and _holds_exact(x)
        )
        return function(exact(x) if plain else x, *args, **kwargs)

    if isinstance(function, np.ufunc):
        apply.at = function.at  # type: ignore[attr-defined]
    return apply


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function such as ``np.sum`` that also takes a list of exact values for an array."""

    def listed(value: Any) -> Any:
        return exact(value) if isinstance(value, list) and _holds_exact(value) else value

    @functools.wraps(function)
    def apply(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and type(args[0]) is ExactArray and function in FUNCTIONS:
            return FUNCTIONS[function](*args, **kwargs)  # where NumPy would come by itself
        return function(*map(listed, args), **{k: listed(v) for k, v in kwargs.items()})

    return apply


def _liked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A factory such as ``np.zeros_like``, whose floating results are exact."""

    @functools.wraps(function)
    def make(*args: Any, **kwargs: Any) -> Any:
        if any(type(a) is ExactArray for a in args[1:]) and np.result_type(args[0]).kind == "f":
            args = (exact(args[0]), *args[1:])
        made = function(*args, **kwargs)
        return exact(made) if type(made) is not ExactArray and made.dtype.kind == "f" else made

    return make


def _logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    terms = np.exp(wrap(lift(a)))
    terms = terms if b is None else terms * b
    total = fold("add", terms, axis, keepdims)
    return (np.log(abs(total)), np.sign(total)) if return_sign else np.log(total)


def _softmax(x: Any, axis: Any = None) -> Any:
    e = np.exp(wrap(lift(x)))
    return e / fold("add", e, axis, True)


def _log_softmax(x: Any, axis: Any = None) -> Any:
    return wrap(lift(x)) - _logsumexp(x, axis, keepdims=True)


def _as_strided(x: Any, shape: Any = None, strides: Any = None, subok: bool = False, *, writeable: bool = True, **_: Any) -> Any:
    """``as_strided`` in bytes of floats; what no array of the code under test owns is not looked at."""
    if type(x) is not ExactArray:
        return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=writeable)
    if strides is not None and any(s % x.itemsize for s in strides):
        raise NotExact("as_strided cuts an exact value in parts")
    data = x.balls_
    wide = None if strides is None else [s // x.itemsize * data.itemsize for s in strides]
    made = np.lib.stride_tricks.as_strided(data, shape, wide, writeable=writeable and data.flags.writeable)
    owner: Any = data
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    (low, high), (least, most) = np.lib.array_utils.byte_bounds(made), np.lib.array_utils.byte_bounds(owner)
    if made.size and not least <= low <= high <= most:
        raise NotExact("as_strided looks beyond the memory of its array")
    return wrap(made)


def _from_iterable(iterable: Iterable[Any], dtype: Any, count: int = -1, **_: Any) -> Any:
    return _array(list(iterable if count < 0 else itertools.islice(iterable, count)), dtype)


def _enumerated(arr: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    array = arr if isinstance(arr, np.ndarray) else _array(arr)
    return ((i, array[i]) for i in np.ndindex(array.shape))


def _broadcast(*arrays: Any) -> np.broadcast:
    return np.broadcast(*(entries(a) if type(a) is ExactArray else a for a in arrays))


@functools.lru_cache(maxsize=4096)
def _called(code: CodeType, at: int) -> bool:
    """Whether the attribute that the instruction ``at`` loads is called, as in ``np.float64(x)``."""
    steps = list(dis.get_instructions(code))
    i = next((i for i, step in enumerate(steps) if step.offset == at), 0)
    if steps[i].opname == "LOAD_METHOD" or "NULL" in steps[i].argrepr:
        return True
    before = "NULL" in steps[i - 1].argrepr or steps[i - 2].opname == "PUSH_NULL"
    return steps[i + 1].opname == "PUSH_NULL" or (before and steps[i + 1].opname != "LOAD_ATTR")


def _conversion(kind: Callable[..., Any]) -> Callable[..., Any]:
    """``np.float64``, say, that leaves exact values exact."""
    return lambda value=0.0: _array(value)[()] if _holds_exact(value) else kind(value)


def _close(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> bool:
    a, b = exact(a), exact(b)
    return bool(abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol))


class _Converter:
    """What NumPy's own code turns its arguments into arrays with."""

    def __init__(self, *values: Any) -> None:
        self.arrays = tuple(_as_array(v) for v in values)

    def __getitem__(self, i: Any) -> Any:
        return self.arrays[i]

    def as_arrays(self, **_: Any) -> tuple[Any, ...]:
        return self.arrays

    def wrap(self, array: Any, **_: Any) -> Any:
        return array


def _math(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Any) -> Any:
        return function(*(exact(a) if isinstance(a, (int, float)) else a for a in args))

    return apply


_TRANSCENDENTAL = (
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "reciprocal",
)  # fmt: skip
_LISTED = (
    "sum", "mean", "prod", "max", "min", "amax", "amin", "var", "std", "dot", "argmax", "argmin", "cumsum", "cumprod", "sort", "where",
    "argsort", "median", "quantile", "percentile", "average", "unique", "ptp", "diff", "bincount", "interp", "trapezoid", "gradient",
    "clip", "outer", "inner", "cross", "convolve", "polyval", "searchsorted",
)  # fmt: skip
_RENAMED = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "pow": "power", "fabs": "abs", "atan2": "arctan2", "fmod": "fmod", "modf": "modf", "radians": "radians", "degrees": "degrees",
}  # fmt: skip
_FACTORIES = ("zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "tri")
_SPECIAL = ("expit", "erf", "erfc", "logit", "log_ndtr", "ndtr", "gammaln", "gamma", "log_expit")
_CONVERSIONS = {name: _conversion(getattr(np, name)) for name in ("float64", "float32", "float16")}
"""Types that are functions where they are called, and themselves elsewhere."""
_CONSTANTS = {"pi": arb.pi, "e": arb.const_e, "euler_gamma": arb.const_euler, "tau": lambda: 2 * arb.pi()}

_numpy_names: dict[str, Any] = {
    **{name: _maker(getattr(np, name)) for name in _FACTORIES},
    **{name: _constant(getattr(np, name)) for name in _TRANSCENDENTAL},
    "array": _array, "asarray": _as_array, "asanyarray": _as_array, "ascontiguousarray": _as_array, "asfortranarray": _as_array,
    "full": _full,
    **{name: _liked(getattr(np, name)) for name in ("zeros_like", "ones_like", "empty_like", "full_like")},
    **{name: _listed(getattr(np, name)) for name in _LISTED},
    "fromiter": _from_iterable, "ndenumerate": _enumerated, "broadcast": _broadcast, "vectorize": Vectorized,
}  # fmt: skip
_special_names: dict[str, Any] = {
    "logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax,
    **{name: _constant(getattr(scipy.special, name)) for name in _SPECIAL},
}  # fmt: skip
_math_names: dict[str, Any] = {
    **{name: _math(getattr(np, name)) for name in _TRANSCENDENTAL if hasattr(math, name)},
    **{name: _math(getattr(np, ours)) for name, ours in _RENAMED.items()},
    "erf": _math(scipy.special.erf), "erfc": _math(scipy.special.erfc),
    "lgamma": _math(scipy.special.gammaln), "gamma": _math(scipy.special.gamma),
    "log": lambda x, base=None: np.log(exact(x)) if base is None else np.log(exact(x)) / np.log(exact(base)),
    "floor": lambda x: int(np.floor(x)), "ceil": lambda x: int(np.ceil(x)), "trunc": int,
    "isnan": lambda x: bool(np.isnan(x)), "isinf": lambda x: bool(np.isinf(x)), "isfinite": lambda x: bool(np.isfinite(x)),
    "fsum": lambda xs: sum(xs, exact(0.0)), "copysign": _math(np.copysign), "isclose": _close,
    "hypot": lambda *xs: np.sqrt(sum((exact(x) ** 2 for x in xs), exact(0.0))),
    "dist": lambda p, q: np.sqrt(sum(((exact(a) - b) ** 2 for a, b in zip(p, q, strict=True)), exact(0.0))),
}  # fmt: skip

_stride_tricks = StandIn(np.lib.stride_tricks, {"as_strided": _as_strided}, {})
_numpy_names["lib"] = StandIn(np.lib, {"stride_tricks": _stride_tricks}, {})
_special = StandIn(scipy.special, _special_names, {})
STAND_INS: dict[int, Any] = {
    id(np): StandIn(np, _numpy_names, _CONSTANTS),
    id(np.lib.stride_tricks): _stride_tricks,
    id(np.lib.stride_tricks.as_strided): _as_strided,
    id(scipy.special): _special,
    id(scipy): StandIn(scipy, {"special": _special}, {}),
    id(math): StandIn(math, _math_names, _CONSTANTS),
    **{id(getattr(np, name)): made for name, made in _numpy_names.items()},
    **{id(getattr(scipy.special, name)): made for name, made in _special_names.items()},
    **{id(getattr(math, name)): made for name, made in _math_names.items()},
}

# What NumPy's own code sees beside: the compiled parts of it, and a division of numbers that does not round.
_private: Any = np
_SEEN = {
    **STAND_INS,
    id(_private.interp.__wrapped__.__globals__["compiled_interp"]): interpolate,
    id(_private._core._multiarray_umath._array_converter): _Converter,
    id(np.true_divide): lambda a, b, **options: np.true_divide(exact(a), b, **options),
}
FUNCTIONS |= {function: borrow(function, _SEEN) for function in BORROWED}
Vectorized.array = staticmethod(_array)
Vectorized._vectorize_call_with_signature = borrow(_private.vectorize._vectorize_call_with_signature, _SEEN)  # type: ignore[attr-defined]
for _name in ("r_", "c_"):
    _kind = type(getattr(np, _name))
    _joins = type(_kind.__name__, (_kind,), {"__getitem__": borrow(_kind.__getitem__, _SEEN)})()
    _numpy_names[_name] = STAND_INS[id(getattr(np, _name))] = _joins
STAND_INS[id(np)] = StandIn(np, _numpy_names, _CONSTANTS)
