"""The amplification is about 1 for sound forms, huge for unstable ones, and never blames the problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from flint import arb, ctx

import gradcheck
from gradcheck.accuracy import Accuracy, judge, movement, one_rounding, spacing, to_float, unavoidable_error
from gradcheck.bounds import amplification_limit
from gradcheck.evidence import gather
from gradcheck.exact.array import exact
from gradcheck.points import Point
from gradcheck.subject import NumpyPair

DTYPES = ["float16", "float32", "float64"]


def accuracies(
    f: Callable[..., Any], *primals: Any, dtype: str = "float64", backward: Callable[..., Any] | None = None
) -> tuple[Accuracy, ...]:
    names = tuple(f"x{i}" for i in range(len(primals)))
    arrays = {n: np.asarray(p, dtype) for n, p in zip(names, primals, strict=True)}
    subject = NumpyPair("f", f, backward or (lambda dy, *ps: tuple(p * 0 for p in ps)), names, names)
    evidence = gather(subject, Point(arrays, dtype), parts=frozenset({"gradients", "arithmetic"} if backward else {"arithmetic"}))
    assert not evidence.why_not_exact, evidence.why_not_exact
    return evidence.backward_accuracy[0] if backward else evidence.forward_accuracy


def amplification(f: Callable[..., Any], *primals: Any, dtype: str = "float64") -> float:
    (found,) = accuracies(f, *primals, dtype=dtype)
    assert found.trouble == ("inaccurate" if found.amplification > found.limit else "")
    return found.amplification


def stable_softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_pass_variance(x: Any) -> Any:
    return (x * x).mean() - x.mean() ** 2


SOUND: dict[str, tuple[Callable[..., Any], Any]] = {
    "exp": (np.exp, [-3.0, 0.1, 2.0]),
    "tanh": (np.tanh, [-8.0, 0.001, 2.0]),
    "softmax": (stable_softmax, [[1.0, 5.0, -4.0]]),
    "square": (lambda x: x * x, [1.1, -3.7]),
    "variance": (lambda x: ((x - x.mean()) ** 2).mean(), [3.0, 3.5, 1.25]),
    "log1p": (lambda x: np.log1p(np.exp(x)), [-6.0, 0.0, 6.0]),
    "sum": (lambda x: x.sum(), np.linspace(0.1, 1, 20)),
    "norm": (lambda x: np.sqrt((x * x).sum()), [3.0, 4.1]),
    "division": (lambda x: x / 3, [0.1, 7.0]),
    "constant": (lambda x: x * 0 + 1.5, [2.0]),
    "matmul": (lambda x: x @ x.T, [[1.0, 2.0], [-1.5, 0.5]]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SOUND)
def test_sound_forms_amplify_about_one(name: str, dtype: str) -> None:
    f, x = SOUND[name]
    assert amplification(f, x, dtype=dtype) < 4


UNSTABLE: dict[str, tuple[Callable[..., Any], Any, dict[str, float]]] = {
    "1 - tanh^2": (lambda x: 1 - np.tanh(x) ** 2, 20.0, {"float64": 1e10, "float32": 1e5}),
    "1 - tanh^2, early": (lambda x: 1 - np.tanh(x) ** 2, 3.5, {"float16": 20, "float64": 20}),
    "one-pass variance": (one_pass_variance, [1000.5, 1000.25, 999.75], {"float32": 1e3, "float64": 1e3}),
    "log of 1 + e^x": (lambda x: np.log(1 + np.exp(x)), -40.0, {"float64": 1e12, "float32": 1e5}),
    "e^x - 1": (lambda x: np.exp(x) - 1, 1e-10, {"float64": 1e4}),
    "1 - cos": (lambda x: 1 - np.cos(x), 1e-7, {"float64": 1e10}),
    "log of sigmoid": (lambda x: np.log(1 / (1 + np.exp(-x))), 38.0, {"float64": 1e10}),
    "difference of roots": (lambda x: np.sqrt(x + 1) - np.sqrt(x), 1e12, {"float64": 1e3}),
    "one of many": (lambda x: np.exp(x) - 1, [1.0, 1e-12, -2.0], {"float64": 1e6}),
}


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, (_, _, found) in UNSTABLE.items() for d in found])
def test_unstable_forms_amplify_hugely(name: str, dtype: str) -> None:
    f, x, least = UNSTABLE[name]
    (found,) = accuracies(f, x, dtype=dtype)
    assert found.trouble == "inaccurate"
    assert found.amplification > least[dtype]
    assert found.dtype == dtype
    if name == "one of many":
        assert found.index == (1,)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.sin, 1e4),
        (np.tan, 1.5707),
        (np.tan, np.pi / 2),
        (np.log, 1.0000001),
        (np.arccos, 0.99999),
        (lambda x: x - x.mean(), [1000.5, 1000.25]),
        (lambda x: x.sum(), [1e4, -1e4, 0.5]),
        (lambda x: x[0] * x[1] - x[2] * x[3], [3.0, 5.0, 2.5, 6.0]),
        (np.exp, 9.5),
        (lambda x: x**30, 1.2),
        (lambda x: np.log(x) / np.log1p(-x), 0.999),
        (scipy.special.gammaln, 2.0001),
        (lambda x: np.sqrt(x - 1), 1.0009765625),
        (np.cos, 1.5703125),
    ],
)
def test_ill_conditioned_problems_are_not_blamed_on_their_algorithm(f: Callable[[Any], Any], x: Any, dtype: str) -> None:
    found = accuracies(f, x, dtype=dtype)
    assert all(a.trouble == "" for a in found)


@pytest.mark.parametrize(
    ("f", "x", "dtype"),
    [
        (np.exp, 1000.0, "float64"),
        (np.exp, 100.0, "float32"),
        (np.exp, 12.0, "float16"),
        (lambda x: x * x, 300.0, "float16"),
        (lambda x: 1 / x, 0.0, "float64"),
        (np.log, 0.0, "float64"),
        (lambda x: x * 6.5e4, 1.0078125, "float16"),
        (lambda x: x**8, 1e40, "float64"),
    ],
)
def test_values_beyond_the_dtype_are_not_blamed(f: Callable[[Any], Any], x: float, dtype: str) -> None:
    assert all(a.trouble == "" for a in accuracies(f, x, dtype=dtype))


@pytest.mark.parametrize(
    ("f", "x", "dtype"),
    [
        (lambda x: np.exp(x) / (1 + np.exp(x)), 1000.0, "float64"),
        (lambda x: np.exp(x) / (1 + np.exp(x)), 12.0, "float16"),
        (lambda x: np.log(np.exp(x)), -800.0, "float64"),
        (lambda x: np.sqrt((x * x).sum()), [1e200, 1e200], "float64"),
        (lambda x: np.exp(x) / np.exp(x).sum(), [900.0, 0.0], "float64"),
        (lambda x: np.log(np.exp(x) + 1), 800.0, "float64"),
        (lambda x: x * x / x, 1e-200, "float64"),
    ],
)
def test_intermediate_results_beyond_the_dtype_are(f: Callable[[Any], Any], x: Any, dtype: str) -> None:
    troubles = {a.trouble for a in accuracies(f, x, dtype=dtype)}
    assert troubles & {"not finite", "inaccurate"}


def test_what_is_not_finite_comes_first_and_carries_the_flags() -> None:
    broken, finite = accuracies(lambda x: np.exp(x) / (1 + np.exp(x)), [1.0, 1000.0])
    assert (broken.trouble, broken.index, broken.amplification, broken.exact) == ("not finite", (1,), np.inf, 1.0)
    assert np.isnan(broken.computed)
    assert "overflow" in broken.flags
    assert (finite.trouble, finite.index) == ("", (0,))


def test_backwards_are_judged_alike() -> None:
    stable = accuracies(np.tanh, [20.0, 0.5], backward=lambda dy, x, y: dy / np.cosh(x) ** 2)
    unstable = accuracies(np.tanh, [20.0, 0.5], backward=lambda dy, x, y: dy * (1 - y**2))
    assert [a.trouble for a in stable] == [""]
    assert [(a.trouble, a.index) for a in unstable] == [("inaccurate", (0,))]
    assert unstable[0].amplification > 1e10


@pytest.mark.parametrize("dtype", DTYPES)
def test_spacing_is_the_ulp_and_never_below_the_normal_numbers(dtype: str) -> None:
    kind, info = np.dtype(dtype), np.finfo(dtype)
    normal = np.array([1.0, 1.5, 2.0, -3.0, 100.0, float(info.smallest_normal) * 4], kind)
    assert spacing(normal.astype(np.float64), kind).tolist() == np.abs(np.spacing(normal)).astype(np.float64).tolist()
    assert spacing(np.array([0.0, float(info.smallest_subnormal)]), kind).tolist() == [float(info.smallest_normal)] * 2
    assert one_rounding(np.array([1.0, 0.0], kind)).tolist() == [float(info.eps) / 2, float(info.smallest_subnormal) / 2 or 0.0]
    assert one_rounding(np.array([np.inf, np.nan], kind)).tolist() == [0.0, 0.0]


def test_a_result_lost_to_underflow_keeps_no_relative_accuracy_to_lose() -> None:
    assert amplification(lambda x: np.exp(x), -740.0) <= 1
    assert amplification(lambda x: x * x, 1e-170) <= 1
    assert amplification(lambda x: x * x, 3e-4, dtype="float16") <= 1


def test_movement_is_the_error_of_one_rounding_of_the_inputs() -> None:
    with ctx.workprec(300):
        x, y = np.array([1.0, 100.0]), np.array(3.0)
        here = (exact(np.array([101.0 * 3])),)
        recompute = lambda ps: (ps[0].sum(keepdims=True) * ps[1],)  # noqa: E731
        (worst,) = movement(recompute, [x, y], here, np.random.default_rng(0), worst=True)
        total = 3 * (one_rounding(x).sum()) + 101 * float(one_rounding(y))
        assert to_float(worst)[0] == pytest.approx(total, rel=1e-12)
        (some,) = movement(recompute, [x, y], here, np.random.default_rng(0), worst=False)
        assert 0 < to_float(some)[0] <= total
        (again,) = unavoidable_error(recompute, [x, y], here, 0, 300)(True)
        assert to_float(again)[0] == pytest.approx(total, rel=1e-12)


def test_the_movements_are_asked_for_only_where_the_ulps_do_not_clear_the_result() -> None:
    asked: list[bool] = []

    def unavoidable(worst: bool) -> list[np.ndarray]:
        asked.append(worst)
        return [np.array([arb(1)], dtype=object)]

    kind = np.dtype("float64")
    (clear,) = judge([np.array([1.0])], [exact(np.array([1.0 + 2.0**-52]))], kind, 3, frozenset(), unavoidable)
    assert asked == []
    assert (clear.amplification, clear.limit, clear.trouble) == (1.5, amplification_limit(3), "")  # half an ulp of the bound
    (cleared,) = judge([np.array([1.0])], [exact(np.array([1.5]))], kind, 3, frozenset(), unavoidable)
    assert asked == [False]
    assert cleared.trouble == ""
    assert judge([np.empty(0)], [exact(np.empty(0))], kind, 3, frozenset(), unavoidable) == ()
    assert judge([np.array(2.0)], [exact(np.array(2.0))], kind, 0, frozenset(), unavoidable)[0].index == ()


def test_the_limit_grows_with_the_steps() -> None:
    assert amplification_limit(0) == 4
    assert amplification_limit(10) > amplification_limit(1)


@pytest.mark.parametrize("seed", range(8))
def test_a_tie_that_one_rounding_breaks_is_not_blamed_on_the_backward_that_takes_one_side(seed: int) -> None:
    """Both sums move alike when all inputs do, and the larger stays the larger; any one input by itself changes that."""

    def sums(x: Any, k: Any) -> Any:
        return np.stack([x[0] * k[0] + x[1] * k[1], x[1] * k[0] + x[2] * k[1]])

    def vjp(dy: Any, x: Any, k: Any) -> Any:
        f = (np.arange(2) == np.argmax(sums(x, k), axis=0)) * dy
        return np.stack([f[0] * k[0], f[0] * k[1] + f[1] * k[0], f[1] * k[1]]), np.stack(
            [f[0] * x[0] + f[1] * x[1], f[0] * x[1] + f[1] * x[2]]
        )

    x, k = np.float32([5.687414169311523, 5.687413692474365, 5.687414169311523]), np.float32([5.983899116516113, 5.983900547027588])
    assert gradcheck.check(lambda x, k: np.max(sums(x, k), axis=0), vjp, x, k, seed=seed).findings == ()
