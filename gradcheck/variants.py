"""The forward with one small constant changed: for which eps would the backward be right?

A backward that forgets the eps of its forward, or has it with the wrong sign, is the exact
derivative of a neighbouring function. Finding that function names the slip for sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from gradcheck.exact.array import ExactArray
from gradcheck.exact.standin import standing_in
from gradcheck.subject import NumpyPair, Subject, outputs_of

SMALL_CONSTANT = 1e-2
"""Constants up to this are taken for an eps."""


@dataclass(frozen=True)
class Variation:
    """One changed constant: by other primals, by another forward, or by a context; ``both`` changes the backward's as well."""

    description: str
    primals: Callable[[Sequence[Any]], list[Any]] = list
    evaluate: Callable[[Sequence[Any]], tuple[Any, ...]] | None = None
    active: Callable[[], AbstractContextManager[None]] = nullcontext
    both: bool = False


def _others(value: Any) -> tuple[float, ...]:
    """What ``value`` is replaced by, if it may be an eps; else nothing."""
    return (0.0, -value) if type(value) is float and 0 < abs(value) <= SMALL_CONSTANT else ()


def _how(other: float) -> str:
    return "left out" if other == 0 else "negated"


def variations(subject: Subject, primals: Sequence[Any]) -> Iterator[Variation]:
    """Every small constant of the forward (an option, a literal, a default, a global) set to 0 or negated."""
    for k, value in enumerate(primals):
        for other in _others(value):
            yield Variation(f"{subject.arguments[k]} {_how(other)}", primals=partial(_replaced, k, other))
        if _others(value):
            yield Variation(f"{subject.arguments[k]} in another place or size", primals=partial(_replaced, k, 0.0), both=True)
    if not isinstance(subject, NumpyPair) or not isinstance(subject.forward, FunctionType):
        return
    forward = subject.forward
    code, defaults = forward.__code__, forward.__defaults__ or ()
    for i, constant in enumerate(code.co_consts):
        for other in _others(constant):
            changed = code.replace(co_consts=tuple(_replaced(i, other, code.co_consts)))
            yield Variation(f"the constant {constant!r} {_how(other)}", evaluate=_evaluating(subject, changed, defaults))
    for i, default in enumerate(defaults):
        for other in _others(default):
            made = _evaluating(subject, code, tuple(_replaced(i, other, defaults)))
            yield Variation(f"the default {default!r} {_how(other)}", evaluate=made)
    for name in code.co_names:
        for other in _others(forward.__globals__.get(name)):
            yield Variation(f"{name} {_how(other)}", active=partial(_patched, forward.__globals__, name, other))


def _replaced(i: int, value: Any, values: Sequence[Any]) -> list[Any]:
    return [*values[:i], value, *values[i + 1 :]]


def _evaluating(subject: NumpyPair, code: CodeType, defaults: tuple[Any, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """The forward of ``subject`` with other code or defaults, to be evaluated exactly."""
    original = subject.forward
    forward = FunctionType(code, original.__globals__, original.__name__, defaults, original.__closure__)

    def evaluate(primals: Sequence[Any]) -> tuple[Any, ...]:
        with standing_in(subject.places):
            return outputs_of(forward(*(p.copy() if type(p) is ExactArray else p for p in primals)))

    return evaluate


@contextmanager
def _patched(names: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    before = names[name]
    names[name] = value
    try:
        yield
    finally:
        names[name] = before
