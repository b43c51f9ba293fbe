"""torch on balls: a tensor that holds exact values, and the dispatch of torch's operators to them.

``ExactTensor`` sits below autograd: user code, ``torch.autograd.Function``, modules and autograd's
own backward formulas all arrive here as ATen operators. Each is looked up in the table of ``aten``;
a view is asked of torch itself, on a meta tensor of the same strides, so it aliases as torch's does;
the rest is taken apart by torch's own decompositions. What is left over is refused by name.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
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

COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class ExactTensor(torch.Tensor):  # type: ignore[misc]
    """A tensor whose values are balls: a strided view of ``balls_``, a flat object array.

    Its dtype is float64; a narrower one (after ``.to(torch.float32)``) is a name only, nothing is rounded.
    """

    balls_: np.ndarray
    array: ExactArray

    @staticmethod
    def __new__(
        cls, balls_: np.ndarray, size: Any, stride: Any = None, offset: int = 0, dtype: Any = torch.float64,
        requires_grad: bool = False,
    ) -> ExactTensor:  # fmt: skip
        if stride is None:
            stride = [math.prod(size[i + 1 :]) for i in range(len(size))]
        tensor: ExactTensor = torch.Tensor._make_wrapper_subclass(
            cls, size, strides=stride, storage_offset=offset, dtype=dtype, requires_grad=requires_grad
        )
        tensor.balls_ = balls_
        tensor.look()
        return tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def look(self) -> None:
        """Make ``array`` the view of the balls that size, stride and offset say."""
        entries = self.balls_[int(self.storage_offset()) :]
        steps = [8 * s for s in self.stride()]
        self.array = ExactArray(np.lib.stride_tricks.as_strided(entries, tuple(self.shape), steps))

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return execute(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"tensor({self.array!r})"

    def __deepcopy__(self, memo: Any) -> ExactTensor:
        return to_tensor(self.array, self.requires_grad)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotExact("an exact tensor is turned into floats (by item, numpy, tolist or float)")

    item = numpy = tolist = __format__ = __float__ = __array__ = __complex__ = _refuse


def to_tensor(array: ExactArray, requires_grad: bool = False) -> ExactTensor:
    """A new tensor of the exact values of ``array`` (a copy), for code that is written in torch."""
    data = lift(array).copy()
    return ExactTensor(data.reshape(-1), data.shape, requires_grad=requires_grad)


def to_exact(tensor: torch.Tensor) -> ExactArray:
    """The values of ``tensor`` as a new exact array, without rounding; any real tensor will do."""
    if isinstance(tensor, ExactTensor):
        return tensor.array.copy()
    return ExactArray(lift(_plain(tensor)).copy())


def _plain(tensor: torch.Tensor) -> np.ndarray:
    if tensor.is_complex():
        raise NotExact("complex tensors are not supported in exact arithmetic")
    with torch._C._DisableTorchDispatch():
        tensor = tensor.detach()
        array: np.ndarray = (tensor.double() if tensor.is_floating_point() else tensor).numpy(force=True)
    return array


def _down(value: Any) -> Any:
    """Tensors as arrays: exact for floats, NumPy's own for integers and booleans."""
    if isinstance(value, ExactTensor):
        return value.array
    if isinstance(value, torch.Tensor):
        return ExactArray(lift(_plain(value))) if value.is_floating_point() else _plain(value)
    if isinstance(value, (list, tuple)):
        return [_down(v) for v in value]
    return value


def _up(value: Any) -> Any:
    if type(value) is ExactArray:
        data = value.balls_
        if data.base is not None or not (data.flags.c_contiguous and data.flags.writeable):
            data = data.copy()
        return ExactTensor(data.reshape(-1), data.shape)
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value))
    if isinstance(value, (list, tuple)):
        return type(value)(_up(v) for v in value)
    return value


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


class _Active(threading.local):
    def __init__(self) -> None:
        self.operators: list[Any] = []


_active = _Active()


def execute(func: Any, args: Any, kwargs: Any) -> Any:
    """``func(*args, **kwargs)``, an ATen operator, in balls; raises ``NotExact`` where there is no way to."""
    name = func._schema.name.replace("aten::", "")
    overload = f"{name}.{func._overloadname}"
    if func._overloadname.endswith("out") and func._schema.is_mutable:
        return _into_out(func, args, kwargs)
    if name == "_to_copy" and kwargs.get("dtype") in (torch.float32, torch.float16, torch.bfloat16):
        data = lift(_down(args[0])).copy()
        return ExactTensor(data.reshape(-1), data.shape, dtype=kwargs["dtype"])
    for key in (overload, name):
        if key in aten.TABLE:
            return _up(aten.TABLE[key](*_down(args), **{k: _down(v) for k, v in kwargs.items()}))
        if key in aten.PULLBACKS:
            return _pull_back(*aten.PULLBACKS[key](*args, **kwargs))
        if key in aten.WITH_OPERATOR:
            return _up(aten.WITH_OPERATOR[key](func, _down(args), {k: _down(v) for k, v in kwargs.items()}))
    if name in ("new_empty_strided", "empty_strided"):
        return _strided(*args[-2:])
    if torch.Tag.inplace_view in func.tags and isinstance(args[0], ExactTensor):
        with torch._C._DisableTorchDispatch():
            func(*args, **kwargs)
        args[0].look()
        return args[0]
    if name.endswith("_") and func._schema.arguments[0].alias_info is not None:
        return _in_place(func, name, args, kwargs)
    if name == "_local_scalar_dense":
        raise NotExact("an exact tensor is turned into a number by item()")
    if func in _active.operators:
        raise NotExact(f"torch's {overload} has no exact counterpart")
    _active.operators.append(func)
    try:
        for way in (_composite, _view, _decomposition):
            result = way(func, args, kwargs)
            if result is not NotImplemented:
                return result
    finally:
        _active.operators.pop()
    raise NotExact(f"torch's {overload} has no exact counterpart")


def _composite(func: Any, args: Any, kwargs: Any) -> Any:
    if not func._can_decompose():
        return NotImplemented
    with _ExactMode():
        return func.decompose(*args, **kwargs)


def _decomposition(func: Any, args: Any, kwargs: Any) -> Any:
    body: Callable[..., Any] | None = decomposition_table.get(func) or getattr(func, "impl_aten", None)
    if body is None:
        return NotImplemented
    with _ExactMode():
        return body(*args, **kwargs)


def _pull_back(forward: Any, primals: Any, args: Any, grad: torch.Tensor) -> Any:
    """A backward that torch has no decomposition of: autograd through that of its forward."""
    body = decomposition_table[forward] if isinstance(forward, OpOverload) else forward
    with torch.overrides.enable_reentrant_dispatch(), torch.enable_grad(), _ExactMode():
        leaves = [to_tensor(to_exact(p), True) for p in primals]
        found = torch.autograd.grad(body(*leaves, *args), leaves, grad)
    return found if len(found) > 1 else found[0]


def _view(func: Any, args: Any, kwargs: Any) -> Any:
    """Asks torch, by a meta tensor of the same strides, where the entries of the view lie."""
    if not (func.is_view and isinstance(args[0], ExactTensor)):
        return NotImplemented
    x = args[0]
    with torch._C._DisableTorchDispatch():
        flat = torch.empty(x.balls_.size, dtype=torch.float64, device="meta")
        found = func(flat.as_strided(x.shape, x.stride(), x.storage_offset()), *args[1:], **kwargs)

    def view(meta: torch.Tensor) -> ExactTensor:
        return ExactTensor(x.balls_, meta.shape, meta.stride(), int(meta.storage_offset()), x.dtype)

    return view(found) if isinstance(found, torch.Tensor) else [view(m) for m in found]


def _strided(size: Any, stride: Any) -> ExactTensor:
    length = 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else 0
    return ExactTensor(np.full(length, ZERO, dtype=object), size, stride)


def _write(target: torch.Tensor, values: Any, name: str) -> torch.Tensor:
    """Write exact values (or integers, booleans) into ``target``; a plain float tensor cannot hold them."""
    if isinstance(target, ExactTensor):
        target.array.balls_[...] = lift(_down(values))
        return target
    if target.is_floating_point():
        raise NotExact(f"exact values are written into a plain float tensor by {name}")
    found = _down(values)
    kind = _plain(target).dtype
    return target.copy_(torch.from_numpy(np.asarray(found.astype(kind) if hasattr(found, "astype") else found)))


def _in_place(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    target = args[0]
    if name in aten.DRAWS or not any(isinstance(t, ExactTensor) for t in _tensors([args, list(kwargs.values())])):
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


class _ExactMode(TorchDispatchMode):  # type: ignore[misc]
    """Makes exact what is floating but not yet exact: new tensors, and results from plain ones."""

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.replace("aten::", "")
        if name in aten.FACTORIES:
            return self._new(func, name, args, kwargs)
        involved = list(_tensors([args, list(kwargs.values())]))
        exact = any(isinstance(t, ExactTensor) for t in involved)
        floating = any(t.is_floating_point() and t.device.type == "cpu" for t in involved)
        if exact or not floating or func.is_view or name in aten.KEEP_PLAIN:
            return func(*args, **kwargs)
        return execute(func, args, kwargs)

    def _new(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if isinstance(args[0], ExactTensor):
            return func(*args, **kwargs)
        made = func(*args, **kwargs)
        if not made.is_floating_point() or made.device.type != "cpu":
            return made
        values = aten.FACTORIES[name]
        array = ExactArray(lift(_plain(made))) if values is None else values(tuple(made.shape), *_down(args))
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


__all__ = ["ExactTensor", "exact_mode", "to_exact", "to_tensor"]
