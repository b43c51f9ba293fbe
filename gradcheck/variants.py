"""The forward with one small constant changed: for which eps would the backward be right?

A backward that forgets the eps of its forward, or has it with the wrong sign, is the exact
derivative of a neighbouring function. Finding that function names the slip for sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from gradcheck.exact.array import ExactArray
from gradcheck.exact.standin import standing_in
from gradcheck.subject import NumpyPair, Subject, _outputs

SMALL_CONSTANT = 1e-2
"""Constants up to this are taken for an eps."""


@dataclass(frozen=True)
class Variation:
    """One changed constant: by other primals, by another forward, or by a context."""

    description: str
    primals: Callable[[Sequence[Any]], list[Any]] = list
    evaluate: Callable[[Sequence[Any]], tuple[Any, ...]] | None = None
    active: Callable[[], AbstractContextManager[None]] = nullcontext


def _small(value: Any) -> bool:
    return type(value) is float and 0 < abs(value) <= SMALL_CONSTANT


def _others(value: float) -> tuple[float, ...]:
    return 0.0, -value


def _how(other: float) -> str:
    return "left out" if other == 0 else "negated"


def variations(subject: Subject, primals: Sequence[Any]) -> Iterator[Variation]:
    """Every small constant of the forward (an option, a literal, a default, a global) set to 0 or negated."""
    for k, value in enumerate(primals):
        if _small(value):
            for other in _others(value):
                yield Variation(f"{subject.arguments[k]} {_how(other)}", primals=lambda ps, k=k, o=other: [*ps[:k], o, *ps[k + 1 :]])
    if not isinstance(subject, NumpyPair) or not isinstance(subject.forward, FunctionType):
        return
    forward = subject.forward
    code = forward.__code__
    for i, constant in enumerate(code.co_consts):
        if _small(constant):
            for other in _others(constant):
                consts = (*code.co_consts[:i], other, *code.co_consts[i + 1 :])
                yield _with(
                    subject,
                    constant,
                    other,
                    FunctionType(
                        code.replace(co_consts=consts), forward.__globals__, forward.__name__, forward.__defaults__, forward.__closure__
                    ),
                )
    for i, default in enumerate(forward.__defaults__ or ()):
        if _small(default):
            for other in _others(default):
                changed = (*forward.__defaults__[:i], other, *forward.__defaults__[i + 1 :])
                yield _with(
                    subject, default, other, FunctionType(code, forward.__globals__, forward.__name__, changed, forward.__closure__)
                )
    for name in code.co_names:
        if _small(forward.__globals__.get(name)):
            value = forward.__globals__[name]
            for other in _others(value):
                yield Variation(f"{name} {_how(other)}", active=lambda n=name, o=other: _patched(forward.__globals__, n, o))


def _with(subject: NumpyPair, constant: float, other: float, forward: FunctionType) -> Variation:
    def evaluate(primals: Sequence[Any]) -> tuple[Any, ...]:
        with standing_in(subject.places):
            return _outputs(forward(*(p.copy() if type(p) is ExactArray else p for p in primals)))

    return Variation(f"the constant {constant!r} {_how(other)}", evaluate=evaluate)


@contextmanager
def _patched(names: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    before = names[name]
    names[name] = value
    try:
        yield
    finally:
        names[name] = before
