"""torch on balls: the dispatch of torch's operators to tensors that hold exact values.

``ExactTensor`` sits below autograd: user code, ``torch.autograd.Function``, modules and autograd's
own backward formulas all arrive here as ATen operators. Each is looked up in the table of ``aten``;
a view is asked of torch itself, on a meta tensor of the same strides, so it aliases as torch's does;
the rest is taken apart by torch's own decompositions. What is left over is refused by name.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, ItemsView, Iterator
from typing import Any

import numpy as np
import torch
import torch._refs  # registers its decompositions
from torch._decomp import decomposition_table
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from gradcheck.exact import aten
from gradcheck.exact.array import ExactArray, lift
from gradcheck.exact.balls import ZERO
from gradcheck.exact.errors import NotExact
from gradcheck.exact.exact_tensor import ExactTensor, down, plain, tensors_in, to_exact, to_tensor, up
from gradcheck.state import behind

Way = Callable[[Any, Any, Any], Any]
"""``(func, args, kwargs)`` to the result."""


class _Active(threading.local):
    def __init__(self) -> None:
        self.operators: list[Any] = []


_active = _Active()


def execute(func: Any, args: Any, kwargs: Any) -> Any:
    """``func(*args, **kwargs)``, an ATen operator, in balls; raises ``NotExact`` where there is no way to."""
    return _way(func)(func, args, kwargs)


@functools.cache
def _way(func: Any) -> Way:
    """How ``func`` is executed, as far as that does not depend on its arguments."""
    name = _name(func)
    if func._overloadname.endswith("out") and func._schema.is_mutable:
        return _into_out
    if name in _OWN:
        return _OWN[name]
    for key in (f"{name}.{func._overloadname}", name):
        if key in aten.TABLE:
            return _computed(aten.TABLE[key])
        if key in aten.PULLBACKS:
            return _pulled_back(aten.PULLBACKS[key])
        if key in aten.WITH_OPERATOR:
            return _with_operator(aten.WITH_OPERATOR[key])
    if torch.Tag.inplace_view in func.tags:
        return _view_in_place
    if name.endswith("_") and func._schema.arguments[0].alias_info is not None:
        return _in_place
    if func._can_decompose():
        return _composite
    return _view if func.is_view else _decomposition


def _name(func: Any) -> str:
    name: str = func._schema.name
    return name.removeprefix("aten::")


def _computed(body: Callable[..., Any]) -> Way:
    def way(func: Any, args: Any, kwargs: Any) -> Any:
        return up(body(*[down(a) for a in args], **{k: down(v) for k, v in kwargs.items()}))

    return way


def _with_operator(body: Callable[..., Any]) -> Way:
    return lambda func, args, kwargs: up(body(func, down(args), {k: down(v) for k, v in kwargs.items()}))


def _pulled_back(body: Callable[..., Any]) -> Way:
    return lambda func, args, kwargs: _pull_back(*body(*args, **kwargs))


@contextlib.contextmanager
def _taking_apart(func: Any) -> Iterator[None]:
    """Torch's own code runs, in exact mode; it may come back to ``func`` only if that knows a way."""
    if func in _active.operators:
        raise _refusal(func)
    _active.operators.append(func)
    try:
        with _ExactMode():
            yield
    finally:
        _active.operators.pop()


def _refusal(func: Any) -> NotExact:
    return NotExact(f"torch's {_name(func)}.{func._overloadname} has no exact counterpart")


def _composite(func: Any, args: Any, kwargs: Any) -> Any:
    with _taking_apart(func):
        return func.decompose(*args, **kwargs)


def _decomposition(func: Any, args: Any, kwargs: Any) -> Any:
    body: Callable[..., Any] | None = decomposition_table.get(func) or getattr(func, "impl_aten", None)
    if body is None:
        raise _refusal(func)
    with _taking_apart(func):
        return body(*args, **kwargs)


def _to_copy(func: Any, args: Any, kwargs: Any) -> Any:
    dtype = kwargs.get("dtype")
    if dtype in (torch.float32, torch.float16, torch.bfloat16):
        data = lift(down(args[0])).copy()
        return ExactTensor(data.reshape(-1), data.shape, dtype=dtype)
    return up(aten.TABLE["_to_copy"](down(args[0]), **kwargs))


def _detach(func: Any, args: Any, kwargs: Any) -> Any:
    (x,) = args
    if not isinstance(x, ExactTensor):
        return _decomposition(func, args, kwargs)
    return ExactTensor(x.balls_, x.shape, x.stride(), x.storage_offset(), x.dtype, array=x.array)


def _empty_strided(func: Any, args: Any, kwargs: Any) -> Any:
    return _strided(*args[-2:])


def _no_number(func: Any, args: Any, kwargs: Any) -> Any:
    raise NotExact("an exact tensor is turned into a number by item()")


def _view_in_place(func: Any, args: Any, kwargs: Any) -> Any:
    if not isinstance(args[0], ExactTensor):
        return _in_place(func, args, kwargs)
    with torch._C._DisableTorchDispatch():
        func(*args, **kwargs)
    args[0].look()
    return args[0]


def _pull_back(forward: Any, primals: Any, args: Any, grad: torch.Tensor) -> Any:
    """A backward that torch has no decomposition of: autograd through that of its forward."""
    body = decomposition_table[forward] if isinstance(forward, OpOverload) else forward
    with torch.overrides.enable_reentrant_dispatch(), torch.enable_grad(), _ExactMode():
        leaves = [to_tensor(to_exact(p), True) for p in primals]
        found = torch.autograd.grad(body(*leaves, *args), leaves, grad)
    return found if len(found) > 1 else found[0]


def _view(func: Any, args: Any, kwargs: Any) -> Any:
    x = args[0]
    if not isinstance(x, ExactTensor):
        return _decomposition(func, args, kwargs)
    layouts = _layouts(
        func, x.balls_.size, x.shape, x.stride(), x.storage_offset(), _frozen(args[1:]), _frozen(kwargs.items())
    )  # fmt: skip
    views = [ExactTensor(x.balls_, *layout, x.dtype) for layout in layouts]
    return views if func._schema.returns[0].type.kind() == "ListType" else views[0]


@functools.lru_cache(maxsize=4096)
def _layouts(func: Any, length: int, shape: Any, stride: Any, offset: int, args: Any, kwargs: Any) -> list[tuple[Any, Any, int]]:
    """Asks torch, by a meta tensor of the same strides, where the entries of the views lie: size, stride and offset."""
    with torch._C._DisableTorchDispatch():
        flat = torch.empty(length, dtype=torch.float64, device="meta")
        found = func(flat.as_strided(shape, stride, offset), *args, **dict(kwargs))
    views = [found] if isinstance(found, torch.Tensor) else list(found)
    if any(v.dtype != torch.float64 for v in views):
        raise NotExact(f"exact values are looked at as another dtype by {_name(func)}")
    return [(v.shape, v.stride(), int(v.storage_offset())) for v in views]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple, ItemsView)) else value


def _strided(size: Any, stride: Any) -> ExactTensor:
    length = 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else 0
    return ExactTensor(np.full(length, ZERO, dtype=object), size, stride)


def _write(target: torch.Tensor, values: Any, name: str) -> torch.Tensor:
    """Write exact values (or integers, booleans) into ``target``; a plain float tensor cannot hold them."""
    if isinstance(target, ExactTensor):
        target.array.balls_[...] = lift(down(values))
        return target
    if target.is_floating_point():
        raise NotExact(f"exact values are written into a plain float tensor by {name}")
    found = down(values)
    kind = plain(target).dtype
    return target.copy_(torch.from_numpy(np.asarray(found.astype(kind) if hasattr(found, "astype") else found)))


def _in_place(func: Any, args: Any, kwargs: Any) -> Any:
    name, target = _name(func), args[0]
    if name in aten.DRAWS or not any(isinstance(t, ExactTensor) for t in tensors_in([args, list(kwargs.values())])):
        if not isinstance(target, ExactTensor) and name in aten.DRAWS | {"copy_", "fill_", "zero_"}:
            with torch._C._DisableTorchDispatch():
                return func(*args, **kwargs)
        if isinstance(target, ExactTensor):
            with torch._C._DisableTorchDispatch():
                drawn = func(torch.empty(target.shape, dtype=torch.float64), *args[1:], **kwargs)
            return _write(target, drawn, name)
    if name == "copy_":
        return _write(target, args[1], name)
    packet = getattr(torch.ops.aten, name[:-1], None)
    if packet is None or func._overloadname not in packet.overloads():
        raise NotExact(f"torch's {name} has no exact counterpart")
    values = execute(getattr(packet, func._overloadname), args, kwargs)
    return _write(target, values, name)


def _into_out(func: Any, args: Any, kwargs: Any) -> Any:
    outs = [a.name for a in func._schema.arguments if a.alias_info is not None]
    wanted = [a.name for a in func._schema.arguments if a.alias_info is None]
    packet = func.overloadpacket
    for overload in packet.overloads():
        functional = getattr(packet, overload)
        if [a.name for a in functional._schema.arguments] == wanted and not functional._schema.is_mutable:
            values = execute(functional, args, {k: v for k, v in kwargs.items() if k not in outs})
            values = values if isinstance(values, tuple) else (values,)
            written = tuple(_write(kwargs[o], v, f"{func._schema.name} out=") for o, v in zip(outs, values, strict=True))
            return written if len(written) > 1 else written[0]
    raise NotExact(f"torch's {func} has no exact counterpart")


_OWN: dict[str, Way] = {
    "_to_copy": _to_copy, "detach": _detach, "alias": _detach, "empty_strided": _empty_strided,
    "new_empty_strided": _empty_strided, "_local_scalar_dense": _no_number,
}  # fmt: skip


class _ExactMode(TorchDispatchMode):  # type: ignore[misc]
    """Makes exact what is floating but not yet exact: new tensors, and results from plain ones."""

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        if name in aten.FACTORIES:
            return self._new(func, name, args, kwargs)
        if ExactTensor in types:
            return execute(func, args, kwargs)
        involved = tensors_in([args, list(kwargs.values())])
        floating = any(t.is_floating_point() and t.device.type == "cpu" for t in involved)
        if not floating or func.is_view or name in aten.KEEP_PLAIN:
            return func(*args, **kwargs)
        return execute(func, args, kwargs)

    def _new(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if isinstance(args[0], ExactTensor):
            return func(*args, **kwargs)
        made = func(*args, **kwargs)
        if not made.is_floating_point() or made.device.type != "cpu":
            return made
        values = aten.FACTORIES[name]
        array = ExactArray(lift(plain(made))) if values is None else values(tuple(made.shape), *down(args))
        return to_tensor(array)


@contextlib.contextmanager
def exact_mode() -> Iterator[None]:
    """While active, new floating tensors (zeros, tensor, linspace ...) are exact, so that buffers work.

    Operations on plain floating tensors alone are exact too, and float64 is the default dtype.
    Random draws stay plain: they are numbers like any others, and become exact on contact.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _ExactMode():
            yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def exact_buffers(function: Any) -> Iterator[None]:
    """While active, the floating buffers of the modules behind ``function`` are exact: running averages can be written to."""
    modules = [m for m in behind([function]) if isinstance(m, torch.nn.Module)]
    held = [(m._buffers, n, b) for m in modules for n, b in m._buffers.items() if b is not None and b.is_floating_point()]
    for buffers, name, buffer in held:
        buffers[name] = to_tensor(to_exact(buffer))
    try:
        yield
    finally:
        for buffers, name, buffer in held:
            buffers[name] = buffer


__all__ = ["ExactTensor", "exact_buffers", "exact_mode", "to_exact", "to_tensor"]
