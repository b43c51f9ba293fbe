"""What takes the place of ``numpy``, ``scipy.special`` and ``math`` in the code under test.

Exact arrays answer for themselves wherever they are an argument. What is left are functions
that make floats out of nothing: ``np.zeros`` (a buffer that exact values are to be written
into), ``np.sqrt(2)``, ``math.pi``. While a computation is exact, the globals of every function
that it can reach name stand-ins that make exact arrays instead.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import scipy
import scipy.special
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, exact, lift, wrap
from gradcheck.exact.functions import fold


class StandIn(ModuleType):
    """A module with some of its names replaced; the rest are the original's."""

    def __init__(self, original: ModuleType, names: dict[str, Any], constants: dict[str, Callable[[], arb]]) -> None:
        super().__init__(original.__name__)
        self.__dict__.update(names)
        self._original, self._constants = original, constants

    def __getattr__(self, name: str) -> Any:
        if name in self._constants:
            return wrap(self._constants[name]())
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

    return apply


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function such as ``np.sum`` that also takes a list of exact values for an array."""

    @functools.wraps(function)
    def apply(*args: Any, **kwargs: Any) -> Any:
        return function(*(exact(a) if isinstance(a, list) and _holds_exact(a) else a for a in args), **kwargs)

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
    terms = np.exp(a) if b is None else np.exp(a) * b
    total = fold("add", terms, axis, keepdims)
    return (np.log(abs(total)), np.sign(total)) if return_sign else np.log(total)


def _softmax(x: Any, axis: Any = None) -> Any:
    e = np.exp(x)
    return e / fold("add", e, axis, True)


def _log_softmax(x: Any, axis: Any = None) -> Any:
    return x - _logsumexp(x, axis, keepdims=True)


def _math(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Any) -> Any:
        return function(*(exact(a) if isinstance(a, (int, float)) else a for a in args))

    return apply


_TRANSCENDENTAL = (
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "reciprocal",
)  # fmt: skip
_LISTED = (
    "sum", "mean", "prod", "max", "min", "amax", "amin", "var", "std", "dot", "argmax", "argmin", "cumsum", "sort", "where",
)  # fmt: skip
_RENAMED = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "pow": "power", "fabs": "abs", "hypot": "hypot", "atan2": "arctan2",
}  # fmt: skip
_FACTORIES = ("zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "tri")
_SPECIAL = ("expit", "erf", "erfc", "logit", "log_ndtr", "ndtr", "gammaln", "gamma", "log_expit")
_CONSTANTS = {"pi": arb.pi, "e": arb.const_e, "euler_gamma": arb.const_euler, "tau": lambda: 2 * arb.pi()}

_numpy_names: dict[str, Any] = {
    **{name: _maker(getattr(np, name)) for name in _FACTORIES},
    **{name: _constant(getattr(np, name)) for name in _TRANSCENDENTAL},
    "array": _array, "asarray": _as_array, "asanyarray": _as_array, "ascontiguousarray": _as_array, "asfortranarray": _as_array,
    "full": _full,
    **{name: _liked(getattr(np, name)) for name in ("zeros_like", "ones_like", "empty_like", "full_like")},
    **{name: _listed(getattr(np, name)) for name in _LISTED},
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
    "fsum": lambda xs: sum(xs, exact(0.0)), "copysign": _math(np.copysign),
}  # fmt: skip

_special = StandIn(scipy.special, _special_names, {})
_STAND_INS: dict[int, Any] = {
    id(np): StandIn(np, _numpy_names, _CONSTANTS),
    id(scipy.special): _special,
    id(scipy): StandIn(scipy, {"special": _special}, {}),
    id(math): StandIn(math, _math_names, _CONSTANTS),
    **{id(getattr(np, name)): made for name, made in _numpy_names.items()},
    **{id(getattr(scipy.special, name)): made for name, made in _special_names.items()},
    **{id(getattr(math, name)): made for name, made in _math_names.items()},
}

_FOREIGN = frozenset({"numpy", "scipy", "flint", "torch", "hypothesis", "pytest", "builtins"}) | sys.stdlib_module_names


def ours_or_foreign(module: str) -> bool:
    root = module.partition(".")[0]
    return (root in _FOREIGN and module != "__main__") or (root == "gradcheck" and not module.startswith("gradcheck.specs"))


MOST_LISTED = 256
"""Longer lists and tables hold data, not functions."""


def _functions(value: Any) -> Iterator[FunctionType]:
    """The Python functions that calling ``value`` may run."""
    if isinstance(value, FunctionType):
        yield value
        if hasattr(value, "__wrapped__"):
            yield from _functions(value.__wrapped__)
    elif isinstance(value, MethodType):
        yield from _functions(value.__func__)
        yield from _functions(value.__self__ if isinstance(value.__self__, type) else type(value.__self__))
    elif isinstance(value, functools.partial):
        yield from _functions(value.func)
    elif isinstance(value, type):
        for attribute in [a for base in value.__mro__ if not ours_or_foreign(base.__module__) for a in vars(base).values()]:
            inner = attribute.__func__ if isinstance(attribute, (classmethod, staticmethod)) else attribute
            inner = inner.fget if isinstance(inner, property) else inner.func if isinstance(inner, functools.cached_property) else inner
            if isinstance(inner, FunctionType):
                yield inner
    elif isinstance(value, (dict, list, tuple)):
        if len(value) <= MOST_LISTED:
            for entry in value.values() if isinstance(value, dict) else value:
                if callable(entry):
                    yield from _functions(entry)
    elif isinstance(getattr(value, "forward", None), FunctionType):
        yield value.forward
    elif callable(value) and not isinstance(value, np.ufunc):
        yield from _functions(type(value))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


Place = tuple[dict[str, Any] | CellType, str, Any]


def places(roots: Iterable[Any]) -> list[Place]:
    """Every global name and closure cell, in all that ``roots`` can reach, to be replaced."""
    found: list[Place] = []
    for function in reachable(roots):
        for place, name, value in named(function):
            if id(value) in _STAND_INS:
                found.append((place, name, _STAND_INS[id(value)]))
    return found


def named(function: FunctionType) -> Iterator[Place]:
    """What the global names and the closure cells of ``function`` stand for."""
    for name in dict.fromkeys(_names(function.__code__)):
        if name in function.__globals__:
            yield function.__globals__, name, function.__globals__[name]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a cell that is still empty
            yield cell, "", cell.cell_contents


def reachable(roots: Iterable[Any]) -> Iterator[FunctionType]:
    """Every Python function, neither ours nor a library's, that calling ``roots`` may run."""
    seen: set[tuple[int, ...]] = set()
    todo = [f for root in roots for f in _functions(root)]
    while todo:
        function = todo.pop()
        key = (id(function.__code__), id(function.__globals__), *(id(cell) for cell in function.__closure__ or ()))
        if key in seen or ours_or_foreign(function.__module__ or ""):
            continue
        seen.add(key)
        yield function
        for _, _, value in named(function):
            if isinstance(value, ModuleType) and not ours_or_foreign(value.__name__):
                todo.extend(f for v in list(vars(value).values()) for f in _functions(v) if callable(v))
            elif id(value) not in _STAND_INS:
                todo.extend(_functions(value))


@contextmanager
def standing_in(found: list[Place]) -> Iterator[None]:
    """Put the stand-ins in place for the duration; not for use by several threads at once."""
    before: list[Any] = []
    for place, name, made in found:
        before.append(place.cell_contents if isinstance(place, CellType) else place[name])
        _put(place, name, made)
    try:
        yield
    finally:
        for (place, name, _), value in zip(reversed(found), reversed(before), strict=True):
            _put(place, name, value)


def _put(place: dict[str, Any] | CellType, name: str, value: Any) -> None:
    if isinstance(place, CellType):
        place.cell_contents = value
    else:
        place[name] = value


__all__ = ["StandIn", "balls", "named", "places", "reachable", "standing_in"]
