"""What a function is: the spec format.

A spec reads like a page::

    @spec("softplus", family="activation", x=Real("*s"), torch=lambda x: torch.logaddexp(x, x * 0))
    def softplus(x):
        \"\"\"log(1 + e^x), elementwise. Source: ...\"\"\"
        return np.logaddexp(0, x)

    @softplus.vjp
    def _(dy, x, y):
        return dy * expit(x)

    @softplus.law("is at least x")
    def _(f, x):
        return at_most(x, f(x))

    @softplus.exhibit("log of 1 + e^x", expects="N101")
    def _(x):
        return np.log(1 + np.exp(x))

The forward takes every argument by position, in the order of its signature. The vjp takes the
cotangent, the arguments, then the output, and returns the gradient of every differentiable
argument: a bare array for one, a tuple for several. With several outputs, ``dy`` and ``y`` are
tuples.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gradcheck.domains import Domain, least_sizes
from gradcheck.errors import SpecError, did_you_mean

defined: dict[str, list[FunctionSpec]] = {}
"""Every spec that was declared, by the module that declared it."""


@dataclass(frozen=True)
class Law:
    """An identity or a bound that the forward must keep.

    ``body(f, ...)`` takes the subject under test, then any of the spec's arguments by name,
    then ``extras``, drawn beside them; it returns a relation, or several. ``f(...)`` is the
    forward and ``f.vjp(cotangent, ...)`` the backward, both called like the spec's own.
    """

    title: str
    body: Callable[..., Any]
    extras: dict[str, Domain]


@dataclass(frozen=True)
class Exhibit:
    """A well-known wrong or unstable variant, in which the run must find exactly ``expects``.

    ``part`` says what ``body`` replaces: the "forward" or the "vjp".
    """

    title: str
    body: Callable[..., Any]
    expects: tuple[str, ...]
    part: str


@dataclass
class FunctionSpec:
    """One function of a catalog; built by ``spec`` and its satellite decorators.

    ``stored`` tells that each result along the first axis is made from the one before; ``order`` is 2 if the forward is a gradient itself.
    """

    name: str
    family: str
    arguments: dict[str, Domain]
    forward: Callable[..., Any]
    torch: Callable[..., Any]
    dtypes: tuple[str, ...]
    backward: Callable[..., Any] | None = None
    laws: list[Law] = field(default_factory=list)
    exhibits: list[Exhibit] = field(default_factory=list)
    stored: bool = False
    order: int = 1

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.forward) or ""

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def path(self) -> str:
        return str(inspect.unwrap(self.forward).__code__.co_filename)

    @property
    def line(self) -> int:
        return int(inspect.unwrap(self.forward).__code__.co_firstlineno)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The names of the arguments that have a gradient, in order."""
        return tuple(name for name, domain in self.arguments.items() if domain.differentiable)

    @property
    def extras(self) -> dict[str, Domain]:
        return {name: domain for law in self.laws for name, domain in law.extras.items()}

    def __call__(self, *primals: Any) -> Any:
        return self.forward(*primals)

    def adapt(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """What is bound to the spec, as its forward."""
        return forward

    def vjp(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """Register the hand-written backward: ``body(dy, *primals, y)``."""
        if self.backward is not None:
            raise SpecError(f"{where(body)}: {self.name!r} has a vjp already, at {where(self.backward)}")
        self.backward = body
        return body

    def law(self, title: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a law; see ``Law``. Defaults that are domains are drawn as extra arguments."""

        def register(body: Callable[..., Any]) -> Callable[..., Any]:
            parameters = list(inspect.signature(body).parameters.values())[1:]
            extras = {p.name: p.default for p in parameters if isinstance(p.default, Domain)}
            for p in parameters:
                if p.name not in self.arguments and p.name not in extras:
                    raise SpecError(
                        f"{where(body)}: the law {title!r} takes {p.name!r}, which is no argument of {self.name!r}"
                        + did_you_mean(p.name, self.arguments)
                    )
            for name, domain in extras.items():
                if name in self.arguments or self.extras.get(name, domain) != domain:
                    raise SpecError(f"{where(body)}: the law {title!r} draws {name!r}, a name that is taken")
            self.laws.append(Law(title, body, extras))
            return body

        return register

    def exhibit(
        self, title: str, expects: str | tuple[str, ...], part: str = "forward"
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register an exhibit; ``part="vjp"`` when ``body`` replaces the backward."""

        def register(body: Callable[..., Any]) -> Callable[..., Any]:
            codes = (expects,) if isinstance(expects, str) else tuple(expects)
            if part not in ("forward", "vjp"):
                raise SpecError(f"{where(body)}: part={part!r}; an exhibit replaces the 'forward' or the 'vjp'")
            self.exhibits.append(Exhibit(title, body, codes, part))
            return body

        return register


Made = TypeVar("Made", bound=FunctionSpec)


def where(function: Callable[..., Any]) -> str:
    """``file:line`` of a function, for messages."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def spec(
    name: str,
    *,
    family: str,
    torch: Callable[..., Any],
    dtypes: tuple[str, ...] = ("float64", "float32"),
    **arguments: Domain,
) -> Callable[[Callable[..., Any]], FunctionSpec]:
    """Declare the function ``name``; decorates its forward.

    ``torch`` is the reference: it takes the arguments as tensors (options as they are) and
    returns a tensor, or a tuple of them. ``dtypes`` are those in which the forward and the
    backward must be numerically sound. ``arguments`` give every parameter its domain.
    """

    def build(forward: Callable[..., Any]) -> FunctionSpec:
        here = f"{where(forward)}: spec {name!r}"
        parameters = list(inspect.signature(forward).parameters)
        if parameters != list(arguments):
            raise SpecError(f"{here} declares the arguments {list(arguments)}, but its forward takes {parameters}")
        for argument, domain in arguments.items():
            if not isinstance(domain, Domain):
                raise SpecError(f"{here}: {argument}={domain!r} is no domain (Real, Simplex, OneHot, Labels, Sign, Mask or Option)")
            tied = getattr(domain, "ties", "")
            if tied and tied not in list(arguments)[: list(arguments).index(argument)]:
                raise SpecError(f"{here}, argument {argument!r}: ties={tied!r}, which is no argument before it")
            try:
                least_sizes(domain.dims)
            except SpecError as error:
                raise SpecError(f"{here}, argument {argument!r}: {error}") from None
        return define(FunctionSpec(name, family, dict(arguments), forward, torch, tuple(dtypes)), forward)

    return build


def define(made: Made, body: Callable[..., Any]) -> Made:
    """Register the spec ``made``, declared in the module of ``body``."""
    defined.setdefault(body.__module__, []).append(made)
    return made


def least(spec: FunctionSpec) -> dict[str, int]:
    """The smallest size of every axis word of ``spec``."""
    found: dict[str, int] = {}
    for domain in [*spec.arguments.values(), *spec.extras.values()]:
        found.update(least_sizes(domain.dims))
    return found
