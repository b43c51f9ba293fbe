"""The code with one small constant changed: for which eps would the backward be right?

A backward that forgets the eps of its forward, or has it with the wrong sign or size, is the exact
derivative of a neighbouring function. Finding that function names the slip for sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import CellType, FunctionType
from typing import Any, Literal

from gradcheck.exact.standin import named, reachable
from gradcheck.subject import NumpyPair, Subject

SMALL_CONSTANT = 1e-2
"""Constants up to this are taken for an eps."""

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
    value: float
    write: Callable[[float], None]

    @contextmanager
    def replaced(self, other: float) -> Iterator[None]:
        self.write(other)
        try:
            yield
        finally:
            self.write(self.value)


def _is_small(value: Any) -> bool:
    return type(value) is float and 0 < abs(value) <= SMALL_CONSTANT


def _how(value: float, other: float) -> str:
    return "left out" if other == 0 else "negated" if other == -value else f"{other:g} instead"


def variations(subject: Subject, primals: Sequence[Any]) -> Iterator[Variation]:
    """Every small constant (an option, a literal, a default, a global, an attribute) left out, negated or with the backward's value."""
    for k, value in enumerate(primals):
        if _is_small(value):
            name = subject.arguments[k]
            for other in (0.0, -value):
                yield Variation(f"{name} {_how(value, other)}", primals=partial(_replaced, k, other))
            yield Variation(f"{name} in another place or size", "both", partial(_replaced, k, 0.0))
    if isinstance(subject, NumpyPair):
        backward = list(constants(subject.backward))
        spare = [c.value for c in backward]
        for constant in constants(subject.forward):
            for other in dict.fromkeys((0.0, -constant.value, *spare)):
                if other != constant.value:
                    yield Variation(f"{constant.name} {_how(constant.value, other)}", active=partial(constant.replaced, other))
        for constant in backward:
            yield Variation(f"{constant.name} left out", "backward", active=partial(constant.replaced, 0.0))


def _replaced(i: int, value: Any, values: Sequence[Any]) -> list[Any]:
    return [*values[:i], value, *values[i + 1 :]]


def constants(root: Callable[..., Any]) -> Iterator[Constant]:
    """The small constants of every function that ``root`` may run, and of the object that it belongs to."""
    seen: set[tuple[int, str]] = set()
    for function in reachable((root,)):
        yield from _of_code(function)
        yield from _of_defaults(function)
        for place, name, value in named(function):
            if _is_small(value) and (id(place), name) not in seen:
                seen.add((id(place), name))
                yield _of_name(function, place, name, value)
    yield from _of_owner(getattr(root, "__self__", None if isinstance(root, FunctionType) else root))


def _of_code(function: FunctionType) -> Iterator[Constant]:
    code = function.__code__

    def write(i: int, value: float) -> None:
        given = code.co_consts[i]
        function.__code__ = code if value == given else code.replace(co_consts=tuple(_replaced(i, value, code.co_consts)))

    yield from (Constant(f"the constant {v!r}", v, partial(write, i)) for i, v in enumerate(code.co_consts) if _is_small(v))


def _of_defaults(function: FunctionType) -> Iterator[Constant]:
    defaults, options = function.__defaults__ or (), function.__kwdefaults__ or {}

    def write(i: int, value: float) -> None:
        function.__defaults__ = tuple(_replaced(i, value, defaults))

    yield from (Constant(f"the default {v!r}", v, partial(write, i)) for i, v in enumerate(defaults) if _is_small(v))
    yield from (Constant(f"the default {n}={v!r}", v, partial(options.__setitem__, n)) for n, v in options.items() if _is_small(v))


def _of_name(function: FunctionType, place: dict[str, Any] | CellType, name: str, value: float) -> Constant:
    if isinstance(place, CellType):
        cells = function.__closure__ or ()
        label = next(n for n, cell in zip(function.__code__.co_freevars, cells, strict=True) if cell is place)
        return Constant(label, value, partial(setattr, place, "cell_contents"))
    return Constant(name, value, partial(place.__setitem__, name))


def _of_owner(owner: Any) -> Iterator[Constant]:
    """Attributes of an object, and of its classes."""
    held = [] if owner is None else [owner, *type(owner).__mro__] if not isinstance(owner, type) else list(owner.__mro__)
    for holder in held:
        for name, value in list(getattr(holder, "__dict__", {}).items()):
            if _is_small(value):
                yield Constant(name, value, partial(setattr, holder, name))
