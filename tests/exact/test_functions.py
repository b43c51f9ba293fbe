"""Every function on balls: the true value is inside, the ball is tight, and NumPy's semantics hold."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import flint
import mpmath as mp
import numpy as np
import pytest
import scipy.special
from flint import arb
from numpy.lib import stride_tricks
from numpy.lib.stride_tricks import as_strided

from gradcheck.exact.array import ExactArray, exact
from gradcheck.exact.errors import NotExact
from gradcheck.exact.functions import METHODS, STRUCTURAL
from gradcheck.exact.ufuncs import TESTS, UFUNCS, fold

Number = Any


UNARY: dict[str, Callable[[Number], Number]] = {
    **{
        name: getattr(mp, name)
        for name in (
            "exp",
            "log",
            "sqrt",
            "expm1",
            "log1p",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "erf",
            "erfc",
            "erfinv",
            "gamma",
            "floor",
            "ceil",
            "sign",
            "digamma",
        )
    },
    **{f"arc{name}": getattr(mp, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "psi": mp.digamma,
    "rint": mp.nint,
    "trunc": lambda x: mp.floor(x) if x > 0 else mp.ceil(x),
    "log2": lambda x: mp.log(x, 2),
    "log10": mp.log10,
    "exp2": lambda x: mp.mpf(2) ** x,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "absolute": abs,
    "fabs": abs,
    "negative": lambda x: -x,
    "positive": lambda x: x,
    "conjugate": lambda x: x,
    "deg2rad": mp.radians,
    "radians": mp.radians,
    "rad2deg": mp.degrees,
    "degrees": mp.degrees,
    "gammaln": lambda x: mp.log(abs(mp.gamma(x))),
    "expit": lambda x: 1 / (1 + mp.exp(-x)),
    "logit": lambda p: mp.log(p / (1 - p)),
    "log_expit": lambda x: -mp.log1p(mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "ndtr": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "log_ndtr": lambda x: mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2),
    "entr": lambda p: -p * mp.log(p) if p else p * 0,
}


def xlogy(x: Number, y: Number) -> Number:
    return x * mp.log(y) if x else x * 0


BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "maximum": max,
    "minimum": min,
    "fmax": max,
    "fmin": min,
    "power": mp.power,
    "float_power": mp.power,
    "pow": mp.power,
    "floor_divide": lambda a, b: mp.floor(a / b),
    "remainder": lambda a, b: a - b * mp.floor(a / b),
    "mod": lambda a, b: a - b * mp.floor(a / b),
    "fmod": lambda a, b: a - b * (mp.floor(a / b) if a / b > 0 else mp.ceil(a / b)),
    "arctan2": mp.atan2,
    "hypot": mp.hypot,
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
    "logaddexp2": lambda a, b: mp.log(mp.mpf(2) ** a + mp.mpf(2) ** b, 2),
    "copysign": lambda a, b: abs(a) if b >= 0 else -abs(a),
    "heaviside": lambda a, b: b if a == 0 else mp.mpf(int(a > 0)),
    "xlogy": xlogy,
    "xlog1py": lambda x, y: x * mp.log1p(y) if x else x * 0,
    "rel_entr": lambda p, q: p * mp.log(p / q) if p else p * 0,
    "kl_div": lambda p, q: (p * mp.log(p / q) if p else 0) - p + q,
    "huber": lambda d, r: r * r / 2 if abs(r) <= d else d * (abs(r) - d / 2),
}
CONTRACTING = {"matmul", "vecdot", "matvec", "vecmat"}
ANYWHERE = (0.0, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 0.1, -0.3, 7.25, -40.0, 40.0, 1e-5, -1e-300, 1e4, -745.5, 1.5, 3.0, 5e-324, 0.9999999)
PAIRS = tuple((a, b) for a in (0.0, 0.5, -1.25, 3.0, 1e-8, 40.0, -700.5) for b in (0.25, -1.5, 2.0, 3.0, 1e-6, 300.0))


@pytest.fixture(autouse=True)
def digits() -> Any:
    with flint.ctx.workprec(256), mp.workdps(90):
        yield


def assert_tight(found: arb, true: Number, what: str) -> None:
    """``true`` (90 digits of mpmath) is in the ball, whose radius is below 1e-50 of it; no finite ball where there is no value."""
    if isinstance(true, mp.mpc) or true is None or not mp.isfinite(true):
        assert not found.is_finite(), f"{what}: {found}, but there is no finite value"
        return
    assert found.is_finite(), f"{what}: {found}, not {mp.nstr(true, 20)}"
    mantissa, exponent = found.mid().man_exp()
    middle = mp.ldexp(mp.mpf(int(mantissa)), int(exponent))
    mantissa, exponent = found.rad().man_exp()
    radius = mp.ldexp(mp.mpf(int(mantissa)), int(exponent))
    assert abs(middle - true) <= radius + abs(true) * mp.mpf(10) ** -75, f"{what}: {mp.nstr(true, 60)} is not in {found.str(60)}"
    assert radius <= abs(true) * mp.mpf(10) ** -50, f"{what}: the ball {found.str(60)} is wide"


def value(f: Callable[..., Number], *args: float) -> Number:
    try:
        return f(*(mp.mpf(a) for a in args))
    except (ValueError, ZeroDivisionError):
        return None


@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary_functions_hold_the_true_value(name: str) -> None:
    for x in ANYWHERE:
        assert_tight(UFUNCS[name](arb(x)), value(UNARY[name], x), f"{name}({x!r})")


@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary_functions_hold_the_true_value(name: str) -> None:
    for a, b in PAIRS:
        if (name == "huber" and a < 0) or (name in ("rel_entr", "kl_div", "xlogy", "xlog1py") and (a < 0 or b < 0)):
            continue
        assert_tight(UFUNCS[name](arb(a), arb(b)), value(BINARY[name], a, b), f"{name}({a!r}, {b!r})")


def test_every_ufunc_of_the_table_is_tested() -> None:
    assert set(UNARY) | set(BINARY) | CONTRACTING == set(UFUNCS)
    assert all(hasattr(np, name) or hasattr(scipy.special, name) or name in ("softplus", "mod", "pow") for name in UFUNCS)


@pytest.mark.parametrize("name", sorted((set(UNARY) | set(BINARY)) - {"softplus"}))
def test_ufuncs_agree_with_numpy_and_scipy_in_floats(name: str) -> None:
    function = getattr(np, name, None) or getattr(scipy.special, name)
    for args in [(x,) for x in (0.25, 0.5, 0.75, 1.5, -0.5)] if name in UNARY else [(0.5, 2.0), (1.25, 0.75), (0.75, 3.0)]:
        with np.errstate(all="ignore"):
            expected = function(*args)
        if np.isfinite(expected):
            assert float(function(*(exact(a) for a in args)).balls_[()].mid()) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", sorted(TESTS))
def test_tests_give_ordinary_booleans(name: str) -> None:
    function, x, y = getattr(np, name), np.array([0.0, 0.5, -1.0]), np.array([0.0, 0.25, 1.0])
    args = (x,) if function.nin == 1 else (x, y)
    found = function(*(exact(a) for a in args))
    assert found.dtype == bool
    assert found.tolist() == function(*args).tolist()
    assert type(function(*(exact(a[1]) for a in args))) is np.bool_


def test_infinities_do_as_in_floats() -> None:
    x = np.array([-np.inf, 0.0, 1.0])
    for f in (
        np.exp,
        np.tanh,
        scipy.special.expit,
        np.sort,
        np.argmax,
        np.isinf,
        np.isfinite,
        np.sign,
        np.max,
        lambda v: np.exp(v - v.max()),
        lambda v: np.logaddexp(0, v),
        lambda v: np.where(v > -9, v, 0),
        lambda v: np.log(np.exp(v).sum()),
        lambda v: np.maximum(v, 0),
        lambda v: np.logaddexp.reduce(v),
        lambda v: v == -np.inf,
    ):
        expected, found = f(x), f(exact(x))
        found = (
            np.array([float(a) for a in np.ravel(found.balls_)]).reshape(found.shape)
            if type(found) is ExactArray and found.dtype.kind == "f"
            else found
        )
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("x", [0.0, -1.0, -2.0])
def test_no_number_is_made_up_outside_the_domain(x: float) -> None:
    for function in (np.log, np.arccosh, scipy.special.gamma, scipy.special.digamma, scipy.special.logit):
        assert not function(exact(x)).balls_[()].is_finite()


EXPRESSIONS = {
    "statistics": r"""
        np.sum(A, dtype=np.float64) | np.sum(A, where=M) | np.mean(A, axis=(0, 1), keepdims=True) | np.mean(A, where=M) | np.amax(A, 0)
        np.max(A, initial=10.0) | np.max(A, where=M, initial=-5.0) | np.var(A, mean=np.mean(A)) | np.std(A, axis=0, correction=1)
        np.var(A, where=M) | np.average(A, axis=1, weights=[1, 2, 3]) | np.average(A) | np.average(A, weights=np.abs(A))
        np.average(A, axis=1, keepdims=True) | np.average(A, axis=1, weights=[1, 2, 3], keepdims=True)
    """,
    "scans and folds": r"""
        np.cumsum(A, axis=-1) | np.cumprod(A, axis=0) | np.cumsum(V) | np.cumsum([S, S]) | np.add.accumulate(A, axis=1)
        np.maximum.accumulate(V) | np.add.reduce(A) | np.add.reduce(A, axis=None) | np.multiply.reduce(A, axis=1)
        np.maximum.reduce(A, axis=1, keepdims=True) | np.logaddexp.reduce(V) | np.add.outer(V, V) | np.multiply.outer(V, A)
        np.subtract.outer(V, S) | np.logical_or.reduce(A) | np.logical_and.reduce(A, axis=1)
        np.sum(A, initial=S) | np.sum(A, axis=0, where=M, initial=2) | np.prod(A, where=M) | np.max(A, axis=1, initial=S)
        np.add.reduceat(V, [0, 2]) | np.add.reduceat(A, [0, 2], axis=1) | np.maximum.reduceat(V, [0, 3, 1])
        np.cumulative_sum(V) | np.cumulative_sum(V, include_initial=True) | np.cumulative_prod(V)
    """,
    "averages beside NaN": r"""
        np.nansum(A) | np.nansum(A, axis=0) | np.nanmean(A, axis=1) | np.nanmax(A, axis=1) | np.nanmin(A) | np.nanstd(A, axis=0)
        np.nanargmax(V) | np.nanargmin(A, axis=1) | np.nancumsum(V) | np.nanmedian(A, axis=1) | np.nanmedian(A, keepdims=True)
        np.nansum(np.where(A > 0, A, np.nan)) | np.nanmean(np.where(A > 0, A, np.nan), axis=1) | np.nanmean(np.where(A > 0, A, np.nan))
        np.nanmax(np.where(A > 0, A, np.nan), axis=1) | np.nanvar(np.where(A > 0, A, np.nan), axis=0) | np.nanprod(np.where(M, A, np.nan))
        np.nanmedian(np.where(A > 0, A, np.nan)) | np.nan_to_num(np.where(A > 0, A, np.nan)) | np.fmax(np.where(M, A, np.nan), 0)
        np.nan_to_num(np.log(np.maximum(A, 0))) | np.nan_to_num(np.where(M, A, np.nan), nan=7) | np.isnan(np.where(M, A, np.nan))
        np.nan_to_num(np.where(A > 0, np.inf, A), posinf=3, neginf=4) | np.nan_to_num(np.where(A > 0, np.inf, A))
        np.nan_to_num(0 * np.log(np.maximum(A, 0)))
    """,
    "spread": r"""
        np.ptp(A) | np.ptp(A, axis=0) | np.ptp(A, axis=1, keepdims=True) | np.cov(A) | np.cov(V) | np.cov(V, V) | np.cov(A, rowvar=False)
        np.cov(A, bias=True) | np.corrcoef(A) | np.corrcoef(V, V**2) | np.cov(A, aweights=[1, 2, 3]) | np.cov(A, fweights=[1, 2, 3])
        np.average(V, weights=V, returned=True) | np.average(A, axis=0, returned=True) | np.average(A, axis=1, weights=V[:3])
        np.bincount([0, 1, 2, 1], V) | np.bincount([0, 1, 2, 1], weights=V, minlength=5) | np.bincount(I, weights=[S, 1, 2])
    """,
    "tests": r"""
        V @ V | np.greater(A, 0) | np.equal(A, A) | np.isnan(A) | np.isfinite(A) | np.isinf(A) | np.signbit(A) | np.logical_not(A)
        np.logical_and(A > 0, A) | np.any(A) | np.all(A > 0) | np.all(A, axis=1) | np.count_nonzero(A) | np.count_nonzero(A, axis=0)
        np.nonzero(A) | np.argwhere(A > 0) | np.isclose(A, A + 1e-9) | np.allclose(A, A) | np.array_equal(A, A) | np.isscalar(S)
    """,
    "choices": r"""
        np.where(A > 0, A, 0) | np.where(A > 0, 0, A) | np.where(A > 0, A, -A) | np.where(A, A, 1) | np.where(M, A, B) | np.where(A > 0)
        np.where(A) | np.where(A > 0, 1.0, 0.0) * A | np.where(S > 0, S, 0) | np.where(A > 0, 1, 0) | np.where(A, 1, 0)
        np.clip(A, -1, 1) | np.clip(A, None, 1) | np.clip(A, B, 3) | np.clip(A, 0, None) | np.clip(0.3, A, 5) | np.clip(A, 1, -1)
        np.maximum(A, 0) | np.maximum(0, A) | np.minimum(A, B) | np.fmax(A, 0) | np.select([A > 0, A < 0], [A, -A])
        np.select([A > 0], [A], default=S) | np.choose(I, [V[:3]] * 3) | np.select([A < 0, A > 1], [A, A**2], 0.5)
        np.piecewise(A, [A < 0, A >= 0], [lambda t: -t, lambda t: t**2]) | np.piecewise(V, [V < 0], [-1, 1])
        np.piecewise(V, [V < 0, V > 1], [lambda t: t*2, 3.0, lambda t: t]) | np.piecewise(S, [S < 0, S >= 0], [0.0, lambda t: t**2])
    """,
    "elementwise": r"""
        np.sign(A) | np.heaviside(A, 0.5) | np.copysign(A, B) | np.floor(A) | np.ceil(A) | np.rint(A) | np.trunc(A) | np.round(A)
        np.around(A, 1) | np.square(A) | np.reciprocal(A) | np.absolute(A) | np.fabs(A) | np.negative(A) | np.nan_to_num(A)
        np.mod(A, 2) | np.power(A, 2) | np.float_power(A, 2) | np.hypot(A, B) | np.arctan2(A, B) | np.real(A) | np.diff(A)
        np.diff(A, axis=0) | np.diff(V, n=2) | np.convolve(V, V) | np.diff(V, prepend=0) | np.diff(A, append=A[:, :1])
        np.diff(A, axis=0, prepend=1) | np.diff(V, n=2, prepend=[0, 1.0], append=S) | np.diff([0.0, S, 1]) | np.ediff1d(V)
        np.fmod(V, 2) | np.fmod(A, -0.75) | np.modf(V) | np.divmod(V, 2) | np.divmod(A, -2)[1] | np.heaviside(V, S)
        np.logaddexp2(V, V) | np.logaddexp2.reduce(V) | np.sinc(V) | np.sinc(np.array([0.0, 0.5]) * S) | np.fix(V) | np.imag(A)
        np.iscomplex(A) | np.isreal(A) | np.isposinf(V) | np.unwrap(V * 4) | np.astype(A, np.float32) | np.real_if_close(A) | V.conj()
        np.gradient(V) | np.gradient(A) | np.gradient(V, 2.0) | np.gradient(V, np.cumsum(abs(V))) | np.gradient(V, edge_order=2)
        np.trapezoid(V) | np.trapezoid(V, dx=0.5) | np.trapezoid(A, [0, 1, 3]) | np.trapezoid(np.ones(4), V)
        np.polyval([1, 2, 3], V) | np.polyval(V, V) | np.polyval(V, 2.0) | np.polyadd(V, [1, 2]) | np.polyder(V) | np.polyint(V)
        np.vander(V, 3) | np.linspace(0, S, 3) | np.linspace(V, 1, 3, endpoint=False) | np.linspace(0, S, 3, retstep=True)
        np.linspace(0, 1, 3, retstep=True)
    """,
    "functions of entries and rows": r"""
        np.vectorize(lambda t: t * 2)(V) | np.vectorize(math.exp, otypes=[float])(V) | np.vectorize(lambda t: int(t > 0))(V)
        np.vectorize(lambda t, u: t if t > u else u)(A, B) | np.vectorize(lambda r: r.sum(), signature="(n)->()")(A)
        np.vectorize(lambda t: (t, t * 2))(V) | np.vectorize(lambda t, k=2: t * k, excluded=["k"])(V, k=3) | np.vectorize(math.exp)(S)
        np.vectorize(lambda i: V[i])(np.arange(3)) | np.vectorize(lambda t: 0 if t < 0 else t)(np.sort(V)) | np.vectorize(abs, [float])(Z)
        np.frompyfunc(lambda t: t * 2, 1, 1)(V).astype(float) | np.frompyfunc(lambda a, b: a * b, 2, 1)(A, B).astype(float)
        np.frompyfunc(lambda a, b: a * 0.5 + b, 2, 1).accumulate(V, dtype=object).astype(float)
        np.apply_along_axis(lambda r: r * 2, 0, V) | np.apply_along_axis(np.sum, 1, A) | np.apply_over_axes(np.sum, T, [0, 2])
        np.apply_along_axis(lambda r: r[::-1] * r, 0, A) | np.array([v * 2 for _, v in np.ndenumerate(A)])
        [i for i, v in np.ndenumerate(A)] | np.fromiter((v for v in V), float) | np.fromiter(V, dtype=np.float64, count=3)
        np.fromiter(range(3), int) | np.fromiter((i * 0.5 for i in range(3)), float) | np.broadcast(A, B).shape
        np.array([a * b for a, b in np.broadcast(A, B)])
    """,
    "joining and moving": r"""
        np.concatenate([A, A]) | np.concatenate([A, np.zeros((1, 3))]) | np.concatenate((A, B), axis=1)
        np.concatenate([A, A], axis=None) | np.concatenate([A, I[None]]) | np.stack([A, A]) | np.stack([A, A], axis=-1)
        np.hstack([A, B]) | np.vstack([A, V[:3]]) | np.column_stack([V, V]) | np.append(V, 1) | np.append(V, [1, 2])
        np.insert(V, 1, 9) | np.delete(V, 1) | np.block([[A, B]]) | np.split(V, 2) | np.array_split(V, 3) | np.hsplit(V, 2)
        np.pad(V, 1) | np.pad(A, ((1, 0), (0, 1))) | np.pad(A, 1, mode="edge") | np.pad(A, 1, constant_values=2)
        np.pad(A, ((0, 0), (1, 1)), "constant") | np.pad(V, 1, "reflect") | np.roll(V, 1) | np.roll(A, 1, axis=1) | np.flip(A)
        np.flip(A, 0) | np.rot90(A) | np.expand_dims(A, 1) | np.squeeze(A[None]) | np.atleast_2d(V) | np.atleast_1d(S)
        np.broadcast_to(V, (2, 4)) | np.broadcast_arrays(A, B)[1] | np.broadcast_shapes(A.shape, B.shape) | np.meshgrid(V, V)[0]
        np.diag(V) | np.diag(A[:, :2]) | np.tril(A) | np.triu(A, 1) | np.moveaxis(T, 0, -1) | np.rollaxis(T, 2) | np.take(V, [0, 1])
        np.take_along_axis(A, np.argsort(A, axis=1), axis=1) | np.take_along_axis(V, np.array([1]), 0)
        np.compress([True, False, True], A, axis=1) | np.extract(A > 0, A) | np.repeat(V, 2) | np.resize(V, (2, 3)) | np.copy(A)
        np.r_[V, 1.0, S] | np.c_[V, V] | np.r_[0.0, V] | np.r_['0,2', V, V] | np.c_[A, A] | np.r_[0:3, V] | np.r_[S, [1.0, 2.0]]
        np.r_[V[0], 1, 2] | np.pad(V, 2, "wrap") | np.pad(V, 2, "symmetric") | np.pad(V, 2, "linear_ramp", end_values=1)
        np.pad(V, 1, constant_values=S) | np.pad(V, 2, "mean") | np.pad(V, 3, "reflect", reflect_type="odd") | np.append(V, S)
        np.insert(V, [1, 2], [5, 6]) | np.insert(A, 1, V[:3], axis=0) | np.insert(np.zeros(3), 1, S) | np.delete(A, 1, axis=1)
        np.vsplit(A, 2) | np.dsplit(T, 2) | np.split(V, [1, 3]) | np.array_split(A, 2, axis=1) | np.append(A, B, axis=1) | np.unstack(A)
        np.lib.stride_tricks.sliding_window_view(V, 2) | np.lib.stride_tricks.sliding_window_view(V, 2).sum(-1)
    """,
    "order": r"""
        np.argmax(A, axis=-1) | np.argmin(A) | np.argsort(A, axis=None) | np.sort(A) | np.sort(A, axis=0) | np.sort(A, axis=None)
        np.argsort(-V)[::-1] | np.argsort(V, kind="stable") | np.median(V) | np.median(A, axis=0) | np.median(A, axis=1, keepdims=True)
        np.median(A[:, :1], axis=1) | np.median(T, axis=(0, 2)) | np.median([S, S, 1.0]) | np.quantile(V, 0.3) | np.quantile(V, [0.1, 0.5])
        np.percentile(V, 25) | np.percentile(A, [10, 90], axis=1) | np.quantile(A, [0.25, 1.0], axis=0, keepdims=True) | np.quantile(V, S)
        np.quantile(T, 0.4, axis=(0, 2), keepdims=True) | np.partition(V, 1) | np.partition(A, 1, axis=0) | np.partition(V, (1, 2))
        np.argpartition(V, 2) | V.argpartition(1) | np.partition(A, 2, axis=None) | np.lexsort((V, V)) | np.lexsort(A)
        np.lexsort((V, np.array([1, 0, 1, 0]))) | np.unique(V) | np.unique([S, S, 1.0]) | np.unique(np.round(A), return_index=True)
        np.unique(np.round(A), return_index=True, return_inverse=True, return_counts=True) | np.isin(V, [1.0, 4.0])
        np.isin(V, V, invert=True)
        np.searchsorted(np.sort(V), 0.5) | np.searchsorted([0.0, 1.0], V) | np.searchsorted(np.sort(V), V, side="right")
        np.sort(V).searchsorted(V) | np.searchsorted(V, [0.5], sorter=np.argsort(V)) | np.digitize(V, [0, 1, 2]) | np.digitize(V, [2, 1, 0])
        np.digitize(A, [0, 1], right=True) | np.interp(0.5, np.sort(V), V) | np.interp(V, [0, 1], [2, 3]) | np.interp(S, np.arange(4), V)
        np.interp(V, [0, 1], V[:2], left=-1, right=S) | np.interp(V, [0, 1.5, 3], [2, 3, 1], period=3) | np.interp(A, [0, 1, 2], [2, 3, 5])
        np.flatnonzero(V > 0) | np.flatnonzero(V) | np.argwhere(V) | np.trim_zeros(V)
    """,
    "stride tricks": r"""
        np.lib.stride_tricks.as_strided(V, (3, 2), (8, 8)) | as_strided(V, shape=(3, 2), strides=(8, 8)) | as_strided(V)
        stride_tricks.as_strided(V, (3, 2), V.strides * 2) | as_strided(A, (2, 2, 2), (A.strides[0], A.strides[1], A.strides[1]))
        as_strided(T[:, ::2], (2, 2), T[:, ::2].strides[:2]) | as_strided(V[::-1], (4,), (-8,)) | as_strided(S, (3,), (0,))
        as_strided(V, (2, 2), (2 * V.itemsize, V.itemsize)) | as_strided(I, (2, 2), (8, 8)) | as_strided(V[1:], (3,), (8,)).strides
    """,
    "contractions": r"""
        np.einsum("ij,ij->i", A, A) | np.einsum("ij->ji", A) | np.einsum("ij->", A) | np.einsum("ij,kj->ik", A, A)
        np.einsum("i,j", V, V) | np.einsum("ii->i", A[:, :2]) | np.einsum("...j,j->...", A, V[:3]) | np.einsum("ij,j", A, I)
        np.einsum("ijk,ijl->ikl", T, T, optimize=True) | np.dot(A, V[:3]) | np.dot(V, V) | np.dot(A, A.T) | np.dot(A, 2)
        np.dot(np.eye(2), A) | np.matmul(A, A.T) | np.inner(A, A) | np.outer(V, V) | np.vdot(V, V) | np.vdot(A, A)
        np.tensordot(A, A, axes=([1], [1])) | np.tensordot(A, A, axes=2) | np.kron(V, V) | np.trace(A) | np.linalg.norm(V)
        np.linalg.norm(A, axis=1) | np.linalg.norm(A, axis=1, keepdims=True) | np.linalg.norm(A, ord=1, axis=1)
        np.linalg.norm(A, np.inf, axis=0) | np.linalg.norm(V, 3) | np.linalg.norm(A) | np.linalg.norm(A, "fro")
        np.linalg.norm(A, 1) | np.linalg.norm(A, np.inf) | np.linalg.norm(A, -1) | np.linalg.norm(A, 1, keepdims=True)
        np.linalg.norm(T, np.inf, axis=(0, 2)) | np.linalg.norm(T, -np.inf, axis=(2, 1)) | np.linalg.vector_norm(A)
        np.linalg.vector_norm(T, axis=(0, 1), ord=np.inf) | np.linalg.matrix_norm(T, ord=1) | np.linalg.matrix_norm(A, keepdims=True)
        np.linalg.matrix_power(A @ A.T, 3) | np.linalg.matrix_power(A @ A.T, -2) | np.linalg.matrix_power(A @ A.T, 0)
        np.cross(A[0], A[1]) | np.cross(A, A[::-1]) | np.cross(A, [1, 2, 3]) | np.cross(A.T, A.T, axis=0) | np.linalg.cross(A, A[::-1])
        np.correlate(V, V[:2]) | np.correlate(V, V, "full") | np.correlate(V, [1, 2], mode="same") | np.convolve(V, V[:2], "same")
        np.correlate(V[:2], V, "full") | np.einsum(A, [0, 1], [1, 0]) | np.einsum(A, [0, 1], A, [2, 1], [0, 2])
        np.einsum(A, [0, 1], V[:3], [1]) | np.einsum(A, [Ellipsis, 1], [Ellipsis]) | np.vecdot(A, A) | np.matvec(A, V[:3])
        np.vecmat(V[:3], A.T) | np.linalg.vecdot(A, A) | np.linalg.outer(V, V) | np.linalg.trace(A) | np.linalg.tensordot(A, A)
        np.linalg.norm(A, axis=(0, 1)) | np.linalg.norm(V, 0) | np.linalg.multi_dot([A, A.T, A])
    """,
    "linear algebra": r"""
        np.linalg.solve(A @ A.T, A) | np.linalg.solve(A @ A.T, A[:, 0]) | np.linalg.inv(A @ A.T) | np.linalg.det(A @ A.T)
        np.linalg.slogdet(A @ A.T)[0] | np.linalg.slogdet(A @ A.T).logabsdet | np.linalg.cholesky(A @ A.T)
        np.linalg.inv(T @ np.swapaxes(T, 1, 2) + np.eye(T.shape[1])) | np.linalg.det(T @ np.swapaxes(T, 1, 2) + np.eye(T.shape[1]))
        np.linalg.solve(np.eye(2), A) | np.linalg.solve(A @ A.T, np.eye(2))
    """,
    "empty arrays": r"""
        np.exp(Z) | np.sort(Z) | np.where(Z > 0, Z, 0) | np.concatenate([Z, A]) | np.clip(Z, 0, 1) | np.dot(Z.T, Z)
        np.dot(Z, np.ones(3)) | np.einsum("ij,ik->jk", Z, Z) | np.isnan(Z) | np.linalg.norm(Z) | np.mean(Z, axis=1) | np.maximum(Z, 0)
        np.outer(Z[:, 0], V) | np.tensordot(Z.T, Z, axes=1) | np.matmul(Z.T, Z)
    """,
    "making arrays": r"""
        np.array(A) | np.asarray(A) | np.array(A, copy=True) | np.array([A, A]) | np.array([A[0, 0], A[0, 1]])
        np.array([[A[0, 0], 1], [2, A[0, 1]]]) | np.asarray([1.0, S]) | np.array(A, dtype=np.float64) | np.array(A, dtype=int)
        np.array(A, ndmin=3) | np.ascontiguousarray(A) | np.asarray(A, dtype=A.dtype) | np.asarray(S) | np.array([])
        np.array([S, True]) | np.array((V, V)) | np.asarray([[S]]) | np.asfortranarray(A) | np.zeros_like(A) | np.ones_like(A)
        np.empty_like(A).shape | np.full_like(A, 0.5) | np.full_like(A, S) | np.zeros_like(A, dtype=bool) | np.zeros_like(A, dtype=int)
        np.zeros_like(A, shape=(2,)) | np.zeros_like(A.shape) | np.ones_like(A, dtype=np.float32) | np.zeros(A.shape)
        np.ones(A.shape) * A | np.full(A.shape, S) | np.full((2,), 0.5) | np.full(2, 1) | np.eye(3) | np.eye(2, 3, k=1) | np.identity(2)
        np.arange(3) | np.arange(0, 1, 0.25) | np.arange(3, dtype=float) | np.linspace(0, 1, 5) | np.zeros(3, dtype=int)
        np.zeros((2, 2), dtype=bool) | np.tri(2) | np.zeros_like(I) | np.zeros_like(M, dtype=float) | np.ones_like(I, dtype=float) * S
        np.zeros_like([1.0, 2.0])
    """,
    "about arrays": r"""
        np.result_type(A) | np.finfo(A.dtype).eps | np.issubdtype(A.dtype, np.floating) | np.shape(A) | np.ndim(A) | np.size(A)
        np.size(A, 1) | np.promote_types(A.dtype, np.float32) | np.can_cast(A.dtype, np.float64) | np.indices(A.shape)
        list(np.ndindex(A.shape)) | np.positive(A) | np.logspace(0, 1, 3) | np.geomspace(1, 8, 4) | np.iscomplexobj(A)
        np.issubdtype(A.dtype, np.integer) | np.result_type(A, np.float32) | np.isrealobj(A)
    """,
    "lists of exact values": r"""
        np.sum([A[0], A[1]]) | np.sum([S, S]) | np.mean([S, 1.0]) | np.max([S, 1.0]) | np.max([[S], [1.0]], axis=0) | np.exp([S, S])
        np.dot([S, S], [1, 2]) | np.prod([A, A], axis=0) | np.argmax([S, 1.0]) | np.var([S, 1.0]) | np.sort([S, 0.0])
        special.logsumexp([S, 1.0]) | special.softmax([S, 1.0]) | np.outer([S, 1.0], [1, 2]) | np.diff([S, 1.0]) | np.median([S, 2.0])
        np.where([S > 0, S < 0], [S, S], [1, 2]) | np.concatenate([[S], V]) | np.stack([S, S]) | np.hstack([S, S])
    """,
    "math": r"""
        np.array([math.exp(v) for v in V]) | math.exp(S) + math.log(2) + math.sqrt(S) | math.hypot(S, 2) | math.atan2(S, 2)
        math.pow(S, 2) | math.fsum([S, S]) | math.isnan(S) | math.log(S, 2) | math.prod([S, S]) | math.fabs(-S) | math.copysign(S, -1)
        math.hypot(S, S, S) | math.dist(V, V * 2) | math.isclose(S, S) | math.isclose(S, 0.76) | math.fmod(S, 2) | math.modf(S)
        math.radians(S) | math.degrees(S) | functools.reduce(lambda a, b: a * b, V) | list(itertools.accumulate(V, max))
        math.log1p(S) | math.erf(S) | math.gamma(S) | math.exp(1) * S | math.log2(8)
    """,
    "constants": r"""
        np.log(2) * A | np.sqrt(2) * np.pi * A | A / np.sqrt(A.shape[1]) | np.add(A, 1, dtype=np.float64)
        np.sum(A, axis=1, dtype=float) | np.exp(1.0) | np.sqrt(np.pi) | np.e * S | np.log(np.array([1, 2])) | np.sqrt(4) | np.exp(I)
        np.tanh(I) * S | np.sqrt(I)
    """,
    "types of numbers": r"""
        np.float64(S) * 2 | np.float32(S) | np.float64(V) | [np.float64(v) for v in V] | np.float64(1.5) | np.float64("1.5")
        np.zeros(3, np.float64) | np.dtype(np.float32).itemsize | np.finfo(np.float64).eps | V.dtype == np.float64 | np.float64 == V.dtype
        np.issubdtype(V.dtype, np.float64) | isinstance(np.sum(I) * 0.5, np.float64) | {np.float64: 1}[np.float64] | V.astype(np.float32)
        V.dtype.type is np.float64 | type(np.float64(1.5)) is np.float64 | [t(2) for t in (np.float64,)] | np.float64 in (np.float64, float)
        np.array([S, 1.0], dtype=np.float64) | np.result_type(np.float32, np.float64) == np.float64 | np.issubdtype(np.float32, np.floating)
    """,
    "scipy.special": r"""
        special.expit(A) | special.logsumexp(A) | special.logsumexp(A, axis=1) | special.logsumexp(A, axis=1, keepdims=True)
        special.logsumexp(A, axis=1, b=[1, 2, 3]) | special.logsumexp(A, axis=0, b=[[1.0], [-2.0]], return_sign=True)
        special.softmax(A, axis=1) | special.softmax(A) | special.log_softmax(A, axis=-1) | special.log_softmax(A)
        special.xlogy(abs(A), abs(B)) | special.erf(A) | special.gammaln(abs(A)) | special.erf(0.5) * S | special.expit(0)
        special.huber(1.0, A) | special.kl_div(abs(A), 1.0) | special.log_ndtr(A) | special.comb(5, 2)
    """,
}


@pytest.mark.parametrize(
    "source", [e.strip() for table in EXPRESSIONS.values() for e in table.replace("\n", " | ").split(" | ") if e.strip()]
)
def test_functions_do_as_in_numpy(source: str, both_ways: Any) -> None:
    both_ways(source, as_strided=as_strided, stride_tricks=stride_tricks, functools=functools, itertools=itertools)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "cumsum", "var", "std", "prod", "argmax", "any", "all"])
def test_methods_do_as_the_functions(name: str) -> None:
    x = exact(np.array([[1.0, 2.5], [-3.0, 0.25]]))
    for axis in (None, 0, 1, -1):
        by_method, by_function = getattr(x, name)(axis), getattr(np, name)(x, axis)
        assert repr(by_method) == repr(by_function)


@pytest.mark.parametrize("keepdims", [True, False, 1, 0, np.True_])
def test_keepdims_may_be_anything_true(keepdims: Any) -> None:
    x = np.ones((2, 3))
    for f in (np.sum, np.mean, np.max, np.var, np.argmax, np.any):
        assert f(exact(x), axis=1, keepdims=keepdims).shape == f(x, axis=1, keepdims=bool(keepdims)).shape


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda x: np.linalg.pinv(x), "numpy.linalg.pinv"),
        (lambda x: np.nextafter(x, 2), "nextafter"),
        (lambda x: np.subtract.reduceat(x, [0]), "subtract.reduceat"),
        (lambda x: np.equal.at(x, [0], 1), "equal.at"),
        (lambda x: np.linalg.norm(x, 2), "norm"),
        (lambda x: np.quantile(x, 0.5, method="hazen"), "quantile"),
        (lambda x: np.unique(x, axis=0), "unique"),
        (lambda x: np.lexsort((x,)), "lexsort"),
        (lambda x: np.bincount(x, [1.0]), "bincount"),
        (lambda x: np.pad(x, 1, "median"), "median"),
        (lambda x: np.histogram(x), "histogram"),
        (lambda x: np.nditer(x), "float array"),
        (lambda x: np.sum(x, dtype=int), "int64"),
        (lambda x: np.concatenate([x, x], dtype=int, casting="unsafe"), "concatenate"),
        (lambda x: scipy.special.j0(x), "j0"),
        (lambda x: np.cross(x, x), "cross"),
        (lambda x: x.astype(complex), "complex"),
    ],
)
def test_what_is_in_no_table_is_refused_by_name(call: Callable[[Any], Any], names: str) -> None:
    with pytest.raises(NotExact, match=names) as raised:
        call(exact(np.ones((2, 2))))
    assert raised.value.line.startswith(__file__)


def test_the_tables_name_functions_that_numpy_dispatches() -> None:
    x = exact(np.array([[1.0, 2.0], [3.0, 4.0]]))
    for name in ("ravel", "transpose", "flip", "tril", "trace", "copy", "squeeze"):
        assert getattr(np, name) in STRUCTURAL
        assert type(getattr(np, name)(x)) is type(x)
    assert all(hasattr(np.ndarray, name) for name in METHODS)


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "fmax", "fmin", "logaddexp", "hypot"])
def test_folds_do_as_ufunc_reduce(name: str) -> None:
    x = np.abs(np.random.default_rng(0).normal(size=(2, 3)))
    for axis in (None, 0, 1, (0, 1)):
        found = fold(name, exact(x), axis)
        expected = getattr(np, name).reduce(x, axis=axis) if name not in ("hypot",) or axis in (0, 1) else np.sqrt(np.sum(x * x))
        if name in ("logaddexp",) and axis in (None, (0, 1)):
            expected = np.log(np.sum(np.exp(x)))
        np.testing.assert_allclose([float(a) for a in np.ravel(found.balls_)], np.ravel(expected), rtol=1e-14)
