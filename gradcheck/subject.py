"""What is under test, whatever convention it was written in.

A subject gives ``value(primals)``, a tuple of outputs, and ``gradient(cotangents, primals,
outputs)``, a tuple with one gradient for every differentiable argument. Both work on float
arrays and on exact ones: which of the two comes in decides which comes out.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, NamedTuple, Protocol

import numpy as np

from gradcheck.catalog import import_file
from gradcheck.errors import GradcheckError, SpecError, did_you_mean
from gradcheck.exact.array import ExactArray
from gradcheck.exact.errors import NotExact
from gradcheck.exact.standin import Place, places, standing_in
from gradcheck.function_spec import Exhibit, FunctionSpec
from gradcheck.state import forward_failed, forward_starts, in_float64, narrower


class ReturnsNothing(GradcheckError):
    """The function under test returned None, or a tuple with None in it."""


class WrongCount(GradcheckError):
    """The backward returned another number of gradients than there are differentiable arguments."""


class Subject(Protocol):
    """What can be examined; see the module's docstring."""

    @property
    def name(self) -> str: ...

    @property
    def arguments(self) -> tuple[str, ...]: ...

    @property
    def differentiable(self) -> tuple[str, ...]: ...

    @property
    def convention(self) -> str: ...

    @property
    def location(self) -> tuple[str, int | None, int | None]:
        """The file, the line of the forward, the line of the backward."""

    @property
    def stored(self) -> bool:
        """Whether each result along the first axis is made from the one before."""

    @property
    def order(self) -> int:
        """Of what is checked: 1 for a gradient, 2 for the derivative of one."""

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """What is called; the objects behind may have a state."""

    def value(self, primals: Sequence[Any]) -> tuple[Any, ...]: ...

    def gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]: ...


def holds_exact(values: Sequence[Any]) -> bool:
    return any(type(v) is ExactArray for v in values)


@dataclass(frozen=True)
class NumpyPair:
    """A hand-written forward and its hand-written vjp (None if nothing is differentiable), over NumPy arrays."""

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    arguments: tuple[str, ...]
    differentiable: tuple[str, ...]
    convention: str = "numpy pair"
    also: tuple[Callable[..., Any], ...] = ()
    stored: bool = False
    order: int = 1

    @property
    def location(self) -> tuple[str, int | None, int | None]:
        path, line = locate(self.forward)
        return path, line, line if self.backward is None else locate(self.backward)[1]

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return self.forward, *(() if self.backward is None else (self.backward,)), *self.also

    @cached_property
    def places(self) -> list[Place]:
        return places(self.functions)

    @cached_property
    def takes_output(self) -> bool:
        """Whether the vjp takes the output after the primals, as a spec's does."""
        return self.backward is not None and takes_output(self.backward, len(self.arguments))

    def value(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        forward_starts()
        outputs = outputs_of(self._called(self.forward, primals, holds_exact(primals)))
        return tuple(o.copy() if isinstance(o, np.ndarray) else o for o in outputs)  # it may be a buffer that the next call fills

    def _called(self, function: Callable[..., Any], given: Sequence[Any], exactly: bool) -> Any:
        """``function(*given)``; in balls, the stand-ins are in place, and a ``NotExact`` that the code swallows is raised again."""
        if not exactly:
            return function(*given)
        before = NotExact.raised
        with standing_in(self.places):
            returned = function(*given)
        if NotExact.raised != before:
            raise NotExact("the code catches the refusal of an operation that has no exact counterpart")
        return returned

    def gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        if self.backward is None:
            return ()
        dy = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        y = outputs[0] if len(outputs) == 1 else tuple(outputs)
        given = (dy, *primals, y) if self.takes_output else (dy, *primals)
        return _gradients(self._called(self.backward, given, holds_exact(primals)), len(self.differentiable))


@dataclass(frozen=True)
class TorchCallable:
    """A torch function, Function or Module: its backward is what autograd makes of it."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    differentiable: tuple[str, ...]
    convention: str = "torch callable"
    stored: bool = False
    order: int = 1

    @property
    def location(self) -> tuple[str, int | None, int | None]:
        path, line = locate(self.function)
        backward = getattr(getattr(self.function, "__self__", None), "backward", None)
        return path, line, locate(backward)[1] if hasattr(backward, "__code__") else line

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return (self.function,)

    def _given(self, primals: Sequence[Any]) -> list[_Given]:
        pairs = zip(self.arguments, primals, strict=True)
        return [_given(value, name in self.differentiable) for name, value in pairs]

    def _call(self, given: Sequence[_Given], exactly: bool) -> tuple[Any, ...]:
        forward_starts()
        tensors = [g.tensor for g in given]
        if not exactly:
            return tensors_of(self.function(*tensors))
        from gradcheck.exact.tensor import exact_buffers, exact_mode

        with exact_mode(), exact_buffers(self.function):
            return tensors_of(self.function(*tensors))

    def value(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        return self._widened(primals, lambda: self._value(primals))

    def gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        return self._widened(primals, lambda: self._gradient(cotangents, primals, outputs))

    @cached_property
    def _needs_float64(self) -> set[bool]:
        """Whether exact primals (True), and float64 ones (False), are known to go with float64 copies alone; see ``_widened``."""
        return set()

    def _widened(self, primals: Sequence[Any], evaluate: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """``evaluate()``; where it refuses exact or float64 primals beside narrower parameters and buffers, with float64 copies of these.

        Code that gets by without the copies mixes dtypes on purpose, and is left to do so.
        """
        exactly = holds_exact(primals)
        if exactly in self._needs_float64:
            with in_float64(narrower(self.function)):
                return evaluate()
        try:
            return evaluate()
        except (RuntimeError, TypeError, ValueError) as error:
            wide = exactly or any(isinstance(p, np.ndarray) and p.dtype == np.float64 for p in primals)
            narrow = narrower(self.function) if wide else []
            if not narrow:
                raise
            forward_failed()
            try:
                with in_float64(narrow):
                    found = evaluate()
            except Exception as other:
                raise error from other
        self._needs_float64.add(exactly)
        return found

    def _value(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        exactly, given = holds_exact(primals), self._given(primals)
        values = tuple(_array(t, exactly) for t in self._call(given, exactly))
        _show_writes(primals, [g.entries for g in given])
        return values

    def _gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        import torch

        if not self.differentiable:
            return ()
        exactly, given = holds_exact(primals), self._given(primals)
        results = self._call(given, exactly)
        before = [] if exactly else [_array(r, False) for r in results]
        wanted = [g.leaf for name, g in zip(self.arguments, given, strict=True) if name in self.differentiable]
        pairs = [(r, _tensor(c, r)) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
        if not pairs:
            return (None,) * len(wanted)
        grads = torch.autograd.grad([r for r, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True)
        _show_writes(primals, [g.entries for g in given])
        written = [r.detach() if _array(r, False).tobytes() != b.tobytes() else None for r, b in zip(results, before, strict=False)]
        _show_writes(outputs, written)
        return tuple(None if g is None else _array(g, exactly) for g in grads)


class _Given(NamedTuple):
    """An argument of torch code: gradients are taken to ``leaf``, the code gets ``tensor``.

    They are two, since torch lets nobody write into a leaf. ``entries`` sees what is written into ``tensor``.
    """

    leaf: Any
    tensor: Any
    entries: Any = None


def _given(value: Any, differentiable: bool) -> _Given:
    import torch

    if type(value) is ExactArray:
        from gradcheck.exact.tensor import to_tensor

        leaf = to_tensor(value, requires_grad=differentiable)
        return _Given(leaf, leaf.clone() if differentiable else leaf)
    if not isinstance(value, (np.ndarray, np.generic)):
        return _Given(value, value)
    leaf = torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
    if not differentiable:
        return _Given(leaf, leaf)
    tensor = leaf.requires_grad_().clone()
    return _Given(leaf, tensor, tensor.detach())


def _show_writes(arrays: Sequence[Any], tensors: Sequence[Any]) -> None:
    """What torch code wrote into ``tensors`` (None for what it had no chance to) stands in ``arrays``, as if they had been its own."""
    for array, tensor in zip(arrays, tensors, strict=False):
        if tensor is not None and isinstance(array, np.ndarray) and array.flags.writeable:
            np.copyto(array, tensor.numpy(force=True))


def _tensor(cotangent: Any, like: Any) -> Any:
    """``cotangent`` as a tensor; one that may be written into shares its memory if the dtype is the same."""
    import torch

    if type(cotangent) is ExactArray:
        from gradcheck.exact.tensor import to_tensor

        return to_tensor(cotangent)
    shared = isinstance(cotangent, np.ndarray) and cotangent.flags.writeable and cotangent.flags.c_contiguous
    return torch.from_numpy(cotangent if shared else np.array(cotangent)).to(like.dtype)


def _array(tensor: Any, exactly: bool) -> Any:
    if exactly:
        from gradcheck.exact.tensor import to_exact

        return to_exact(tensor)
    return tensor.numpy(force=True).copy()


def tensors_of(returned: Any) -> tuple[Any, ...]:
    """The tensors that torch code returned, alone or in nested tuples, lists and dicts.

    Beside them, None, numbers and strings are passed by. Raises ``ReturnsNothing`` if nothing is
    left, and ``TypeError`` for anything else.
    """
    import torch
    from torch.utils._pytree import tree_leaves

    if isinstance(returned, torch.Tensor):
        return (returned,)
    leaves = tree_leaves(returned)
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    passed = (torch.Tensor, type(None), *((bool, int, float, str) if tensors else ()))
    other = [leaf for leaf in leaves if not isinstance(leaf, passed)]
    if other:
        raise TypeError(f"the forward returned {_a(type(other[0]).__name__)}, which is no tensor and no tuple, list or dict of tensors")
    if not tensors:
        outputs_of(returned)
        raise ReturnsNothing(f"the forward returned {_a(type(returned).__name__)} without a tensor in it")
    return tensors


def outputs_of(returned: Any) -> tuple[Any, ...]:
    """What a forward returned, as a tuple; raises ``ReturnsNothing``."""
    outputs = tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)
    kind = type(returned).__name__
    if not outputs:
        raise ReturnsNothing(f"the forward returned an empty {kind}")
    if any(value is None for value in outputs):
        raise ReturnsNothing("the forward returned None" if returned is None else f"the forward returned a {kind} with None in it")
    return outputs


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiouAEIOU" else f"a {noun}"


def _gradients(given: Any, count: int) -> tuple[Any, ...]:
    if given is None:
        raise ReturnsNothing("the backward returned None")
    gradients = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if len(gradients) != count:
        raise WrongCount(f"the backward returned {len(gradients)} gradients, for {count} differentiable arguments")
    return gradients


def takes_output(backward: Callable[..., Any], count: int) -> bool:
    """Whether ``backward`` names a parameter for the output, after the cotangent and ``count`` primals.

    One with ``*args`` is not given it, nor is one whose further parameter has a default.
    """
    try:
        parameters = inspect.signature(backward).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(positional) >= count + 2


def label(function: Any, otherwise: str = "") -> str:
    """What ``function`` is called where it is listed: ``Layer.forward`` for a method; ``otherwise`` if it has no name."""
    if isinstance(function, MethodType):
        owner = function.__self__ if isinstance(function.__self__, type) else type(function.__self__)
        return f"{label(owner)}.{getattr(function, '__name__', otherwise)}"
    name = "__qualname__" if isinstance(function, (FunctionType, type)) else "__name__"
    return str(getattr(function, name, otherwise)).rpartition("<locals>.")[2]


def locate(function: Any) -> tuple[str, int | None]:
    """File and line of a function, a class, or an object with a ``forward``."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and hasattr(owner, "forward") and getattr(function, "__name__", "") == "apply":
        function = owner.forward  # the apply of a torch.autograd.Function
    inner = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(inner, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    kind = inner if isinstance(inner, type) else getattr(inner, "__self__", type(inner))
    forward = getattr(kind if isinstance(kind, type) else type(kind), "forward", None)
    return locate(forward) if hasattr(forward, "__code__") else ("", None)


def house(spec: FunctionSpec) -> NumpyPair:
    """The forward and the vjp of the spec's own page."""
    return _pair(spec, spec.name, spec.forward, spec.backward, "spec", tuple(law.body for law in spec.laws))


def _pair(
    spec: FunctionSpec, name: str, forward: Callable[..., Any], backward: Callable[..., Any] | None, convention: str, also: Any = ()
) -> NumpyPair:
    return NumpyPair(name, forward, backward, tuple(spec.arguments), spec.differentiable, convention, also, spec.stored, spec.order)


def on_show(spec: FunctionSpec, exhibit: Exhibit) -> NumpyPair:
    """The spec's pair with the exhibit's variant in it."""
    forward, backward = (spec.adapt(exhibit.body), spec.backward) if exhibit.part == "forward" else (spec.forward, exhibit.body)
    return _pair(spec, f"{spec.name}: {exhibit.title}", forward, backward, "exhibit")


def reference(spec: FunctionSpec) -> TorchCallable:
    """The spec's torch reference."""
    return TorchCallable(f"torch {spec.name}", spec.torch, tuple(spec.arguments), spec.differentiable)


class Implementation:
    """A function bound to the spec that it implements; made by ``implements``."""

    def __init__(self, spec: str, forward: Callable[..., Any]) -> None:
        self.spec, self.forward = spec, forward
        self.backward: Callable[..., Any] | None = None
        update_wrapper(self, forward, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def vjp(self, backward: Callable[..., Any]) -> Callable[..., Any]:
        """Register the backward: see ``implements``."""
        self.backward = backward
        return backward


def implements(spec: str) -> Callable[[Callable[..., Any]], Implementation]:
    """Bind a function to the spec named ``spec``, for ``gradcheck run --subject MODULE``.

    With a ``.vjp`` it is a NumPy pair; without one it is a torch callable. The vjp takes the
    cotangent, the arguments, and the output if it names a parameter for it: ``vjp(dy, x, y)`` is
    given the output, ``vjp(dy, x)``, ``vjp(dy, *primals)`` and ``vjp(dy, x, y=None)`` are not.
    """
    return lambda forward: Implementation(spec, forward)


def bind(spec: FunctionSpec, forward: Callable[..., Any], backward: Callable[..., Any] | None) -> Subject:
    """The subject that ``forward`` (and ``backward``, if it is a NumPy pair) make for ``spec``."""
    name = label(forward, spec.name)
    if backward is None and spec.differentiable:
        forward = forward.apply if isinstance(forward, type) and hasattr(forward, "apply") else forward
        return TorchCallable(name, forward, tuple(spec.arguments), spec.differentiable)
    return _pair(spec, name, spec.adapt(forward), backward, "numpy pair")


def import_module(name: str) -> Any:
    """The module ``name`` (dotted, or a path to a file), the current folder being on the path.

    Raises ``SpecError`` that tells what failed and where.
    """
    if not name.endswith(".py") and not all(part.isidentifier() for part in name.split(".")):
        raise SpecError(f"{name!r} is no module; give a dotted name, such as mylib.layers, or the path of a .py file")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        if not Path(name).is_file():
            raise SpecError(f"{name}: no such file")
        return import_file(Path(name))
    except SpecError:
        raise
    except (Exception, SystemExit) as error:
        last = inspect.getinnerframes(error.__traceback__)[-1] if error.__traceback__ else None
        at = f" ({last.filename}:{last.lineno})" if last and "importlib" not in last.filename else ""
        raise SpecError(f"{name} does not import: {type(error).__name__}: {error}{at}") from error


Bound = tuple[str, Callable[..., Any], Callable[..., Any] | None]
"""The name of a spec, and the forward and the backward (None for a torch callable) that implement it."""


@dataclass(frozen=True)
class Unbound:
    """An entry of ``[tool.gradcheck.subjects]`` for ``spec`` that names no function that can be had."""

    spec: str
    reason: str


def implementations(module: str, named: Mapping[str, Any]) -> list[Bound]:
    """What ``module`` provides and can be had: see ``provided``."""
    return [entry for entry in provided(module, named) if not isinstance(entry, Unbound)]


def provided(module: str, named: Mapping[str, Any]) -> list[Bound | Unbound]:
    """What ``module`` provides: bound by ``implements``, then ``named``.

    ``named`` is the table ``[tool.gradcheck.subjects]``: a spec's name to ``"module:function"``
    (a torch callable) or to ``{forward = "module:function", vjp = "module:function"}``. Its
    entries count if their module is ``module``; all of them if ``module`` is a ``.toml`` file.
    Raises ``SpecError`` if ``module`` itself does not import.
    """
    found: list[Bound | Unbound] = []
    everything = module.endswith(".toml")
    if not everything:
        bound = {id(v): v for v in vars(import_module(module)).values() if isinstance(v, Implementation)}
        found += [(v.spec, v.forward, v.backward) for v in bound.values()]
    for spec, entry in named.items():
        forward, vjp = (entry, None) if isinstance(entry, str) else (entry.get("forward"), entry.get("vjp"))
        if everything or not forward or forward.partition(":")[0] == module:
            found.append(_entry(spec, forward, vjp))
    return found


def _entry(spec: str, forward: str | None, vjp: str | None) -> Bound | Unbound:
    try:
        if not forward:
            raise SpecError('give "module:function", or a table with forward and vjp')
        return spec, _named(forward), _named(vjp) if vjp else None
    except SpecError as error:
        return Unbound(spec, f"[tool.gradcheck.subjects] {spec}: {error}")


def _named(target: str) -> Callable[..., Any]:
    name, _, attribute = target.partition(":")
    module = import_module(name)
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise SpecError(f"{name} has no function {attribute!r}.{did_you_mean(attribute, known)}")
    return function.forward if isinstance(function, Implementation) else function
