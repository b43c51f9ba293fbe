"""What the functions of NumPy and SciPy do on exact arrays.

Four tables: ``UFUNCS`` (elementwise, by name, scipy.special's among them), ``FUNCTIONS``
(written here), ``STRUCTURAL`` (they only move entries, so NumPy's own code does it on the
object arrays) and ``METHODS`` (the array methods that are functions of the same name). What is
in none of them is refused by name.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from gradcheck.exact import balls, elimination
from gradcheck.exact.array import ExactArray, Work, lift, wrap
from gradcheck.exact.balls import HALF, ONE, TWO, ZERO
from gradcheck.exact.errors import NotExact, outward, user_frame

_UNARY: dict[str, Callable[[arb], Any]] = {
    "exp": arb.exp, "log": balls.log, "sqrt": arb.sqrt, "expm1": arb.expm1, "log1p": arb.log1p,
    "sin": arb.sin, "cos": arb.cos, "tan": arb.tan, "sinh": arb.sinh, "cosh": arb.cosh, "tanh": arb.tanh,
    "arcsin": arb.asin, "arccos": arb.acos, "arctan": arb.atan,
    "arcsinh": arb.asinh, "arccosh": arb.acosh, "arctanh": arb.atanh,
    "log2": lambda a: a.log() / TWO.log(), "log10": lambda a: a.log() / arb(10).log(), "exp2": lambda a: TWO**a,
    "cbrt": balls.cbrt, "square": lambda a: a * a, "reciprocal": lambda a: ONE / a,
    "absolute": abs, "fabs": abs, "negative": operator.neg, "positive": lambda a: a, "conjugate": lambda a: a,
    "sign": balls.sign, "floor": arb.floor, "ceil": arb.ceil, "rint": balls.rint, "trunc": lambda a: arb(balls.integer(a)),
    "deg2rad": lambda a: a * arb.pi() / 180, "radians": lambda a: a * arb.pi() / 180, "rad2deg": lambda a: a * 180 / arb.pi(),
    "erf": arb.erf, "erfc": arb.erfc, "erfinv": arb.erfinv, "gammaln": balls.gammaln, "gamma": arb.gamma,
    "digamma": arb.digamma, "psi": arb.digamma, "expit": balls.expit, "logit": balls.logit, "log_expit": balls.log_expit,
    "softplus": balls.softplus, "ndtr": balls.ndtr, "log_ndtr": balls.log_ndtr, "entr": balls.entr,
}  # fmt: skip
_BINARY: dict[str, Callable[[arb, arb], Any]] = {
    "maximum": balls.larger, "minimum": balls.smaller, "fmax": balls.larger, "fmin": balls.smaller,
    "power": balls.power, "float_power": balls.power, "pow": balls.power,
    "floor_divide": balls.floor_divide, "remainder": balls.remainder, "mod": balls.remainder,
    "arctan2": arb.atan2, "hypot": balls.hypot, "logaddexp": balls.logaddexp,
    "copysign": lambda a, b: abs(a) if balls.greater_equal(b, ZERO) else -abs(a),
    "heaviside": lambda a, b: b if balls.equal(a, ZERO) else arb(int(balls.greater(a, ZERO))),
    "xlogy": balls.xlogy, "xlog1py": balls.xlog1py, "rel_entr": balls.rel_entr, "kl_div": balls.kl_div, "huber": balls.huber,
}  # fmt: skip
_TESTS: dict[str, tuple[int, Callable[..., bool]]] = {
    "greater": (2, balls.greater), "greater_equal": (2, balls.greater_equal), "less": (2, balls.less),
    "less_equal": (2, balls.less_equal), "equal": (2, balls.equal), "not_equal": (2, balls.not_equal),
    "isnan": (1, arb.is_nan), "isfinite": (1, arb.is_finite), "isinf": (1, balls.isinf),
    "signbit": (1, lambda a: balls.less(a, ZERO)), "logical_not": (1, lambda a: not balls.truth(a)),
    "logical_and": (2, lambda a, b: balls.truth(a) and balls.truth(b)),
    "logical_or": (2, lambda a, b: balls.truth(a) or balls.truth(b)),
    "logical_xor": (2, lambda a, b: balls.truth(a) != balls.truth(b)),
}  # fmt: skip

UFUNCS: dict[str, Callable[..., Any]] = {
    **{name: np.frompyfunc(f, 1, 1) for name, f in _UNARY.items()},
    **{name: np.frompyfunc(f, 2, 1) for name, f in _BINARY.items()},
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "true_divide": operator.truediv, "matmul": np.matmul,
}  # fmt: skip
_LOOP = "write it as a loop"
TESTS = {name: np.frompyfunc(f, n, 1) for name, (n, f) in _TESTS.items()}
_FOLDS: dict[str, tuple[Callable[[arb, arb], arb], arb | None]] = {
    "add": (operator.add, ZERO), "multiply": (operator.mul, ONE),
    "maximum": (balls.larger, None), "minimum": (balls.smaller, None), "fmax": (balls.larger, None), "fmin": (balls.smaller, None),
    "logaddexp": (balls.logaddexp, arb.neg_inf()), "hypot": (balls.hypot, ZERO),
}  # fmt: skip


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``ufunc.method(*inputs, **options)`` on balls; raises ``NotExact`` where there is no such thing."""
    name = ufunc.__name__
    out = options.pop("out", None)
    options.pop("dtype", None), options.pop("casting", None)
    if method == "__call__":
        result = _masked(name, inputs, out, options["where"]) if options.get("where", True) is not True else _call(name, inputs)
    elif method == "reduce":
        result = _ufunc_reduce(name, *inputs, **options)
    elif method == "accumulate":
        result = accumulate(name, *inputs, **options)
    elif method == "outer":
        first, second = (lift(v) for v in inputs)
        result = _call(name, (wrap(first.reshape(first.shape + (1,) * second.ndim)), wrap(second)))
    elif method == "at":
        return _ufunc_at(name, *inputs)
    else:
        raise NotExact(f"np.{name}.{method} has no exact counterpart", f"use np.{name}.reduce on slices")
    if out is None:
        return result
    if method == "__call__" and len(inputs) == 2 and out[0] is inputs[0] and type(out[0]) is not ExactArray and type(result) is ExactArray:
        raise NotExact(_UPDATED.get(name, "a float array is updated in place with exact values"), _without_update())
    return deliver(result, out[0])


_UPDATED = {
    "add": "exact values are added in place to a float array",
    "subtract": "exact values are subtracted in place from a float array",
}


def _without_update() -> str:
    """What to write for an update such as ``self.dw += ...`` of an array that was made elsewhere."""
    frame = user_frame()
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals) if frame is not None else ""
    update = re.match(r"\s*([\w.]+)\s*(\*\*|//|[-+*/@])=", line)
    instead = f", or write {update[1]} = {update[1]} {update[2]} ..." if update else ""
    return outward() + instead


def deliver(result: Any, out: Any) -> Any:
    """Write ``result`` into ``out`` as the ``out=`` of a function; a float array is refused."""
    if type(out) is ExactArray:
        out.balls_[...] = lift(result)
    elif isinstance(out, np.ndarray) and type(result) is not ExactArray:
        out[...] = result
    else:
        raise NotExact("exact values are written into a float array through out=", outward())
    return out


def _call(name: str, inputs: tuple[Any, ...]) -> Any:
    data = [lift(v) for v in inputs]
    if name in TESTS:
        result = TESTS[name](*data)
        return result.astype(bool) if type(result) is np.ndarray else np.bool_(result)
    if name not in UFUNCS:
        made = name.endswith(" (vectorized)")
        raise NotExact(f"{name} has no exact counterpart", "write it without np.frompyfunc, with array operations" if made else "")
    Work.steps += data[0].shape[-1] if name == "matmul" and data[0].ndim else 1
    result = UFUNCS[name](*data)
    return wrap(lift(result) if name == "matmul" and not data[0].shape[-1] else result)


def _masked(name: str, inputs: tuple[Any, ...], out: Any, mask: Any) -> Any:
    data = np.broadcast_arrays(*(lift(v) for v in inputs))
    where = np.broadcast_to(np.asarray(mask), data[0].shape)
    made = ExactArray(lift(out[0]).copy() if out is not None else np.full(data[0].shape, ZERO, dtype=object))
    chosen = _call(name, tuple(ExactArray(d[where]) for d in data))
    if type(chosen) is not ExactArray:
        raise NotExact(f"np.{name} with where= has no exact counterpart", "use np.where")
    made.balls_[where] = chosen.balls_
    return made


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(operator.index(a) % ndim if ndim else a for a in axes)


def _last(data: np.ndarray, axis: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """``data`` with the axes to fold joined into one last axis, and those axes."""
    axes = _axes(axis, data.ndim)
    kept = [a for a in range(data.ndim) if a not in axes]
    moved = data.transpose(kept + list(axes))
    return moved.reshape([data.shape[a] for a in kept] + [int(np.prod([data.shape[a] for a in axes], dtype=int))]), axes


def fold(name: str, value: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """Reduce over ``axis`` with the ufunc ``name``; counts one rounding an entry."""
    data = lift(value)
    function, neutral = _FOLDS[name]
    if where is not True:
        if neutral is None:
            neutral = arb.neg_inf() if "max" in name else arb.pos_inf()
        data = np.where(np.broadcast_to(where, data.shape), data, neutral)
    joined, axes = _last(data, axis)
    if joined.shape[-1] == 0 and neutral is None and initial is None:
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    Work.steps += joined.shape[-1] if neutral is not None else 0
    start = neutral if initial is None else balls.ball(initial)
    entries = joined.reshape(-1, joined.shape[-1]).tolist() if joined.size else [[]] * int(np.prod(joined.shape[:-1], dtype=int))
    results = np.empty(len(entries), dtype=object)
    for i, row in enumerate(entries):
        results[i] = functools.reduce(function, row, start) if start is not None else functools.reduce(function, row)
    shape = tuple(1 if a in axes else n for a, n in enumerate(data.shape)) if keepdims else joined.shape[:-1]
    shaped = results.reshape(shape)
    return wrap(shaped if shaped.ndim else shaped[()])


def _ufunc_reduce(name: str, value: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None, where: Any = True, **_: Any) -> Any:
    if name in ("logical_and", "logical_or"):
        return (np.all if name == "logical_and" else np.any)(value.astype(bool), axis=axis, keepdims=keepdims)
    if name not in _FOLDS:
        raise NotExact(f"np.{name}.reduce has no exact counterpart", _LOOP)
    return fold(name, value, axis, keepdims, None if initial is np._NoValue else initial, where)


def accumulate(name: str, value: Any, axis: Any = 0, **_: Any) -> Any:
    """``np.cumsum`` and its like."""
    if name not in _FOLDS:
        raise NotExact(f"np.{name}.accumulate has no exact counterpart", _LOOP)
    data = lift(value)
    Work.steps += data.shape[axis] if data.ndim else 1
    return wrap(lift(np.frompyfunc(_FOLDS[name][0], 2, 1).accumulate(data, axis=axis)) if data.size else data.copy())


def _ufunc_at(name: str, target: Any, indices: Any, *values: Any) -> None:
    if type(target) is not ExactArray:
        raise NotExact(f"exact values are put into a float array by np.{name}.at", outward())
    function = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}.get(name)
    if function is None:
        raise NotExact(f"np.{name}.at has no exact counterpart", "use np.add.at, or a loop")
    Work.steps += target.size
    function.at(target.balls_, indices, *(lift(v) for v in values))


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}


def _implements(*functions: Callable[..., Any], method: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = body
        if method:
            METHODS[method] = body
        return body

    return register


def _kept(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


def _given(result: Any, out: Any) -> Any:
    """``result``, or ``out`` with it inside, for functions that have an ``out``."""
    return result if out is None else deliver(result, out)


def _floats_only(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise NotExact(f"exact values are reduced in dtype {np.dtype(dtype)}", "drop dtype=")


def _reduction(name: str) -> Callable[..., Any]:
    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        _floats_only(dtype)
        initial = None if initial is np._NoValue else initial
        return _given(fold(name, a, axis, _kept(keepdims), initial, True if where is np._NoValue else where), out)

    return reduction


def _extreme(name: str) -> Callable[..., Any]:
    reduction = _reduction(name)
    return lambda a, axis=None, out=None, keepdims=False, initial=None, where=True: reduction(a, axis, None, out, keepdims, initial, where)


for _names, _made in (
    (("sum",), _reduction("add")), (("prod",), _reduction("multiply")),
    (("max", "amax"), _extreme("maximum")), (("min", "amin"), _extreme("minimum")),
):  # fmt: skip
    for _n in _names:
        _implements(getattr(np, _n), method=_names[0])(_made)


def _count(shape: tuple[int, ...], axis: Any) -> int:
    return int(np.prod([shape[a] for a in _axes(axis, len(shape))], dtype=int))


@_implements(np.mean, method="mean")
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    _floats_only(dtype)
    return _given(_average(a, axis, _kept(keepdims), where), out)


def _average(a: Any, axis: Any, keepdims: bool, where: Any, less: Any = 0) -> Any:
    """The mean over the entries that ``where`` lets in, their number being ``less`` fewer."""
    if where is True or where is np._NoValue:
        return fold("add", a, axis, keepdims) / (_count(np.shape(a), axis) - less)
    count = np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims)
    return fold("add", a, axis, keepdims, None, where) / (count - less)


@_implements(np.var, method="var")
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
    _floats_only(dtype)
    x = wrap(lift(a))
    freedom = correction if isinstance(correction, (int, float)) else ddof
    centred = x - (_average(x, axis, True, where) if mean is None or mean is np._NoValue else mean)
    return _given(_average(centred * centred, axis, _kept(keepdims), where, freedom), out)


@_implements(np.std, method="std")
def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any) -> Any:
    return _given(np.sqrt(var(a, axis, dtype, None, *args, **kwargs)), out)


@_implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    if returned:
        raise NotExact("np.average with returned=True has no exact counterpart", "take np.sum of the weights")
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a) and axis is not None:
        weights = np.reshape(weights, [-1 if i == axis % np.ndim(a) else 1 for i in range(np.ndim(a))])
    w = wrap(np.broadcast_to(lift(weights), np.shape(a)))
    return fold("add", w * a, axis, _kept(keepdims)) / fold("add", w, axis, _kept(keepdims))


@_implements(np.cumsum, method="cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    _floats_only(dtype)
    return _given(accumulate("add", a.ravel() if axis is None else a, axis or 0), out)


@_implements(np.cumprod, method="cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    _floats_only(dtype)
    return _given(accumulate("multiply", a.ravel() if axis is None else a, axis or 0), out)


@_implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    if prepend is not np._NoValue or append is not np._NoValue:
        raise NotExact("np.diff with prepend= or append= has no exact counterpart", "use np.concatenate before it")
    for _ in range(n):
        a = wrap(np.diff(lift(a), axis=axis))
        Work.steps += 1
    return a


@_implements(np.clip, method="clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.get("min", a_min), options.get("max", a_max)
    result = wrap(lift(a))
    result = result if low is None else np.maximum(result, low)
    result = result if high is None else np.minimum(result, high)
    return _given(result, out)


@_implements(np.round, np.around, method="round")
def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    scale = 10 ** abs(decimals)
    return _given(np.rint(a * scale) / scale if decimals >= 0 else np.rint(a / scale) * scale, out)


@_implements(np.where)
def where(condition: Any, *choices: Any) -> Any:
    if type(condition) is ExactArray:
        condition = condition.astype(bool)
    if not any(type(c) is ExactArray for c in choices):
        return np.where(condition, *choices)
    return ExactArray(np.where(condition, *(lift(c) for c in choices)))


@_implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, **_: Any) -> Any:
    return x.copy() if copy else x


@_implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if (isinstance(axis, tuple) and ord not in (None, "fro")) or (axis is None and np.ndim(x) > 1 and ord not in (None, "fro")):
        raise NotExact(f"np.linalg.norm of a matrix with ord={ord!r} has no exact counterpart")
    if ord in (None, 2, "fro"):
        return np.sqrt(fold("add", x * x, axis, keepdims))
    if ord in (np.inf, -np.inf):
        return fold("maximum" if ord > 0 else "minimum", abs(x), axis, keepdims)
    if ord == 0:
        return wrap(lift(np.sum(x != 0, axis=axis, keepdims=keepdims)))
    return np.power(fold("add", np.power(abs(x), ord), axis, keepdims), ONE / balls.ball(ord))


def _order(row: Iterable[arb], reverse: bool = False) -> list[int]:
    items = list(row)
    compare = lambda i, j: -1 if balls.less(items[i], items[j]) else int(balls.greater(items[i], items[j]))  # noqa: E731
    return sorted(range(len(items)), key=functools.cmp_to_key(compare))


def _along(function: Callable[[list[arb]], Any], a: Any, axis: Any, keepdims: bool = False, whole: bool = False) -> Any:
    """Apply ``function`` (row -> an integer, or as many as the row has if ``whole``) along one axis."""
    data = lift(a).reshape(-1) if axis is None else lift(a)
    axis = -1 if axis is None else axis
    moved = np.moveaxis(data, axis, -1)
    rows = [function(list(moved[i])) for i in np.ndindex(moved.shape[:-1])]
    found = np.array(rows, dtype=np.intp).reshape(moved.shape if whole else moved.shape[:-1])
    if whole:
        return np.moveaxis(found, -1, axis)
    return np.expand_dims(found, axis) if keepdims else found[()]


def _best(better: Callable[[arb, arb], bool]) -> Callable[[list[arb]], int]:
    def search(row: list[arb]) -> int:
        best = 0
        for i in range(1, len(row)):
            if better(row[i], row[best]):
                best = i
        return best

    return search


@_implements(np.argmax, method="argmax")
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    return _given(_along(_best(balls.greater), a, axis, _kept(keepdims)), out)


@_implements(np.argmin, method="argmin")
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    return _given(_along(_best(balls.less), a, axis, _kept(keepdims)), out)


@_implements(np.argsort, method="argsort")
def argsort(a: Any, axis: Any = -1, **_: Any) -> Any:
    return _along(_order, a, axis, whole=True)


@_implements(np.sort)
def sort(a: Any, axis: Any = -1, **_: Any) -> Any:
    order = argsort(a, axis)
    return wrap(np.take_along_axis(lift(a), order, axis)) if axis is not None else a.ravel()[order]


def _sort_method(a: ExactArray, axis: int = -1, **_: Any) -> None:
    a.balls_[...] = sort(a, axis).balls_


METHODS["sort"] = _sort_method


@_implements(np.any, method="any")
def any_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return _given(np.any(a.astype(bool), axis=axis, keepdims=_kept(keepdims), where=where), out)


@_implements(np.all, method="all")
def all_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    return _given(np.all(a.astype(bool), axis=axis, keepdims=_kept(keepdims), where=where), out)


@_implements(np.nonzero, method="nonzero")
def nonzero(a: Any) -> Any:
    return np.nonzero(a.astype(bool))


@_implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.count_nonzero(a.astype(bool), axis=axis, keepdims=keepdims)


@_implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return abs(wrap(lift(a)) - b) <= abs(wrap(lift(b))) * rtol + atol


@_implements(np.allclose)
def allclose(*args: Any, **kwargs: Any) -> bool:
    return bool(np.all(isclose(*args, **kwargs)))


@_implements(np.array_equal)
def array_equal(a: Any, b: Any, equal_nan: bool = False) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.all(wrap(lift(a)) == b))


@_implements(np.einsum)
def einsum(subscripts: Any, *operands: Any, out: Any = None, **_: Any) -> Any:
    if not isinstance(subscripts, str):
        raise NotExact("np.einsum with lists of axes has no exact counterpart", "give the subscripts as a string")
    data = [lift(o) for o in operands]
    Work.steps += max(d.size for d in data)
    return _given(_outer(np.einsum(subscripts, *data)), out)


@_implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return np.dot(wrap(lift(a)).ravel(), wrap(lift(b)).ravel())


@_implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    return elimination.solve(a, b[:, None])[..., 0] if np.ndim(b) == 1 else elimination.solve(a, b)


class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


@_implements(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    value = elimination.determinant(a)
    return SlogdetResult(np.sign(value), np.log(abs(value)))


@_implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return elimination.cholesky(a.mT).mT if upper else elimination.cholesky(a)


FUNCTIONS[np.linalg.inv], FUNCTIONS[np.linalg.det] = elimination.inverse, elimination.determinant


@_implements(np.linalg.multi_dot)
def multi_dot(arrays: Iterable[Any], *, out: Any = None) -> Any:
    return _given(functools.reduce(np.dot, arrays), out)


def _filled(value: arb) -> Callable[..., Any]:
    def like(prototype: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
        shape = np.shape(prototype) if shape is None else shape
        if dtype is not None and np.dtype(dtype).kind != "f":
            return np.full(shape, int(value == ONE), dtype=dtype)
        return ExactArray(np.full(shape, value, dtype=object))

    return like


FUNCTIONS[np.zeros_like] = FUNCTIONS[np.empty_like] = _filled(ZERO)
FUNCTIONS[np.ones_like] = _filled(ONE)


@_implements(np.full_like)
def full_like(prototype: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    if dtype is not None and np.dtype(dtype).kind != "f":
        return np.full(np.shape(prototype) if shape is None else shape, fill_value, dtype=dtype)
    return ExactArray(np.broadcast_to(lift(fill_value), np.shape(prototype) if shape is None else shape).copy())


@_implements(np.shape)
def shape(a: Any) -> Any:
    return lift(a).shape


@_implements(np.ndim)
def ndim(a: Any) -> Any:
    return lift(a).ndim


@_implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    return np.size(lift(a), axis)


@_implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return False


@_implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return True


@_implements(np.result_type, np.common_type)
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


_CONTRACTIONS = (np.dot, np.inner, np.outer, np.tensordot, np.kron, np.trace, np.convolve)
for _f in (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal):
    FUNCTIONS[_f] = _into_first(_f)

STRUCTURAL: set[Callable[..., Any]] = {
    np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.roll, np.flip, np.fliplr, np.flipud,
    np.rot90, np.expand_dims, np.squeeze, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_to, np.broadcast_arrays,
    np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block, np.append, np.insert, np.delete,
    np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.tile, np.repeat, np.pad, np.resize, np.meshgrid,
    np.take, np.take_along_axis, np.compress, np.extract, np.choose, np.select, np.diag, np.diagflat, np.diagonal,
    np.tril, np.triu, np.copy, np.real, np.lib.stride_tricks.as_strided, np.lib.stride_tricks.sliding_window_view,
    np.matrix_transpose, np.permute_dims, *_CONTRACTIONS,
}  # fmt: skip
METHODS |= {
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


__all__ = ["FUNCTIONS", "HALF", "METHODS", "STRUCTURAL", "UFUNCS", "accumulate", "apply_function", "apply_ufunc", "deliver", "fold"]
