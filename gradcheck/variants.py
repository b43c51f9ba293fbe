"""The code with one small constant changed: for which eps would the backward be right?

A backward that forgets the eps of its forward, or has it with the wrong sign or size, is the exact
derivative of a neighbouring function. Finding that function names the slip for sure. An eps is
what is added, or the bound of a maximum; a small factor, such as the slope of a leaky ReLU, is none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from types import CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Literal

import numpy as np
from flint import ctx

from gradcheck.accuracy import to_float
from gradcheck.exact.array import ExactArray, flat, lift
from gradcheck.exact.standin import MOST_LISTED, named, reachable
from gradcheck.subject import NumpyPair, Subject

SMALL_CONSTANT = 0.1
"""Constants up to this are taken for an eps."""

DEEPEST = 4
"""So many objects within objects are looked into: ``self.norm.config["eps"]`` is three deep."""

AFFINE_BITS = 256
"""Precision at which a value that is affine in a constant is told from one that bends."""

Part = Literal["forward", "backward", "both"]


@dataclass(frozen=True)
class Variation:
    """One changed constant, by other primals or by a context, in one ``part`` of the code or in both."""

    description: str
    part: Part = "forward"
    primals: Callable[[Sequence[Any]], list[Any]] = list
    active: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Constant:
    """A small constant of the code: what it is called, and how another value is put in its place."""

    name: str
    value: Any
    write: Callable[[Any], None]

    @contextmanager
    def replaced(self, other: Any) -> Iterator[None]:
        self.write(other)
        try:
            yield
        finally:
            self.write(self.value)

    def by(self, other: Any) -> Variation:
        return Variation(self.name, active=partial(self.replaced, other))


def _is_small(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and 0 < abs(float(value)) <= SMALL_CONSTANT


def _how(value: float, other: float) -> str:
    return "left out" if other == 0 else "negated" if other == -value else f"{other:g} instead"


def variations(subject: Subject, primals: Sequence[Any]) -> Iterator[Variation]:
    """Every eps (an option, a literal, a default, a global, an attribute) left out, negated or with the backward's value."""
    for k, value in enumerate(primals):
        if _is_small(value) and _is_eps(subject, primals, "both", value, partial(_option, k)):
            name = subject.arguments[k]
            for other in (0.0, -value):
                yield Variation(f"{name} {_how(value, other)}", primals=partial(_replaced, k, other))
            yield Variation(f"{name} in another place or size", "both", partial(_replaced, k, 0.0))
    if isinstance(subject, NumpyPair) and subject.backward is not None:
        backward = [c for c in constants(subject.backward) if _is_eps(subject, primals, "backward", c.value, c.by)]
        spare = [c.value for c in backward]
        for constant in constants(subject.forward):
            if not _is_eps(subject, primals, "forward", constant.value, constant.by):
                continue
            for other in dict.fromkeys((0.0, -constant.value, *spare)):
                if other != constant.value:
                    yield Variation(f"{constant.name} {_how(constant.value, other)}", active=partial(constant.replaced, other))
        for constant in backward:
            yield Variation(f"{constant.name} left out", "backward", active=partial(constant.replaced, 0.0))


def _replaced(i: int, value: Any, values: Sequence[Any]) -> list[Any]:
    return [*values[:i], value, *values[i + 1 :]]


def _option(k: int, other: Any) -> Variation:
    return Variation("", primals=partial(_replaced, k, other))


# What is an eps


FACTORS = frozenset({"multiply", "divide", "power", "float_power"})
"""The operators that take a factor or an exponent, and no eps."""


class Probe(float):
    """A constant that notes in ``uses`` which ufuncs and operators take it together with data.

    Plain numbers make another probe of it (``2 * eps``, ``1 - eps``), so that what takes that is noted.
    """

    uses: set[str]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(v, (np.ndarray, np.generic)) for v in inputs):
            self.uses.add(ufunc.__name__)
        result = getattr(ufunc, method)(*(float(v) if type(v) is Probe else v for v in inputs), **options)
        return result if any(isinstance(v, (np.ndarray, np.generic)) for v in inputs) else probe(result, self.uses)


def probe(value: Any, uses: set[str]) -> Any:
    """``value`` as a ``Probe`` if it is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    made = Probe(value)
    made.uses = uses
    return made


def _noting(method: str, ufunc: np.ufunc) -> Callable[[Probe, Any], Any]:
    plain = getattr(float, method)
    swapped = method.startswith("__r")

    def operate(self: Probe, other: Any) -> Any:
        if isinstance(other, (np.ndarray, np.generic)):
            return ufunc(other, self) if swapped else ufunc(self, other)
        if ufunc.__name__ not in FACTORS and type(other) in (int, float) and abs(other) not in (0, 1):
            self.uses.add(ufunc.__name__)
        return probe(plain(self, other), self.uses)

    return operate


def _passing(method: str) -> Callable[[Probe], Any]:
    plain = getattr(float, method)
    return lambda self: probe(plain(self), self.uses)


for _name, _ufunc in (
    ("__add__", np.add), ("__radd__", np.add), ("__sub__", np.subtract), ("__rsub__", np.subtract),
    ("__mul__", np.multiply), ("__rmul__", np.multiply), ("__truediv__", np.divide), ("__rtruediv__", np.divide),
    ("__pow__", np.power), ("__rpow__", np.power),
    ("__lt__", np.less), ("__le__", np.less_equal), ("__gt__", np.greater), ("__ge__", np.greater_equal),
):  # fmt: skip
    setattr(Probe, _name, _noting(_name, _ufunc))
for _name in ("__neg__", "__pos__", "__abs__"):
    setattr(Probe, _name, _passing(_name))


def _is_eps(subject: Subject, primals: Sequence[Any], part: Part, value: Any, by: Callable[[Any], Variation]) -> bool:
    """Whether the constant is added or a bound, as far as can be told: by what takes it, or else by what comes out."""
    uses: set[str] = set()
    with suppress(Exception), np.errstate(all="ignore"):
        floats = [to_float(lift(p)) if type(p) is ExactArray else p for p in primals]
        _results(subject, floats, part, by(probe(float(value), uses)))
    return not uses <= FACTORS if uses else not _is_affine(subject, primals, part, value, by)


def _is_affine(subject: Subject, primals: Sequence[Any], part: Part, value: Any, by: Callable[[Any], Variation]) -> bool:
    """Whether all that is computed is affine in the constant, as it is in a slope that ``np.where`` chooses."""
    try:
        with ctx.workprec(AFFINE_BITS):
            half, one, two = (flat(_results(subject, primals, part, by(s * float(value)))) for s in (0.5, 1.0, 2.0))
            return all(bool((c - b - 2 * (b - a)).contains(0)) for a, b, c in zip(half, one, two, strict=True))
    except Exception:
        return False


def _results(subject: Subject, primals: Sequence[Any], part: Part, variation: Variation) -> list[Any]:
    with variation.active():
        changed = variation.primals(primals)
        outputs = subject.value(changed)
        if part == "forward":
            return list(outputs)
        gradients = [g for g in subject.gradient([np.ones_like(o) for o in outputs], changed, outputs) if g is not None]
        return gradients if part == "backward" else [*outputs, *gradients]


# Where constants stand


Write = Callable[[Any], None]


def constants(root: Callable[..., Any]) -> Iterator[Constant]:
    """The small constants of every function that ``root`` may run, and of the objects that they hold."""
    functions = list(reachable((root,)))
    search = _Search(frozenset(word for function in functions for word in _words(function.__code__)))
    for function in functions:
        yield from _literals(function.__code__, partial(setattr, function, "__code__"))
        yield from _of_defaults(function, search)
        for place, name, value in named(function):
            if (id(place), name) not in search.seen:
                search.seen.add((id(place), name))
                yield from _of_name(function, place, name, value, search)
    yield from search.within("", root, _nowhere)


def _nowhere(value: Any) -> None:
    raise TypeError("what is called is no constant")


def _words(code: CodeType) -> Iterator[str]:
    """The names and strings in ``code``: an attribute that is none of them is not read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _words(constant)


def _literals(value: Any, write: Write) -> Iterator[Constant]:
    """Of a code object: its own, those in tuples, and those of the functions that it makes."""
    if _is_small(value):
        yield Constant(f"the constant {value!r}", value, write)
    elif isinstance(value, CodeType):
        yield from _literals(value.co_consts, lambda consts: write(value if consts is value.co_consts else value.replace(co_consts=consts)))
    elif type(value) is tuple:
        for i, v in enumerate(value):
            yield from _literals(v, partial(_write_item, value, i, write))


def _write_item(values: Any, i: int, write: Write, other: Any) -> None:
    """Put a tuple with ``other`` in it in the place of ``values``; of the old item, ``values`` themselves."""
    if other is values[i]:
        write(values)
    else:
        changed = _replaced(i, other, values)
        write(tuple(changed) if type(values) is tuple else type(values)(*changed))


def _of_defaults(function: FunctionType, search: _Search) -> Iterator[Constant]:
    defaults, options = function.__defaults__ or (), function.__kwdefaults__ or {}
    for i, value in enumerate(defaults):
        put = partial(_write_item, defaults, i, partial(setattr, function, "__defaults__"))
        yield from search.within(f"the default {value!r}" if _is_small(value) else "the default", value, put)
    for name, value in options.items():
        label = f"the default {name}={value!r}" if _is_small(value) else f"the default {name}"
        yield from search.within(label, value, partial(options.__setitem__, name))


def _of_name(function: FunctionType, place: dict[str, Any] | CellType, name: str, value: Any, search: _Search) -> Iterator[Constant]:
    if isinstance(place, CellType):
        cells = function.__closure__ or ()
        label = next(n for n, cell in zip(function.__code__.co_freevars, cells, strict=True) if cell is place)
        yield from search.within(label, value, partial(setattr, place, "cell_contents"))
    else:
        yield from search.within(name, value, partial(place.__setitem__, name))


LIBRARIES = frozenset({"numpy", "scipy", "torch", "flint", "hypothesis", "builtins"})


def _of_library(module: Any) -> bool:
    return str(module).partition(".")[0] in LIBRARIES


@dataclass
class _Search:
    """The small constants within objects; ``words`` are the attributes that count, ``seen`` what has been looked at."""

    words: frozenset[str]
    seen: set[Any] = field(default_factory=set)

    def within(self, name: str, value: Any, write: Write, depth: int = 0) -> Iterator[Constant]:
        if _is_small(value):
            yield Constant(name, value, write)
            return
        if depth > DEEPEST or id(value) in self.seen:
            return
        if not isinstance(value, tuple):
            self.seen.add(id(value))
        for label, held, put in self._held(value, write):
            yield from self.within((name + label).removeprefix("."), held, put, depth + 1)

    def _held(self, value: Any, write: Write) -> Iterator[tuple[str, Any, Write]]:
        """What ``value`` holds: the label of each, itself, and how another is put in its place."""
        if isinstance(value, (dict, list, tuple)):
            yield from _items(value, write) if len(value) <= MOST_LISTED else ()
        elif isinstance(value, functools.partial):
            yield from _given(value)
        elif isinstance(value, MethodType):
            yield "", value.__self__, _nowhere
        elif isinstance(value, type):
            for cls in value.__mro__:
                if not _of_library(cls.__module__):
                    yield from ((f".{n}", v, partial(setattr, cls, n)) for n, v in list(vars(cls).items()) if n in self.words)
        elif isinstance(value, ModuleType):
            if not _of_library(value.__name__):
                yield from self._attributes(value)
        elif not isinstance(value, FunctionType) and not _of_library(type(value).__module__):
            yield from self._attributes(value)
            yield from self._slots(value)
            yield "", type(value), _nowhere

    def _attributes(self, value: Any) -> Iterator[tuple[str, Any, Write]]:
        held = getattr(value, "__dict__", {})
        yield from ((f".{n}", v, partial(held.__setitem__, n)) for n, v in list(held.items()) if n in self.words)

    def _slots(self, value: Any) -> Iterator[tuple[str, Any, Write]]:
        for cls in type(value).__mro__:
            for name, slot in vars(cls).items():
                if isinstance(slot, MemberDescriptorType) and name in self.words:
                    with suppress(AttributeError):  # a slot that is still empty
                        yield f".{name}", slot.__get__(value), partial(slot.__set__, value)


def _items(value: Any, write: Write) -> Iterator[tuple[str, Any, Write]]:
    if isinstance(value, dict):
        yield from ((f"[{k!r}]", v, partial(value.__setitem__, k)) for k, v in list(value.items()))
    elif isinstance(value, list):
        yield from ((f"[{i}]", v, partial(value.__setitem__, i)) for i, v in enumerate(value))
    else:
        labels = [f".{n}" for n in getattr(value, "_fields", ())] or [f"[{i}]" for i in range(len(value))]
        yield from ((label, v, partial(_write_item, value, i, write)) for i, (label, v) in enumerate(zip(labels, value, strict=True)))


def _given(value: functools.partial[Any]) -> Iterator[tuple[str, Any, Write]]:
    """What a partial function brings along, and what it calls."""

    def write(arguments: tuple[Any, ...]) -> None:
        value.__setstate__((value.func, arguments, value.keywords, vars(value) or None))  # type: ignore[attr-defined]

    arguments = value.args
    yield from ((f"[{i}]", v, partial(_write_item, arguments, i, write)) for i, v in enumerate(arguments))
    yield from ((f".{n}", v, partial(value.keywords.__setitem__, n)) for n, v in list(value.keywords.items()))
    yield "", value.func, _nowhere
