"""Functions of NumPy whose own code runs on exact arrays, once what it makes floats with is replaced in a copy of it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_NAMES = """
    interp piecewise gradient trapezoid cov corrcoef ptp unwrap vander ediff1d apply_along_axis apply_over_axes polyval
    polyadd polysub polyder polyint fix isposinf isneginf flatnonzero tril_indices_from triu_indices_from trim_zeros
    nansum nanprod nanmax nanmin nanargmax nanargmin nancumsum nancumprod cumulative_sum cumulative_prod real_if_close unstack astype
    linalg.matrix_power linalg.vector_norm linalg.matrix_norm linalg.cross linalg.outer linalg.trace linalg.diagonal
    linalg.matmul linalg.matrix_transpose linalg.tensordot linalg.vecdot
"""


def _found(name: str) -> Iterator[Callable[..., Any]]:
    """The function of NumPy of that name, if this NumPy has it."""
    with suppress(AttributeError):
        yield operator.attrgetter(name)(np)


BORROWED = tuple(function for name in _NAMES.split() for function in _found(name))


def borrow(function: Callable[..., Any], replaced: Mapping[int, Any]) -> Callable[..., Any]:
    """A function of NumPy that runs a copy of its code, made when first called; ``replaced`` is by the ``id`` of what it replaces."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not made:
            made.append(_copied(getattr(function, "_implementation", function), replaced, {}))
        return made[0](*args, **kwargs)

    made: list[Callable[..., Any]] = []
    return run


def _copied(function: Any, replaced: Mapping[int, Any], known: dict[int, Any]) -> Any:
    """A copy of a Python function, and of those of NumPy that it calls by name, that sees what is ``replaced``."""
    if id(function) in known:
        return known[id(function)]
    names = dict(function.__globals__)
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    known[id(function)] = copy
    for name in _names(function.__code__) & names.keys():
        names[name] = _seen(names[name], replaced, known)
    return copy


def _seen(value: Any, replaced: Mapping[int, Any], known: dict[int, Any]) -> Any:
    if id(value) in replaced:
        return replaced[id(value)]
    ours = (getattr(value, "__module__", None) or getattr(value, "__name__", "") or "").startswith("numpy")
    if isinstance(value, ModuleType) and value.__name__.startswith("numpy"):
        return replaced[id(np)].over(value)
    return _copied(value, replaced, known) if isinstance(value, FunctionType) and ours else value


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))
