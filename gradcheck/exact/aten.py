"""What ATen's operators do on exact arrays: a line an operator.

``TABLE`` computes. ``WITH_OPERATOR`` has torch itself run the operator, not on the values but on
their positions (whatever only moves entries) or on their ranks (whatever only orders them).
Operators in neither are taken apart by torch's decompositions, see ``tensor``.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special as sc
import torch
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, lift, wrap
from gradcheck.exact.balls import ONE, TWO, ZERO, ball
from gradcheck.exact.errors import NotExact
from gradcheck.exact.functions import fold

Array = Any  # an ExactArray, or an array of integers or booleans


# Elementwise
def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of balls, entry by entry."""
    ufunc = np.frompyfunc(function, function.__code__.co_argcount if hasattr(function, "__code__") else 1, 1)
    return lambda *arrays: wrap(ufunc(*(lift(a) for a in arrays)))


def _same(decide: Callable[[Any, Any], bool], if_same: bool) -> Callable[[Array, Array], Any]:
    """A comparison that knows that an entry equals itself, however wide its ball."""
    ufunc = np.frompyfunc(lambda a, b: if_same if a is b else decide(a, b), 2, 1)
    return lambda a, b: np.asarray(ufunc(lift(a), lift(b))).astype(bool)


def _test(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda *arrays: ufunc(*(wrap(lift(a)) for a in arrays))


def _larger(a: arb, b: arb) -> arb:
    return a if a is b or a >= b else b if b >= a else a.max(b)


def _smaller(a: arb, b: arb) -> arb:
    return a if a is b or a <= b else b if b <= a else a.min(b)


maximum, minimum = each(lambda a, b: _larger(a, b)), each(lambda a, b: _smaller(a, b))


def clamp(x: Array, low: Any = None, high: Any = None, **names: Any) -> Array:
    low, high = names.get("min", low), names.get("max", high)
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def div(a: Array, b: Array, rounding_mode: str | None = None) -> Array:
    a, b = wrap(lift(a)), wrap(lift(b))
    return a / b if rounding_mode is None else np.floor(a / b) if rounding_mode == "floor" else np.trunc(a / b)


def fmod(a: Array, b: Array) -> Array:
    a, b = wrap(lift(a)), wrap(lift(b))
    return a - b * np.trunc(a / b)


def polygamma(n: int, a: arb) -> arb:
    if n == 0:
        return a.digamma()
    below = ZERO
    while not a > 0:  # Hurwitz zeta wants a positive argument
        if not a > -1000:
            raise NotExact("polygamma far below zero")
        below, a = below + ONE / a ** (n + 1), a + 1
    return (-1) ** (n + 1) * math.factorial(n) * (arb(n + 1).zeta(a) + below)


def lgamma(a: arb) -> arb:
    return a.lgamma() if a > 0 else abs(a.gamma()).log()


def log(a: arb) -> arb:
    return arb.neg_inf() if a == 0 else a.log()


def sinc(a: arb) -> arb:
    return ONE if a == 0 else (arb.pi() * a).sin() / (arb.pi() * a)


def logit(x: Array, eps: float | None = None) -> Array:
    return sc.logit(x if eps is None else clamp(x, eps, 1 - ball(eps)))


def logaddexp(a: arb, b: arb) -> arb:
    found = balls.logaddexp(a, b)
    if found.is_finite() or not (a.is_finite() and b.is_finite()):
        return found
    return a.max(b) + arb(0.35, 0.35)  # it lies between the larger and that plus log 2


def logaddexp2(a: Array, b: Array) -> Array:
    two = TWO.log()
    return np.logaddexp(wrap(lift(a)) * two, wrap(lift(b)) * two) / two


def where(condition: Array, *choices: Array) -> Any:
    decided = condition.astype(bool) if isinstance(condition, ExactArray) else condition
    return wrap(np.array(np.where(decided, *(lift(c) for c in choices)), dtype=object))


def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    return where(mask, value, x)


# Activations whose decompositions in torch round a constant
def _gelu_tanh_argument(x: Array) -> tuple[Array, Array]:
    scale = (TWO / arb.pi()).sqrt()
    cubic = ball(0.044715)
    return scale * (x + cubic * x**3), scale * (1 + 3 * cubic * x**2)


def gelu(x: Array, approximate: str = "none") -> Array:
    return x * (1 + np.tanh(_gelu_tanh_argument(x)[0])) / 2 if approximate == "tanh" else x * sc.ndtr(x)


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        inner, slope = _gelu_tanh_argument(x)
        t = np.tanh(inner)
        return grad * ((1 + t) / 2 + x * (1 - t * t) / 2 * slope)
    return grad * (sc.ndtr(x) + x * np.exp(-x * x / 2) / (2 * arb.pi()).sqrt())


def hardsigmoid_backward(grad: Array, x: Array) -> Array:
    return where((x > -3) & (x < 3), grad / 6, ZERO)


# Reductions
def _axis(x: Array, dim: Any) -> Any:
    if dim is None or dim == [] or not np.ndim(x):
        return None
    return tuple(dim) if isinstance(dim, (list, tuple)) else int(dim)


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(x: Array, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
        return function(wrap(lift(x)), axis=_axis(x, dim), keepdims=keepdim)

    return reduced


total, mean = _reduce(np.sum), _reduce(np.mean)


def _entries(x: Array, axis: Any, keepdims: bool) -> tuple[list[list[arb]], tuple[int, ...]]:
    """The rows to reduce, and the shape of the result."""
    axes = tuple(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)) if axis is not None else tuple(range(x.ndim))
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = tuple(x.shape[a] for a in kept)
    rows = lift(x).transpose(*kept, *axes).reshape(math.prod(shape), math.prod(x.shape[a] for a in axes)).tolist()
    return rows, tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else shape


def _fill(shape: tuple[int, ...], entries: Any) -> ExactArray:
    made = np.empty(math.prod(shape), dtype=object)
    for i, entry in enumerate(entries):
        made[i] = entry
    return ExactArray(made.reshape(shape))


def _extreme(pick: Callable[[arb, arb], arb]) -> Callable[..., Any]:
    def reduced(x: Array, axis: Any = None, keepdims: bool = False) -> Any:
        rows, shape = _entries(x, axis, keepdims)
        return _fill(shape, (functools.reduce(pick, row) for row in rows))

    return reduced


def _extreme_at(search: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Array, dim: int, keepdim: bool = False) -> Any:
        if not x.ndim:
            return x.copy(), np.asarray(0)
        at = search(x, axis=dim, keepdims=True)
        values = wrap(np.take_along_axis(lift(x), at, dim))
        return (values, at) if keepdim else (values.squeeze(dim), at.squeeze(dim))

    return found


def _arg(search: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Array, dim: int | None = None, keepdim: bool = False) -> Any:
        if not x.ndim:
            return np.asarray(0)
        at = search(x, axis=dim)
        if not keepdim:
            return at
        return np.reshape(at, [1] * x.ndim) if dim is None else np.expand_dims(at, dim)

    return found


def var(x: Array, dim: Any = None, correction: Any = 1, keepdim: bool = False, unbiased: bool | None = None) -> Array:
    if isinstance(dim, bool):
        dim, correction = None, int(dim)
    freedom = int(unbiased) if unbiased is not None else 1 if correction is None else correction
    axis = _axis(x, dim)
    centred = x - np.mean(x, axis=axis, keepdims=True)
    squares = np.sum(centred * centred, axis=axis, keepdims=keepdim)
    count = x.size if axis is None else math.prod(x.shape[a] for a in ((axis,) if isinstance(axis, int) else axis))
    return squares / max(count - freedom, 0)


def var_mean(x: Array, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Any:
    return var(x, dim, correction, keepdim), mean(x, dim, keepdim)


def vector_norm(x: Array, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    axis, size = _axis(x, dim), abs(x)
    if ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdim))
    if ord in (math.inf, -math.inf):
        return _extreme(_larger if ord > 0 else _smaller)(size, axis, keepdim)
    if ord == 0:
        return wrap(lift(np.sum(x != 0, axis=axis, keepdims=keepdim)))
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdim)
    return np.power(np.sum(np.power(size, ord), axis=axis, keepdims=keepdim), ONE / ball(ord))


def norm(x: Array, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    return vector_norm(x, 2 if p is None else p, dim, keepdim)


def logsumexp(x: Array, dim: Any = None, keepdim: bool = False) -> Array:
    return fold("logaddexp", x, _axis(x, dim), keepdim)


def softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    if not x.ndim:
        return wrap(ONE)
    return np.exp(x - fold("logaddexp", x, dim, True)) if x.size else x


def log_softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    return x - fold("logaddexp", x, dim, True) if x.ndim else wrap(ZERO)


def _softmax_backward(grad: Array, y: Array, dim: int, dtype: Any = None) -> Array:
    return y * (grad - np.sum(grad * y, axis=_axis(y, dim), keepdims=bool(y.ndim)))


def _log_softmax_backward(grad: Array, y: Array, dim: int, dtype: Any = None) -> Array:
    return grad - np.exp(y) * np.sum(grad, axis=_axis(y, dim), keepdims=bool(y.ndim))


def _accumulate(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda x, dim=0, dtype=None: ufunc.accumulate(wrap(lift(x)), axis=dim) if x.ndim else wrap(lift(x))


def logcumsumexp(x: Array, dim: int) -> Array:
    return wrap(np.frompyfunc(logaddexp, 2, 1).accumulate(lift(x), axis=dim)) if x.size and x.ndim else x.copy()


# Products
def _plus(product: Callable[..., Any]) -> Callable[..., Any]:
    def added(x: Array, a: Array, b: Array, beta: Any = 1, alpha: Any = 1) -> Array:
        scaled = product(a, b) if alpha == 1 else product(a, b) * alpha
        return scaled if beta == 0 else x * beta + scaled if beta != 1 else x + scaled

    return added


def _matmul(a: Array, b: Array) -> Array:
    return np.matmul(wrap(lift(a)), wrap(lift(b)))


def trilinear(a: Array, b: Array, c: Array, ea: Any, eb: Any, ec: Any, dims: Any, unroll: int = 1) -> Array:
    expanded = [np.expand_dims(lift(v), tuple(axes)) for v, axes in ((a, ea), (b, eb), (c, ec))]
    product = expanded[0] * expanded[1] * expanded[2]
    return np.sum(wrap(product), axis=tuple(dims)) if dims else wrap(product)


def cdist(a: Array, b: Array, p: float, mode: Any = None) -> Array:
    return vector_norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


def cdist_backward(grad: Array, a: Array, b: Array, p: float, y: Array) -> Array:
    gap, g, y = a[..., :, None, :] - b[..., None, :, :], grad[..., None], y[..., None]
    if p in (0, 1):
        slope = np.sign(gap) * p
    elif math.isinf(p):
        slope = where(TABLE["eq"](abs(gap), y), np.sign(gap), ZERO)
    else:
        slope = each(lambda d, n: ZERO if n == 0 else balls.sign(d) * balls.power(abs(d) / n, ball(p - 1)))(gap, y)
    return np.sum(g * slope, axis=-2)


# Linear algebra, by elimination: a pivot need not be the largest for the result to be exact
def _matrices(function: Callable[..., tuple[np.ndarray, ...]], *arrays: Array) -> tuple[Any, ...]:
    """``function`` of each matrix of a batch; its results, batched again."""
    data = [lift(a) for a in arrays]
    batch = np.broadcast_shapes(*(d.shape[:-2] for d in data))
    if not math.prod(batch):  # the shapes of the results are those for any matrix
        some = function(*(lift(np.eye(*d.shape[-2:])) for d in data))
        return tuple(wrap(np.empty((*batch, *s.shape), dtype=s.dtype)) for s in some)
    data = [np.broadcast_to(d, (*batch, *d.shape[-2:])) for d in data]
    results = zip(*(function(*(d[at] for d in data)) for at in np.ndindex(batch)), strict=True)
    stacked = [np.stack(r).reshape((*batch, *np.shape(r[0]))) for r in results]
    return tuple(ExactArray(a) if a.dtype == object else a for a in stacked)


def _factors(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, arb]:
    """L and U in one matrix, the pivots as LAPACK gives them, and the sign of the permutation."""
    lu, pivots, sign = a.copy(), [], ONE
    for k in range(min(a.shape)):
        at = max(range(k, len(lu)), key=lambda i: float(abs(lu[i, k]).mid()))
        pivots.append(at + 1)
        if at != k:
            lu[[k, at]], sign = lu[[at, k]], -sign
        lu[k + 1 :, k] = lu[k + 1 :, k] / lu[k, k]
        lu[k + 1 :, k + 1 :] = lu[k + 1 :, k + 1 :] - np.multiply.outer(lu[k + 1 :, k], lu[k, k + 1 :])
    return lu, np.array(pivots, dtype=np.int32), sign


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (lu, pivots, _), x = _factors(a), b.copy()
    for k, at in enumerate(pivots):
        x[[k, at - 1]] = x[[at - 1, k]]
    for k in range(len(x)):
        x[k + 1 :] = x[k + 1 :] - np.multiply.outer(lu[k + 1 :, k], x[k])
    for k in reversed(range(len(x))):
        x[k] = x[k] / lu[k, k]
        x[:k] = x[:k] - np.multiply.outer(lu[:k, k], x[k])
    return x


def solve(a: Array, b: Array, left: bool = True) -> Array:
    if not left:
        return solve(a.mT, b.mT).mT
    return _matrices(lambda m, r: (_solve(m, r),), a, b)[0]


def _info(a: Array) -> np.ndarray:
    return np.zeros(a.shape[:-2], dtype=np.int32)


def lu_factor(a: Array, **_: Any) -> Any:
    return (*_matrices(lambda m: _factors(m)[:2], a), _info(a))


def _as_torch_factors(a: Array) -> Array:
    """For determinants torch factors the transpose of a contiguous matrix, and its backward formulas count on that."""
    return a.mT if lift(a).flags.c_contiguous else a


def det(a: Array) -> Any:
    def one(m: np.ndarray) -> tuple[np.ndarray, ...]:
        lu, pivots, sign = _factors(m)
        return np.array(functools.reduce(operator.mul, lu.diagonal(), sign), dtype=object), lu, pivots

    return _matrices(one, _as_torch_factors(a))


def slogdet(a: Array) -> Any:
    value, lu, pivots = det(a)
    return np.sign(value), np.log(abs(value)), lu, pivots


def solve_ex(a: Array, b: Array, left: bool = True, **_: Any) -> Any:
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    x = solve(a, b[..., None] if vector else b, left)
    return x.squeeze(-1) if vector else x, *lu_factor(a)


def lu_unpack(lu: Array, pivots: Array, data: bool = True, with_pivots: bool = True) -> Any:
    def one(m: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, ...]:
        rank = min(m.shape)
        turn = lift(np.eye(len(m)))
        for k, at in reversed(list(enumerate(int(v.unique_fmpz()) for v in p[0]))):
            turn[[k, at - 1]] = turn[[at - 1, k]]
        return turn, _triangle(m[:, :rank], False, True), _triangle(m[:rank], True, False)

    return _matrices(one, lu, pivots[..., None, :])


def lu_solve(lu: Array, pivots: Array, b: Array, left: bool = True, adjoint: bool = False) -> Array:
    turn, lower, upper = lu_unpack(lu, pivots)
    a = np.matmul(turn, np.matmul(lower, upper))
    return solve(a.mT if adjoint else a, b, left)


def _triangle(m: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    rows, columns = np.indices(m.shape[-2:])
    kept = np.where(rows <= columns if upper else rows >= columns, m, ZERO)
    return np.where((rows == columns) & unit, ONE, kept)


def cholesky(a: Array, upper: bool = False, **_: Any) -> Any:
    def one(m: np.ndarray) -> tuple[np.ndarray]:
        root = np.full(m.shape, ZERO, dtype=object)
        for j in range(len(m)):
            root[j, j] = (m[j, j] - sum((v * v for v in root[j, :j]), ZERO)).sqrt()
            for i in range(j + 1, len(m)):
                root[i, j] = (m[i, j] - sum((v * w for v, w in zip(root[i, :j], root[j, :j], strict=True)), ZERO)) / root[j, j]
        return (root,)

    root = _matrices(one, a)[0]
    return root.mT if upper else root, _info(a)


# New tensors
def dtype_of(dtype: Any) -> Any:
    return np.dtype(float) if dtype is None or dtype.is_floating_point else torch.empty(0, dtype=dtype).numpy().dtype


def filled(shape: Any, value: Any, dtype: Any = None) -> Array:
    if dtype is not None and not dtype.is_floating_point:
        if dtype.is_complex:
            raise NotExact("complex tensors are not supported in exact arithmetic")
        return np.full(tuple(shape), value, dtype=dtype_of(dtype))
    return ExactArray(np.full(tuple(shape), ball(value), dtype=object))


def _like(value: Any) -> Callable[..., Any]:
    return lambda x, dtype=None, **_: filled(x.shape, value, dtype)


def _new(value: Any) -> Callable[..., Any]:
    return lambda x, size, dtype=None, **_: filled(size, value, dtype)


def number(value: Any) -> Any:
    """A number out of a number or a 0-d array."""
    return lift(value)[()] if isinstance(value, (np.ndarray, ExactArray)) else value


def to_copy(x: Array, dtype: Any = None, **_: Any) -> Array:
    if dtype is not None and dtype.is_complex:
        raise NotExact("complex tensors are not supported in exact arithmetic")
    if dtype is None:
        return x.copy()
    if not dtype.is_floating_point:
        return np.asarray(x.astype(dtype_of(dtype)))
    return wrap(lift(x).copy())


def arange(shape: Any, *limits: Any) -> ExactArray:
    start, step = (limits[0] if len(limits) > 1 else 0), (limits[2] if len(limits) > 2 else 1)
    return _fill(shape, (ball(start) + ball(step) * i for i in range(math.prod(shape))))


def linspace(shape: Any, start: Any, end: Any, steps: int) -> ExactArray:
    start, end = ball(number(start)), ball(number(end))
    return _fill(shape, (start + (end - start) * i / max(steps - 1, 1) for i in range(steps)))


# Operators that only move entries: torch runs them on positions, 0 standing for a zero
def _positions(shape: Any, start: int = 1) -> torch.Tensor:
    size = math.prod(shape)
    return torch.arange(start, start + size, dtype=torch.float64).reshape(tuple(shape))


def _back(value: Any, place: Callable[[np.ndarray], Any]) -> Any:
    """Results of torch: floats by ``place``, integers and booleans as arrays."""
    if isinstance(value, torch.Tensor):
        return place(value.numpy().astype(np.intp)) if value.is_floating_point() else value.numpy()
    return type(value)(_back(v, place) for v in value) if isinstance(value, (list, tuple)) else value


def _swap(value: Any, exact: Callable[[ExactArray], torch.Tensor]) -> Any:
    if type(value) is ExactArray:
        return exact(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value))
    return [_swap(v, exact) for v in value] if isinstance(value, list) else value


def move(func: Any, args: Any, kwargs: Any) -> Any:
    """Run ``func``, which moves entries and computes none, by running it on their positions."""
    pool: list[np.ndarray] = [np.array([ZERO], dtype=object)]

    def exact(array: ExactArray) -> torch.Tensor:
        start = sum(p.size for p in pool)
        pool.append(array.balls_.reshape(-1))
        return _positions(array.shape, start)

    found = func(*(_swap(a, exact) for a in args), **{k: _swap(v, exact) for k, v in kwargs.items()})
    flat = np.concatenate(pool)
    return _back(found, lambda at: ExactArray(flat[at.reshape(-1)].reshape(at.shape)))


def order(func: Any, args: Any, kwargs: Any) -> Any:
    """Run ``func``, which only orders entries, by running it on their ranks; equal entries share one."""
    arrays: list[ExactArray] = []

    def collect(array: ExactArray) -> torch.Tensor:
        arrays.append(array)
        return torch.empty(0)

    _swap(list(args), collect)
    flat = np.concatenate([a.balls_.reshape(-1) for a in arrays])
    turn = np.argsort(ExactArray(flat)) if flat.size > 1 else np.zeros(flat.size, dtype=np.intp)
    rank: np.ndarray = np.zeros(flat.size, dtype=np.intp)
    chosen: list[arb] = []
    for i in turn:
        if not chosen or balls.not_equal(flat[i], chosen[-1]):
            chosen.append(flat[i])
        rank[i] = len(chosen) - 1
    ranks: Iterator[np.ndarray] = iter(np.split(rank, np.cumsum([a.size for a in arrays])[:-1]))
    exact = lambda a: torch.from_numpy(next(ranks).astype(float).reshape(a.shape))  # noqa: E731
    found = func(*(_swap(a, exact) for a in args), **kwargs)
    values = np.array([*chosen, ZERO], dtype=object)
    return _back(found, lambda at: ExactArray(values[at.reshape(-1)].reshape(at.shape)))


def scatter_into(shape: Any, at: np.ndarray, values: Any, start: Any = None) -> ExactArray:
    """Zeros (or ``start``) of ``shape``, with ``values`` added at positions ``at`` (0: nowhere)."""
    flat = np.full(math.prod(shape) + 1, ZERO, dtype=object)
    if start is not None:
        flat[1:] = lift(start).reshape(-1)
    np.add.at(flat, at.reshape(-1), np.broadcast_to(lift(values), at.shape).reshape(-1))
    return ExactArray(flat[1:].reshape(tuple(shape)).copy())


def _where_to(shape: Any, moved: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    at: np.ndarray = moved(_positions(shape)).numpy().astype(np.intp)
    return at


def _index(value: Any) -> Any:
    return torch.from_numpy(np.asarray(value)) if isinstance(value, np.ndarray) else value


def index_put(func: Any, args: Any, kwargs: Any) -> Any:
    x, indices, values, *accumulate = args
    if not ((accumulate and accumulate[0]) or kwargs.get("accumulate")):
        return move(func, args, kwargs)
    at = _where_to(x.shape, lambda p: torch.ops.aten.index.Tensor(p, [_index(i) for i in indices]))
    return scatter_into(x.shape, at, values, x)


def index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any = 1) -> Array:
    at = _where_to(x.shape, lambda p: p.index_select(dim, _index(index)))
    return scatter_into(x.shape, at, source * alpha, x)


def scatter_add(x: Array, dim: int, index: Array, source: Array, **_: Any) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _index(index)))
    return scatter_into(x.shape, at, wrap(lift(source))[tuple(slice(n) for n in index.shape)] if index.ndim else source, x)


def scatter_value(x: Array, dim: int, index: Array, value: Any) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _index(index))) - 1
    made = lift(x).copy()
    flat = made.reshape(-1)
    flat[at] = ball(value)
    return ExactArray(flat.reshape(made.shape))


def put(x: Array, index: Array, source: Array, accumulate: bool = False) -> Array:
    made = lift(x).copy()
    flat = made.reshape(-1)
    values, at = np.broadcast_to(lift(source).reshape(-1), index.size), index.reshape(-1)
    if accumulate:
        np.add.at(flat, at, values)
    else:
        flat[at] = values
    return ExactArray(flat.reshape(made.shape))


def masked_scatter_backward(grad: Array, mask: Array, size: Any) -> Array:
    made = np.full(math.prod(size), ZERO, dtype=object)
    chosen = lift(grad)[np.broadcast_to(mask, grad.shape)]
    made[: chosen.size] = chosen
    return ExactArray(made.reshape(tuple(size)))


_COMBINE: dict[str, Callable[[arb, arb], arb]] = {
    "sum": operator.add, "mean": operator.add, "prod": operator.mul, "amax": _larger, "amin": _smaller,
}  # fmt: skip


def _combine(x: Array, at: np.ndarray, source: Array, reduce: str, include_self: bool) -> Array:
    """``x`` with the entries of ``source`` combined into the positions ``at`` (from 1)."""
    flat = lift(x).copy().reshape(-1)
    counts = np.full(flat.size, int(include_self))
    for i, value in zip(at.reshape(-1) - 1, lift(source).reshape(-1), strict=True):
        flat[i] = _COMBINE[reduce](flat[i], value) if counts[i] else value
        counts[i] += 1
    if reduce == "mean":
        flat = flat / np.maximum(counts, 1)
    return ExactArray(flat.reshape(x.shape))


def scatter_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool = True) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _index(index)))
    return _combine(x, at, source[tuple(slice(n) for n in index.shape)] if index.ndim else source, reduce, include_self)


def index_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool = True) -> Array:
    at = _where_to(x.shape, lambda p: p.index_select(dim, _index(index)))
    return _combine(x, at, source, reduce, include_self)


def constant_pad(x: Array, pad: Any, value: Any = 0) -> Array:
    at = _where_to(x.shape, lambda p: torch.ops.aten.constant_pad_nd(p, pad, 0.0))
    flat = np.concatenate([np.array([ball(value)], dtype=object), lift(x).reshape(-1)])
    return ExactArray(flat[at.reshape(-1)].reshape(at.shape))


def adjoint(forward: Any) -> Callable[..., Any]:
    """The backward ``(grad, x, *args)`` of an operator that only moves entries."""
    return lambda grad, x, *args: scatter_into(x.shape, _where_to(x.shape, lambda p: forward(p, *args)), grad)


def adjoint_of_upsample(forward: Any) -> Callable[..., Any]:
    return lambda grad, out, size, *scales: scatter_into(size, _where_to(size, lambda p: forward(p, out, *scales)), grad)


def col2im(x: Array, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    channels = x.shape[-2] // math.prod(kernel)
    shape = (*x.shape[:-2], channels, *size)
    return scatter_into(shape, _where_to(shape, lambda p: torch.ops.aten.im2col(p, kernel, dilation, padding, stride)), x)


def embedding_backward(grad: Array, indices: Array, count: int, padding: int, scaled: bool) -> Array:
    made = np.full((count, grad.shape[-1]), ZERO, dtype=object)
    flat = indices.reshape(-1)
    times = np.bincount(flat, minlength=count)
    for i, row in zip(flat, lift(grad).reshape(-1, grad.shape[-1]), strict=True):
        if i != padding:
            made[i] = made[i] + (row / int(times[i]) if scaled else row)
    return ExactArray(made)


# Windows: convolution and pooling
def _per_axis(value: Any, n: int) -> list[int]:
    return [value] * n if isinstance(value, int) else list(value) * n if len(value) == 1 else list(value)


def _windows(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False) -> np.ndarray:
    """For each output position the input positions it sees, ``(*out, *kernel)``; 0 stands for padding."""
    seen: list[np.ndarray] = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        count = (span + s - 1) // s + 1 if ceil else span // s + 1
        if ceil and (count - 1) * s >= n + p:
            count -= 1
        at = np.arange(count)[:, None] * s - p + np.arange(k)[None, :] * d
        seen.append(np.where((at >= 0) & (at < n), at, -1))
    found: np.ndarray = np.zeros((1,) * (2 * len(seen)), dtype=np.intp)
    outside = np.zeros((1,) * (2 * len(seen)), dtype=bool)
    for axis, (n, at) in enumerate(zip(size, seen, strict=True)):
        shape = [1] * (2 * len(seen))
        shape[axis], shape[len(seen) + axis] = at.shape
        found = found * n + at.reshape(shape)
        outside = outside | (at.reshape(shape) < 0)
    return np.where(outside, 0, found + 1)


def _columns(x: np.ndarray, seen: np.ndarray, axes: int) -> np.ndarray:
    """``x`` of shape (..., *spatial) as (..., positions, window)."""
    flat = x.reshape(*x.shape[: x.ndim - axes], math.prod(x.shape[x.ndim - axes :]))
    flat = np.concatenate([np.full((*flat.shape[:-1], 1), ZERO, dtype=object), flat], axis=-1)
    return flat[..., seen.reshape(math.prod(seen.shape[:axes]), -1)]


def _uncolumns(columns: np.ndarray, seen: np.ndarray, size: Any) -> np.ndarray:
    """The adjoint of ``_columns``."""
    lead = columns.shape[:-2]
    flat = np.full((math.prod(size) + 1, *lead), ZERO, dtype=object)
    np.add.at(flat, seen.reshape(-1), np.moveaxis(columns.reshape(*lead, seen.size), -1, 0))
    return np.moveaxis(flat[1:], 0, -1).reshape(*lead, *size)


def _correlate(x: np.ndarray, w: np.ndarray, seen: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, *size) with (O, C/g, *k) as (N, O, *out)."""
    axes = w.ndim - 2
    columns = _columns(x, seen, axes)
    columns = columns.reshape(x.shape[0], groups, -1, *columns.shape[-2:])
    weights = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)
    return _contract("ngclk,gock->ngol", columns, weights).reshape(x.shape[0], w.shape[0], *seen.shape[:axes])


def _spread(y: np.ndarray, w: np.ndarray, seen: np.ndarray, groups: int, size: Any) -> np.ndarray:
    """The adjoint of ``_correlate`` in ``x``."""
    grads = y.reshape(y.shape[0], groups, w.shape[0] // groups, -1)
    weights = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)
    columns = _contract("ngol,gock->ngclk", grads, weights)
    return _uncolumns(columns.reshape(y.shape[0], groups * w.shape[1], *columns.shape[-2:]), seen, size)


def _weight_grad(x: np.ndarray, y: np.ndarray, shape: Any, seen: np.ndarray, groups: int) -> np.ndarray:
    """The adjoint of ``_correlate`` in ``w``."""
    columns = _columns(x, seen, len(shape) - 2)
    columns = columns.reshape(x.shape[0], groups, -1, *columns.shape[-2:])
    return _contract("ngclk,ngol->gock", columns, y.reshape(y.shape[0], groups, shape[0] // groups, -1)).reshape(shape)


def _contract(subscripts: str, *operands: np.ndarray) -> np.ndarray:
    return lift(np.einsum(subscripts, *(ExactArray(o) for o in operands)))


def _geometry(x: Array, w: Array, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any) -> Any:
    n = w.ndim - 2
    stride, padding, dilation, extra = (_per_axis(v, n) for v in (stride, padding, dilation, extra))
    size = list(x.shape[2:])
    if transposed:
        steps = zip(size, w.shape[2:], stride, padding, dilation, extra, strict=True)
        size = [(i - 1) * s - 2 * p + d * (k - 1) + e + 1 for i, k, s, p, d, e in steps]
    seen = _windows(size, w.shape[2:], stride, padding, dilation)
    return size, seen[tuple(slice(m) for m in x.shape[2:])] if transposed else seen


def convolution(
    x: Array, w: Array, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any, groups: int
) -> Array:
    size, seen = _geometry(x, w, stride, padding, dilation, transposed, extra)
    y = _spread(lift(x), lift(w), seen, groups, size) if transposed else _correlate(lift(x), lift(w), seen, groups)
    return wrap(y if bias is None else y + lift(bias).reshape(-1, *[1] * len(size)))


def convolution_backward(
    grad: Array, x: Array, w: Array, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int, mask: Any,
) -> Any:  # fmt: skip
    size, seen = _geometry(x, w, stride, padding, dilation, transposed, extra)
    g, xs, ws = lift(grad), lift(x), lift(w)
    dx = None
    if mask[0]:
        dx = wrap(_correlate(g, ws, seen, groups) if transposed else _spread(g, ws, seen, groups, size))
    dw = None
    if mask[1]:
        dw = wrap(_weight_grad(g, xs, ws.shape, seen, groups) if transposed else _weight_grad(xs, g, ws.shape, seen, groups))
    db = np.sum(wrap(g), axis=(0, *range(2, g.ndim))) if mask[2] else None
    return dx, dw, db


def _pooled(n: int, x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> np.ndarray:
    kernel = _per_axis(kernel, n)
    stride = _per_axis(stride, n) if stride else kernel
    return _windows(x.shape[-n:], kernel, stride, _per_axis(padding, n), _per_axis(dilation, n), ceil)


def _max_pool(n: int) -> Callable[..., Any]:
    def pool(x: Array, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, dilation, ceil_mode)
        lead, out = x.shape[:-n], seen.shape[:n]
        planes = lift(x).reshape(-1, math.prod(x.shape[-n:]))
        windows = [[i - 1 for i in row if i] for row in seen.reshape(math.prod(out), -1)]
        at = np.empty((len(planes), len(windows)), dtype=np.int64)
        for i, plane in enumerate(planes):
            for j, window in enumerate(windows):
                best = window[0]
                for k in window[1:]:
                    best = k if balls.greater(plane[k], plane[best]) else best
                at[i, j] = best
        values = np.take_along_axis(planes, at, 1)
        return wrap(values.reshape(*lead, *out)), at.reshape(*lead, *out)

    return pool


def max_pool_backward(n: int) -> Callable[..., Any]:
    def back(grad: Array, x: Array, *rest: Any) -> Array:
        size = math.prod(x.shape[-n:])
        planes = rest[-1].reshape(-1, math.prod(grad.shape[-n:]))
        return scatter_into(x.shape, planes + 1 + size * np.arange(len(planes))[:, None], grad.reshape(planes.shape))

    return back


def _avg_divisors(n: int, x: Array, seen: np.ndarray, kernel: Any, stride: Any, padding: Any, inclusive: bool, fixed: Any) -> Any:
    if fixed:
        return fixed
    if not inclusive:
        return (seen.reshape(math.prod(seen.shape[:n]), -1) > 0).sum(-1)
    kernel, padding = _per_axis(kernel, n), _per_axis(padding, n)
    stride = _per_axis(stride, n) if stride else kernel
    counts: Any = np.ones((1,) * n, dtype=np.intp)
    for axis in range(n):  # a window may reach into the padding, but what lies beyond it does not count
        start = np.arange(seen.shape[axis]) * stride[axis] - padding[axis]
        inside = np.minimum(start + kernel[axis], x.shape[x.ndim - n + axis] + padding[axis]) - start
        counts = counts * inside.reshape([-1 if a == axis else 1 for a in range(n)])
    return counts.reshape(-1)


def _avg_pool(n: int) -> Callable[..., Any]:
    def pool(
        x: Array, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, inclusive: bool = True, fixed: Any = None
    ) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, 1, ceil)
        divisors = _avg_divisors(n, x, seen, kernel, stride, padding, inclusive, fixed)
        sums = np.sum(ExactArray(_columns(lift(x), seen, n)), axis=-1)
        return (sums / divisors).reshape(*x.shape[:-n], *seen.shape[:n])

    return pool


def avg_pool_backward(n: int) -> Callable[..., Any]:
    def back(grad: Array, x: Array, kernel: Any, stride: Any, padding: Any, ceil: bool, inclusive: bool, fixed: Any) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, 1, ceil)
        divisors = _avg_divisors(n, x, seen, kernel, stride, padding, inclusive, fixed)
        each_window = lift(grad.reshape(*grad.shape[:-n], math.prod(grad.shape[-n:])) / divisors)[..., None]
        columns = np.broadcast_to(each_window, (*each_window.shape[:-1], math.prod(seen.shape[n:])))
        return wrap(_uncolumns(columns, seen, x.shape[-n:]))

    return back


_UNARY: dict[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in
    ["exp", "sqrt", "expm1", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log2", "log10", "exp2",
     "square", "reciprocal", "sign", "floor", "ceil", "trunc"]
} | {"a" + name: getattr(np, "arc" + name) for name in ["sin", "cos", "tan", "sinh", "cosh", "tanh"]}  # fmt: skip

TABLE: dict[str, Callable[..., Any]] = _UNARY | {
    "abs": np.absolute, "neg": np.negative, "sgn": np.sign, "rsqrt": lambda x: 1 / np.sqrt(x), "relu": lambda x: maximum(x, 0),
    "round": lambda x, decimals=0: np.rint(x * 10**decimals) / 10**decimals, "frac": lambda x: x - np.trunc(x),
    "sigmoid": sc.expit, "log_sigmoid_forward": lambda x: (sc.log_expit(x), x), "logit": logit,
    "log_sigmoid_backward": lambda grad, x, _: grad * sc.expit(-x), "silu": lambda x: x * sc.expit(x),
    "erf": sc.erf, "erfc": sc.erfc, "erfinv": sc.erfinv, "lgamma": each(lgamma), "digamma": sc.digamma,
    "special_ndtr": sc.ndtr, "special_log_ndtr": sc.log_ndtr, "special_entr": sc.entr, "sinc": each(sinc),
    "special_erfcx": lambda x: np.exp(x * x) * sc.erfc(x),
    "polygamma": lambda n, x: each(lambda a: polygamma(n, a))(x), "log": each(log),
    "i0": each(lambda a: a.bessel_i(ZERO)), "special_i1": each(lambda a: a.bessel_i(ONE)),
    "special_i0e": each(lambda a: (-abs(a)).exp() * a.bessel_i(ZERO)), "special_i1e": each(lambda a: (-abs(a)).exp() * a.bessel_i(ONE)),
    "angle": lambda x: where(x < 0, arb.pi(), ZERO), "special_ndtri": lambda p: sc.erfinv(2 * p - 1) * TWO.sqrt(),
    "softshrink_backward": lambda grad, x, lambd: where(abs(x) > lambd, grad, ZERO),
    "hardshrink_backward": lambda grad, x, lambd: where(abs(x) > lambd, grad, ZERO),
    "_trilinear": trilinear, "_cdist_forward": cdist, "_cdist_backward": cdist_backward,
    "linalg_lu_factor_ex": lu_factor, "_linalg_det": det, "_linalg_slogdet": slogdet, "_linalg_solve_ex": solve_ex,
    "linalg_inv_ex": lambda a, **_: (solve(a, filled(a.shape, 0) + np.eye(a.shape[-1])), _info(a)), "linalg_lu_solve": lu_solve,
    "linalg_solve_triangular": lambda a, b, upper, left=True, unitriangular=False:
        solve(wrap(_triangle(lift(a), upper, unitriangular)), b, left),
    "lu_unpack": lu_unpack, "linalg_lu": lambda a, pivot=True: lu_unpack(*lu_factor(a)[:2]),
    "cholesky_inverse": lambda root, upper=False:
        solve(np.matmul(root.mT, root) if upper else np.matmul(root, root.mT), filled(root.shape, 0) + np.eye(root.shape[-1])),
    "linalg_cholesky_ex": cholesky, "cholesky": lambda a, upper=False: cholesky(a, upper)[0],
    "cholesky_solve": lambda b, root, upper=False: solve(np.matmul(root.mT, root) if upper else np.matmul(root, root.mT), b),
    "put": put, "masked_scatter_backward": masked_scatter_backward, "scatter_reduce.two": scatter_reduce, "index_reduce": index_reduce,
    "add": lambda a, b, alpha=1: wrap(lift(a)) + (b if alpha == 1 else wrap(lift(b)) * alpha),
    "sub": lambda a, b, alpha=1: wrap(lift(a)) - (b if alpha == 1 else wrap(lift(b)) * alpha),
    "rsub": lambda a, b, alpha=1: b - (a if alpha == 1 else a * alpha),
    "mul": lambda a, b: wrap(lift(a)) * b, "div": div, "pow": lambda a, b: np.power(wrap(lift(a)), b),
    "addcmul": lambda x, a, b, value=1: x + wrap(lift(a)) * b * value,
    "addcdiv": lambda x, a, b, value=1: x + wrap(lift(a)) / b * value,
    "lerp": lambda a, b, t: a + (b - a) * t,
    "remainder": lambda a, b: np.remainder(wrap(lift(a)), b), "fmod": fmod, "floor_divide": lambda a, b: np.floor(div(a, b)),
    "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp, "logaddexp2": logaddexp2,
    "xlogy": sc.xlogy, "special_xlog1py": sc.xlog1py, "copysign": lambda a, b: np.copysign(wrap(lift(a)), b),
    "heaviside": np.heaviside, "maximum": maximum, "minimum": minimum, "fmax": maximum, "fmin": minimum,
    "clamp": clamp, "clamp_min": maximum, "clamp_max": minimum, "where": where, "masked_fill": masked_fill,
    "eq": _same(balls.equal, True), "ne": _same(balls.not_equal, False), "gt": _same(balls.greater, False),
    "ge": _same(balls.greater_equal, True), "lt": _same(balls.less, False), "le": _same(balls.less_equal, True),
    "isnan": _test(np.isnan), "isinf": _test(np.isinf), "isfinite": _test(np.isfinite), "signbit": _test(np.signbit),
    "logical_not": _test(np.logical_not), "logical_and": _test(np.logical_and), "logical_or": _test(np.logical_or),
    "logical_xor": _test(np.logical_xor), "equal": lambda a, b: bool(a.shape == b.shape and TABLE["eq"](a, b).all()),
    "gelu": gelu, "gelu_backward": gelu_backward, "hardsigmoid_backward": hardsigmoid_backward,
    "sum": total, "mean": mean, "nansum": total, "var": var, "var_mean": var_mean,
    "std": lambda *args, **kwargs: np.sqrt(var(*args, **kwargs)),
    "prod": _reduce(np.prod), "any": _reduce(np.any), "all": _reduce(np.all), "count_nonzero": _reduce(np.count_nonzero),
    "amax": _reduce(_extreme(_larger)), "amin": _reduce(_extreme(_smaller)), "max": _reduce(_extreme(_larger)),
    "min": _reduce(_extreme(_smaller)), "max.dim": _extreme_at(np.argmax), "min.dim": _extreme_at(np.argmin),
    "argmax": _arg(np.argmax), "argmin": _arg(np.argmin),
    "linalg_vector_norm": vector_norm, "norm": norm, "logsumexp": logsumexp, "_softmax": softmax, "_log_softmax": log_softmax,
    "_softmax_backward_data": _softmax_backward, "_log_softmax_backward_data": _log_softmax_backward,
    "cumsum": _accumulate(np.add), "cumprod": _accumulate(np.multiply), "logcumsumexp": logcumsumexp,
    "mm": _matmul, "bmm": _matmul, "mv": _matmul, "dot": _matmul, "vdot": _matmul, "addmm": _plus(_matmul),
    "addmv": _plus(_matmul), "baddbmm": _plus(_matmul), "addbmm": _plus(lambda a, b: np.sum(_matmul(a, b), axis=0)),
    "addr": _plus(lambda a, b: a[:, None] * b[None, :]), "trace": lambda x: np.sum(x.diagonal()),
    "zeros_like": _like(0), "ones_like": _like(1), "empty_like": _like(0), "new_zeros": _new(0), "new_ones": _new(1),
    "new_empty": _new(0), "full_like": lambda x, value, dtype=None, **_: filled(x.shape, value, dtype),
    "new_full": lambda x, size, value, dtype=None, **_: filled(size, value, dtype), "zero": _like(0),
    "fill": lambda x, value: filled(x.shape, number(value)), "copy": lambda x, y, *_: np.broadcast_to(wrap(lift(y)), x.shape).copy(),
    "_to_copy": to_copy, "clone": lambda x, **_: x.copy(), "_has_same_storage_numel": lambda a, b: a.size == b.size,
    "is_same_size": lambda a, b: a.shape == b.shape,
    "constant_pad_nd": constant_pad, "index_add": index_add, "scatter_add": scatter_add, "scatter.value": scatter_value,
    "embedding_dense_backward": embedding_backward, "col2im": col2im,
    "convolution": convolution, "convolution_backward": convolution_backward,
    "max_pool2d_with_indices": _max_pool(2), "max_pool3d_with_indices": _max_pool(3),
    "max_pool2d_with_indices_backward": max_pool_backward(2), "max_pool3d_with_indices_backward": max_pool_backward(3),
    "adaptive_max_pool2d_backward": max_pool_backward(2), "adaptive_max_pool3d_backward": max_pool_backward(3),
    "avg_pool2d": _avg_pool(2), "avg_pool3d": _avg_pool(3),
    "avg_pool2d_backward": avg_pool_backward(2), "avg_pool3d_backward": avg_pool_backward(3),
}  # fmt: skip
TABLE |= {f"{pad}_pad{n}d_backward": adjoint(getattr(torch.ops.aten, f"{pad}_pad{n}d"))
          for pad in ("reflection", "replication") for n in (1, 2, 3)}  # fmt: skip
TABLE |= {f"{way}{n}d_backward": adjoint_of_upsample(getattr(torch.ops.aten, f"{way}{n}d").default)
          for way in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)}  # fmt: skip

_MOVES = """roll flip gather index_select index.Tensor take repeat cat stack tril triu diag_embed scatter.src masked_scatter
    slice_scatter select_scatter diagonal_scatter as_strided_scatter im2col pixel_shuffle pixel_unshuffle channel_shuffle
    masked_select select_backward slice_backward diagonal_backward index_copy unfold_copy embedding rot90
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d _unsafe_index.Tensor repeat_interleave as_strided_copy block_diag"""
_ORDERS = """sort topk kthvalue median nanmedian mode cummax cummin unique _unique2 argsort searchsorted bucketize
    adaptive_max_pool2d adaptive_max_pool3d"""
WITH_OPERATOR: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_MOVES.split(), move), **dict.fromkeys(_ORDERS.split(), order),
    "index_put": index_put, "_unsafe_index_put": index_put,
}  # fmt: skip


def _resized(forward: Any) -> Callable[..., Any]:
    return lambda grad, out, size, *rest, **names: (forward, [torch.zeros(size)], (out, *rest, *names.values()), grad)


def _of_input(forward: Any) -> Callable[..., Any]:
    return lambda grad, x, *rest: (forward, [x], rest, grad)


def _attention(q: Any, k: Any, v: Any, mask: Any, dropout: float, causal: bool, scale: Any) -> Any:
    return torch.ops.aten._scaled_dot_product_attention_math(q, k, v, mask, dropout, causal, scale=scale)[0]


# Backwards to find by autograd through the decomposition of a forward: (forward, primals, other arguments, cotangent)
_ops = torch.ops.aten
PULLBACKS: dict[str, Callable[..., Any]] = {
    "upsample_linear1d_backward": _resized(_ops.upsample_linear1d.default),
    "upsample_bilinear2d_backward": _resized(_ops.upsample_bilinear2d.default),
    "upsample_trilinear3d_backward": _resized(_ops.upsample_trilinear3d.default),
    "upsample_bicubic2d_backward": _resized(_ops.upsample_bicubic2d.default),
    "_adaptive_avg_pool2d_backward":
        lambda grad, x: (_ops._adaptive_avg_pool2d.default, [x], (list(grad.shape[-2:]),), grad),
    "grid_sampler_2d_backward": lambda grad, x, grid, *rest: (_ops.grid_sampler_2d.default, [x, grid], rest[:3], grad),
    "_scaled_dot_product_flash_attention_for_cpu_backward": lambda grad, q, k, v, y, logs, p, causal, attn_mask=None, scale=None:
        (_attention, [q, k, v], (attn_mask, p, causal, scale), grad),
    "multi_margin_loss_backward": lambda grad, x, target, p, margin, weight=None, reduction=1:
        (_ops.multi_margin_loss.default, [x], (target, p, margin, weight, reduction), grad),
}  # fmt: skip

# Operators that make new tensors: the exact values, or None for those of torch's own result
FACTORIES: dict[str, Any] = {
    "zeros": None, "ones": None, "eye": None, "scalar_tensor": None, "lift_fresh": None, "tril_indices": None,
    "full": lambda shape, _, value: filled(shape, value), "empty": lambda shape, *_: filled(shape, 0),
    "empty_strided": lambda shape, *_: filled(shape, 0), "arange": arange, "linspace": linspace,
}  # fmt: skip
DRAWS = {"uniform_", "normal_", "bernoulli_", "exponential_", "geometric_", "log_normal_", "cauchy_", "random_"}
KEEP_PLAIN = {"_local_scalar_dense", "bernoulli", "normal", "rand_like", "randn_like", "detach", "randint_like", "multinomial", "item"}
