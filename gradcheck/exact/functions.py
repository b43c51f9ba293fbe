"""What the functions of NumPy do on exact arrays.

``FUNCTIONS`` are written here, ``STRUCTURAL`` only move entries, so that NumPy's own code does it
on the object arrays, and ``METHODS`` are the array methods that are functions of the same name.
What is in no table is refused by name.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from gradcheck.exact import balls, elimination, ordering
from gradcheck.exact.array import ExactArray, Work, lift, wrap
from gradcheck.exact.balls import ONE, ZERO
from gradcheck.exact.errors import NotExact, outward
from gradcheck.exact.registry import FUNCTIONS, METHODS, floats_only, implements, kept
from gradcheck.exact.ufuncs import accumulate, axes_of, deliver, fold, given


def _reduction(name: str) -> Callable[..., Any]:
    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        floats_only(dtype)
        initial = None if initial is np._NoValue else initial
        return given(fold(name, a, axis, kept(keepdims), initial, True if where is np._NoValue else where), out)

    return reduction


def _extreme(name: str) -> Callable[..., Any]:
    reduction = _reduction(name)
    return lambda a, axis=None, out=None, keepdims=False, initial=None, where=True: reduction(a, axis, None, out, keepdims, initial, where)


for _names, _made in (
    (("sum",), _reduction("add")), (("prod",), _reduction("multiply")),
    (("max", "amax"), _extreme("maximum")), (("min", "amin"), _extreme("minimum")),
):  # fmt: skip
    for _n in _names:
        implements(getattr(np, _n), method=_names[0])(_made)


def _count(shape: tuple[int, ...], axis: Any) -> int:
    return math.prod(shape[a] for a in axes_of(axis, len(shape)))


@implements(np.mean, method="mean")
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    floats_only(dtype)
    return given(_average(a, axis, kept(keepdims), where), out)


def _average(a: Any, axis: Any, keepdims: bool, where: Any, less: Any = 0) -> Any:
    """The mean over the entries that ``where`` lets in, their number being ``less`` fewer."""
    if where is True or where is np._NoValue:
        return fold("add", a, axis, keepdims) / (_count(lift(a).shape, axis) - less)
    count = np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims)
    return fold("add", a, axis, keepdims, None, where) / (count - less)


@implements(np.var, method="var")
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    floats_only(dtype)
    x = wrap(lift(a))
    freedom = correction if isinstance(correction, (int, float)) else ddof
    centred = x - (_average(x, axis, True, where) if mean is None or mean is np._NoValue else mean)
    return given(_average(centred * centred, axis, kept(keepdims), where, freedom), out)


@implements(np.std, method="std")
def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any) -> Any:
    return given(np.sqrt(var(a, axis, dtype, None, *args, **kwargs)), out)


def _ignoring_nan(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, *args, **kwargs: function(a, *args, **{**kwargs, "where": ~np.isnan(a)})


for _plain, _nan in ((mean, np.nanmean), (var, np.nanvar), (std, np.nanstd)):
    FUNCTIONS[_nan] = _ignoring_nan(_plain)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if weights is None:
        weights = np.ones(np.shape(a))
    if np.shape(weights) != np.shape(a) and axis is not None:
        weights = np.reshape(weights, [-1 if i == axis % np.ndim(a) else 1 for i in range(np.ndim(a))])
    w = wrap(np.broadcast_to(lift(weights), np.shape(a)))
    total = fold("add", w, axis, kept(keepdims))
    result = fold("add", w * a, axis, kept(keepdims)) / total
    return (result, total) if returned else result


@implements(np.cumsum, method="cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    floats_only(dtype)
    return given(accumulate("add", a.ravel() if axis is None else a, axis or 0), out)


@implements(np.cumprod, method="cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    floats_only(dtype)
    return given(accumulate("multiply", a.ravel() if axis is None else a, axis or 0), out)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    a = wrap(lift(a))
    ends = [wrap(lift(e)) if e is not np._NoValue else None for e in (prepend, append)]
    one = [1 if i == axis % a.ndim else n for i, n in enumerate(a.shape)]
    before, after = ([] if e is None else [np.broadcast_to(e, one) if e.ndim == 0 else e] for e in ends)
    a = np.concatenate([*before, a, *after], axis=axis)
    for _ in range(n):
        a = wrap(np.diff(lift(a), axis=axis))
        Work.steps += 1
    return a


@implements(np.clip, method="clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.get("min", a_min), options.get("max", a_max)
    result = wrap(lift(a))
    result = result if low is None else np.maximum(result, low)
    result = result if high is None else np.minimum(result, high)
    return given(result, out)


@implements(np.round, np.around, method="round")
def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    scale = 10 ** abs(decimals)
    return given(np.rint(a * scale) / scale if decimals >= 0 else np.rint(a / scale) * scale, out)


@implements(np.where)
def where(condition: Any, *choices: Any) -> Any:
    if type(condition) is ExactArray:
        condition = condition.astype(bool)
    if not any(type(c) is ExactArray for c in choices):
        return np.where(condition, *choices)
    return ExactArray(np.where(condition, *(lift(c) for c in choices)))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    info = np.finfo(ExactArray.dtype)
    least, most = info.min if neginf is None else neginf, info.max if posinf is None else posinf
    numbers = wrap(_to_numbers(lift(x), *(lift(v) for v in (nan, most, least))))
    return numbers if copy else deliver(numbers, x)


_to_numbers = np.frompyfunc(balls.to_number, 4, 1)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = wrap(lift(x))
    axis = tuple(range(x.ndim)) if axis is None and ord is not None else axis
    if isinstance(axis, tuple) and len(axis) == 2 and ord not in (None, "fro"):
        return _matrix_norm(x, ord, axis, keepdims)
    if ord in (None, 2, "fro"):
        return np.sqrt(fold("add", x * x, axis, keepdims))
    if ord in (np.inf, -np.inf):
        return fold("maximum" if ord > 0 else "minimum", abs(x), axis, keepdims)
    if ord == 0:
        return wrap(lift(np.sum(x != 0, axis=axis, keepdims=keepdims)))
    return np.power(fold("add", np.power(abs(x), ord), axis, keepdims), ONE / balls.ball(ord))


def _matrix_norm(x: Any, ord: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The largest (or the smallest) sum of magnitudes of a column, or of a row."""
    if ord not in (1, -1, np.inf, -np.inf):
        raise NotExact(f"np.linalg.norm of a matrix with ord={ord!r} has no exact counterpart")
    row, column = axes_of(axis, x.ndim)
    summed, left = (row, column) if abs(ord) == 1 else (column, row)
    norms = fold("maximum" if ord > 0 else "minimum", fold("add", abs(x), summed, True), left, True)
    return norms if keepdims else np.squeeze(norms, axis=axis)


@implements(np.any, method="any")
def any_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return given(np.any(a.astype(bool), axis=axis, keepdims=kept(keepdims), where=where), out)


@implements(np.all, method="all")
def all_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return given(np.all(a.astype(bool), axis=axis, keepdims=kept(keepdims), where=where), out)


@implements(np.nonzero, method="nonzero")
def nonzero(a: Any) -> Any:
    return np.nonzero(a.astype(bool))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    return np.argwhere(a.astype(bool))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.count_nonzero(a.astype(bool), axis=axis, keepdims=keepdims)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return abs(wrap(lift(a)) - b) <= abs(wrap(lift(b))) * rtol + atol


@implements(np.allclose)
def allclose(*args: Any, **kwargs: Any) -> bool:
    return bool(np.all(isclose(*args, **kwargs)))


@implements(np.array_equal)
def array_equal(a: Any, b: Any, equal_nan: bool = False) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.all(wrap(lift(a)) == b))


@implements(np.einsum)
def einsum(subscripts: Any, *operands: Any, out: Any = None, **_: Any) -> Any:
    given_as_lists = not isinstance(subscripts, str)
    terms = (subscripts, *operands)
    data = [lift(o) if i % 2 == 0 and i + 1 < len(terms) else o for i, o in enumerate(terms)] if given_as_lists else [
        subscripts, *map(lift, operands)
    ]  # fmt: skip
    Work.steps += max(d.size for d in data if isinstance(d, np.ndarray))
    return given(_outer(np.einsum(*data)), out)


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return np.dot(wrap(lift(a)).ravel(), wrap(lift(b)).ravel())


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    return elimination.solve(a, b[:, None])[..., 0] if np.ndim(b) == 1 else elimination.solve(a, b)


class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    value = elimination.determinant(a)
    return SlogdetResult(np.sign(value), np.log(abs(value)))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return elimination.cholesky(a.mT).mT if upper else elimination.cholesky(a)


FUNCTIONS[np.linalg.inv], FUNCTIONS[np.linalg.det] = elimination.inverse, elimination.determinant


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Iterable[Any], *, out: Any = None) -> Any:
    return given(functools.reduce(np.dot, arrays), out)


def _filled(value: arb) -> Callable[..., Any]:
    def like(prototype: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
        shape = np.shape(prototype) if shape is None else shape
        if dtype is not None and np.dtype(dtype).kind != "f":
            return np.full(shape, int(value == ONE), dtype=dtype)
        return ExactArray(np.full(shape, value, dtype=object))

    return like


FUNCTIONS[np.zeros_like] = FUNCTIONS[np.empty_like] = _filled(ZERO)
FUNCTIONS[np.ones_like] = _filled(ONE)


@implements(np.full_like)
def full_like(prototype: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    if dtype is not None and np.dtype(dtype).kind != "f":
        return np.full(np.shape(prototype) if shape is None else shape, fill_value, dtype=dtype)
    return ExactArray(np.broadcast_to(lift(fill_value), np.shape(prototype) if shape is None else shape).copy())


@implements(np.shape)
def shape(a: Any) -> Any:
    return lift(a).shape


@implements(np.ndim)
def ndim(a: Any) -> Any:
    return lift(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    return np.size(lift(a), axis)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return True


@implements(np.result_type, np.common_type)
def result_type(*args: Any) -> Any:
    return ExactArray.dtype


def _into_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """For functions that write one argument into the first: both must be exact."""
    parameters = inspect.signature(function)
    values = next(n for n in ("src", "v", "vals", "values", "val") if n in parameters.parameters)

    def write(target: Any, *args: Any, **kwargs: Any) -> Any:
        if type(target) is not ExactArray:
            raise NotExact(f"exact values are put into a float array by np.{function.__name__}", outward())
        bound = parameters.bind(target.balls_, *args, **kwargs)
        bound.arguments[values] = lift(bound.arguments[values])
        return function(*bound.args, **bound.kwargs)

    return write


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode in ("empty", "median"):
        remedy = 'use mode="constant"' if mode == "empty" else "use np.concatenate"
        raise NotExact(f"np.pad with mode={mode!r} has no exact counterpart", remedy)
    return _outer(np.pad(lift(array), pad_width, mode, **{k: _inner(v) for k, v in options.items()}))


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if type(x) is ExactArray:
        raise NotExact("exact (floating) values are counted by np.bincount", "turn them into integers with .astype(int)")
    x = np.asarray(x)
    data = np.full(max(minlength, int(x.max(initial=-1)) + 1), ZERO, dtype=object)
    Work.steps += x.size
    np.add.at(data, x, lift(weights))
    return wrap(data)


@implements(np.linspace)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, **_: Any
) -> Any:
    floats_only(dtype)
    start, stop = wrap(lift(start)), wrap(lift(stop))
    step = (stop - start) / max(num - endpoint, 1)
    made = np.moveaxis(start + step * np.arange(num).reshape(-1, *(1,) * step.ndim), 0, axis)
    return (made, step) if retstep else made


@implements(np.sinc)
def sinc(x: Any) -> Any:
    Work.steps += 1
    return wrap(_sinc(lift(x)))


_sinc = np.frompyfunc(arb.sinc_pi, 1, 1)


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (wrap(np.moveaxis(lift(v), at, 0)) for v, at in ((a, axisa), (b, axisb)))
    if len(x) != 3 or len(y) != 3:
        raise NotExact("np.cross of vectors that have not three entries has no exact counterpart", "write a[0] * b[1] - a[1] * b[0]")
    return np.stack([x[i - 2] * y[i - 1] - x[i - 1] * y[i - 2] for i in range(3)], axis=axisc)


@implements(np.isin)
def isin(element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, **_: Any) -> Any:
    found = np.any(wrap(lift(element))[..., None] == np.ravel(wrap(lift(test_elements))), axis=-1)
    return ~found if invert else found


@implements(np.imag)
def imag(val: Any) -> Any:
    return wrap(np.full(val.shape, ZERO, dtype=object))


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return np.full(x.shape, True)[()]


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return np.full(x.shape, False)[()]


_CONTRACTIONS = (np.dot, np.inner, np.outer, np.tensordot, np.kron, np.trace, np.convolve, np.correlate)
for _f in (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal):
    FUNCTIONS[_f] = _into_first(_f)

STRUCTURAL: set[Callable[..., Any]] = {
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.roll, np.flip, np.fliplr, np.flipud,
    np.rot90, np.expand_dims, np.squeeze, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_to, np.broadcast_arrays,
    np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block, np.append, np.insert, np.delete,
    np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.tile, np.repeat, np.resize, np.meshgrid,
    np.take, np.take_along_axis, np.compress, np.extract, np.choose, np.select, np.diag, np.diagflat, np.diagonal,
    np.tril, np.triu, np.copy, np.real, np.lib.stride_tricks.sliding_window_view,
    np.matrix_transpose, np.permute_dims, *_CONTRACTIONS,
}  # fmt: skip
METHODS |= {
    "conj": np.conjugate,
    "conjugate": np.conjugate,
    "dot": lambda a, b, out=None: np.dot(a, b) if out is None else deliver(np.dot(a, b), out),
    "trace": np.trace,
    "compress": lambda a, c, axis=None: np.compress(c, a, axis),
}


def _inner(value: Any) -> Any:
    """``value`` with object arrays in place of exact and floating ones, in nested lists too."""
    if type(value) is ExactArray or (isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"):
        return lift(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_inner(v) for v in value)
    return value


def _outer(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_outer(v) for v in value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return wrap(value if _all_balls(value) else lift(value))
    return wrap(value)


def _all_balls(data: np.ndarray) -> bool:
    return all(type(v) is arb for v in data.flat)


def apply_function(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, a NumPy function, on balls; raises ``NotExact`` if it is in no table."""
    if function in FUNCTIONS:
        return FUNCTIONS[function](*args, **kwargs)
    if function not in STRUCTURAL:
        raise NotExact(f"{function.__module__}.{function.__name__} has no exact counterpart")
    out = kwargs.pop("out", None)
    if np.dtype(kwargs.pop("dtype", None) or float).kind != "f":
        raise NotExact(f"np.{function.__name__} to a dtype that is not floating has no exact counterpart", "drop dtype=")
    if function in _CONTRACTIONS:
        Work.steps += max((np.size(_inner(a)) for a in args), default=1)
    result = _outer(function(*_inner(args), **{k: _inner(v) for k, v in kwargs.items()}))
    return result if out is None else deliver(result, out)


__all__ = ["FUNCTIONS", "METHODS", "STRUCTURAL", "apply_function", "fold", "ordering"]
