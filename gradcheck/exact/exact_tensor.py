"""A tensor that holds exact values, and the ways between tensors and exact arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gradcheck.exact.array import ExactArray, lift
from gradcheck.exact.errors import NotExact


class ExactTensor(torch.Tensor):  # type: ignore[misc]
    """A tensor whose values are balls: a strided view of ``balls_``, a flat object array.

    Its dtype is float64; a narrower one (after ``.to(torch.float32)``) is a name only, nothing is rounded.
    """

    balls_: np.ndarray
    array: ExactArray

    @staticmethod
    def __new__(
        cls, balls_: np.ndarray, size: Any, stride: Any = None, offset: int = 0, dtype: Any = torch.float64,
        requires_grad: bool = False, array: ExactArray | None = None,
    ) -> ExactTensor:  # fmt: skip
        tensor: ExactTensor
        if stride is None:
            tensor = torch.Tensor._make_wrapper_subclass(cls, size, dtype=dtype, requires_grad=requires_grad)
            tensor.balls_, tensor.array = balls_, ExactArray(balls_.reshape(tuple(size)))
            return tensor
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, size, strides=stride, storage_offset=offset, dtype=dtype, requires_grad=requires_grad
        )
        tensor.balls_ = balls_
        if array is None:
            tensor.look()
        else:
            tensor.array = array
        return tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def look(self) -> None:
        """Make ``array`` the view of the balls that size, stride and offset say."""
        steps = [8 * s for s in self.stride()]
        self.array = ExactArray(np.ndarray(tuple(self.shape), object, self.balls_, 8 * int(self.storage_offset()), steps))

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from gradcheck.exact.tensor import execute

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
    return ExactArray(lift(plain(tensor)).copy())


def plain(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor that is not exact: integers, booleans, or float64."""
    if tensor.is_complex():
        raise NotExact("complex tensors are not supported in exact arithmetic")
    with torch._C._DisableTorchDispatch():
        tensor = tensor.detach()
        array: np.ndarray = (tensor.double() if tensor.is_floating_point() else tensor).numpy(force=True)
    return array


def down(value: Any) -> Any:
    """Tensors as arrays: exact for floats, NumPy's own for integers and booleans."""
    if isinstance(value, ExactTensor):
        return value.array
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, torch.Tensor):
        return ExactArray(lift(plain(value))) if value.is_floating_point() else plain(value)
    if isinstance(value, (list, tuple)):
        return [down(v) for v in value]
    return value


def up(value: Any) -> Any:
    """Arrays as tensors, the way back of ``down``: an exact one copies what is a view."""
    if type(value) is ExactArray:
        data = value.balls_
        if data.base is not None or not (data.flags.c_contiguous and data.flags.writeable):
            data = data.copy()
        return ExactTensor(data.reshape(-1), data.shape)
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value))
    if isinstance(value, (list, tuple)):
        return type(value)(up(v) for v in value)
    return value


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of nested lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors_in(v)
