"""What takes the place of ``numpy``, ``scipy.special`` and ``math`` in the code under test.

Exact arrays answer for themselves wherever they are an argument. What is left are functions
that make floats out of nothing: ``np.zeros`` (a buffer that exact values are to be written
into), ``np.sqrt(2)``, ``math.pi``. While a computation is exact, the globals of every function
that it can reach name stand-ins that make exact arrays instead.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from gradcheck.exact import balls
from gradcheck.exact.names import STAND_INS, StandIn
from gradcheck.exact.vectorized import Vectorized

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
    elif isinstance(value, np.vectorize):
        yield from _functions(value.pyfunc)
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
            if id(value) in STAND_INS:
                found.append((place, name, STAND_INS[id(value)]))
            elif type(value) is np.vectorize:
                found.append((place, name, Vectorized.of(value)))
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
            elif id(value) not in STAND_INS:
                todo.extend(_functions(value))


class standing_in:
    """Put the stand-ins in place for the duration; not for use by several threads at once."""

    __slots__ = ("before", "found")

    def __init__(self, found: list[Place]) -> None:
        self.found = found
        self.before: list[Any] = []

    def __enter__(self) -> None:
        for place, name, made in self.found:
            self.before.append(place.cell_contents if isinstance(place, CellType) else place[name])
            _put(place, name, made)

    def __exit__(self, *_: object) -> None:
        while self.before:
            place, name, _made = self.found[len(self.before) - 1]
            _put(place, name, self.before.pop())


def _put(place: dict[str, Any] | CellType, name: str, value: Any) -> None:
    if isinstance(place, CellType):
        place.cell_contents = value
    else:
        place[name] = value


__all__ = ["StandIn", "balls", "named", "places", "reachable", "standing_in"]
