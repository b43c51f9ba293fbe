"""What is measured at a point: agreement in the designed cases, and the float way where balls cannot go."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from gradcheck.errors import SpecError
from gradcheck.evidence import Evidence, GradientEvidence, gather
from gradcheck.function_spec import Law
from gradcheck.points import Point
from gradcheck.relations import at_most, equal
from gradcheck.subject import NumpyPair, TorchCallable


def measured(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *primals: Any,
    dtype: str = "float64",
    torch_reference: Any = None,
    laws: Any = (),
    seed: int = 3,
) -> Evidence:
    names = tuple(f"x{i}" for i in range(len(primals)))
    held = {n: np.asarray(p, dtype) if isinstance(p, (float, list)) else p for n, p in zip(names, primals, strict=True)}
    wanted = tuple(n for n, v in held.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    subject = NumpyPair("f", forward, backward, names, wanted)
    reference = TorchCallable("r", torch_reference, names, wanted) if torch_reference else None
    return gather(subject, Point(held, dtype, seed), reference, laws)


def gradient(*args: Any, **options: Any) -> GradientEvidence:
    return measured(*args, **options).gradients[0]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_vjp(dy: Any, x: Any, y: Any) -> Any:
    return y * (dy - (dy * y).sum(-1, keepdims=True))


EPS = 1e-5


def normed(x: Any) -> Any:
    return (x - x.mean()) / np.sqrt(x.var() + EPS)


def normed_vjp(dy: Any, x: Any, y: Any) -> Any:
    return (dy - dy.mean() - y * (dy * y).mean()) / np.sqrt(x.var() + EPS)


def normed_without_eps(dy: Any, x: Any) -> Any:
    s = np.sqrt(x.var())
    y = (x - x.mean()) / s
    return (dy - dy.mean() - y * (dy * y).mean()) / s


def filled(x: Any) -> Any:
    out = np.zeros(x.shape)
    for i in range(len(x)):
        out[i] = math.exp(x[i]) / 3 if x[i] < 1 else x[i] ** 2
    return out


def filled_vjp(dy: Any, x: Any) -> Any:
    return np.array([dy[i] * (math.exp(x[i]) / 3 if x[i] < 1 else 2 * x[i]) for i in range(len(x))])


RIGHT: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "tanh": (np.tanh, lambda dy, x, y: dy * (1 - y * y), ([0.5, -20.0, 0.0],)),
    "softmax": (softmax, softmax_vjp, ([[1.0, 2.0, -3.0], [0.0, 0.0, 1e3]],)),
    "norm with eps": (normed, normed_vjp, ([1.0, 2.0, 4.0],)),
    "norm of a constant": (normed, normed_vjp, ([2.0, 2.0, 2.0],)),
    "loop into a buffer": (filled, filled_vjp, ([0.5, 2.0],)),
    "zero": (lambda x: x * 0, lambda dy, x: dy * 0, ([0.5, 2.0],)),
    "no slope": (lambda x: x * x, lambda dy, x: 2 * x * dy, (0.0,)),
    "subnormal": (lambda x: x * x, lambda dy, x: 2 * x * dy, ([5e-324, -1e-310],)),
    "large": (lambda x: np.sin(x), lambda dy, x: np.cos(x) * dy, ([1e4, -9999.5],)),
    "empty": (lambda x: x * 2, lambda dy, x: dy * 2, ([],)),
    "saturated": (lambda x: 1 / (1 + np.exp(-x)), lambda dy, x, y: dy * y * (1 - y), ([-800.0, 800.0],)),
    "rounded constants": (lambda x: x * 0.1 + np.sqrt(0.3) * x, lambda dy, x: dy * (0.1 + 0.3**0.5), ([2.0],)),
    "relu, left": (lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0), ([0.0, 1.0],)),
    "relu, right": (lambda x: np.maximum(x, 0), lambda dy, x: dy * (x >= 0), ([0.0, 1.0],)),
    "relu, between": (lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, 0.3, x > 0), ([0.0, 1.0],)),
    "maximum, first of a tie": (lambda x: x.max(), lambda dy, x: dy * (np.arange(3) == np.argmax(x)), ([2.0, 2.0, 1.0],)),
    "maximum, shared tie": (lambda x: x.max(), lambda dy, x: dy * (x == x.max()) / (x == x.max()).sum(), ([2.0, 2.0, 1.0],)),
    "abs": (abs, lambda dy, x: dy * np.sign(x), ([0.0, -3.0],)),
    "two arguments": (lambda x, y: x @ y, lambda dy, x, y: (dy @ y.T, x.T @ dy), ([[1.0, 2.0]], [[3.0], [0.5]])),
    "data beside": (
        lambda x, n: -np.log(x[np.arange(2), n]),
        lambda dy, x, n: -dy[:, None] / x * (n[:, None] == np.arange(2)),
        ([[0.3, 0.7], [0.5, 0.5]], np.array([0, 1])),
    ),
    "an option": (
        lambda x, how: x.mean() if how == "mean" else x.sum(),
        lambda dy, x, how: dy * np.ones_like(x) / (len(x) if how == "mean" else 1),
        ([1.0, 2.0, 4.0], "mean"),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_equal(name: str, dtype: str) -> None:
    forward, backward, primals = RIGHT[name]
    found = measured(forward, backward, *primals, dtype=dtype)
    assert not found.why_not_exact
    for g in found.gradients:
        assert g.agreement == "equal", f"{g.reason} {g.wrong}"
        assert g.error < 1e-13
        assert g.shape == found.point.primals[g.argument].shape


@pytest.mark.parametrize("name", ["relu, left", "relu, right", "relu, between", "abs", "maximum, first of a tie", "maximum, shared tie"])
def test_kinks_are_marked(name: str) -> None:
    forward, backward, primals = RIGHT[name]
    assert gradient(forward, backward, *primals).kink


@pytest.mark.parametrize("name", ["tanh", "no slope", "norm of a constant", "zero", "subnormal"])
def test_smooth_points_are_not(name: str) -> None:
    forward, backward, primals = RIGHT[name]
    assert not gradient(forward, backward, *primals).kink


WRONG: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...], Any]] = {
    "one part in 1e11": (np.tanh, lambda dy, x, y: dy * (1 - y * y) * (1 + 1e-11), ([0.5, -2.0],), [True, True]),
    "one entry": (np.exp, lambda dy, x, y: dy * y * np.array([1, 1.01, 1]), ([0.5, -2.0, 0.0],), [False, True, False]),
    "sign": (np.exp, lambda dy, x, y: -dy * y, ([0.5],), [True]),
    "upstream ignored": (np.exp, lambda dy, x, y: y, ([0.5, 1.0],), [True, True]),
    "eps forgotten": (normed, lambda dy, x: normed_without_eps(dy, x), ([1.0, 2.0, 4.0],), [True] * 3),
    "no subgradient": (lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, 2, x > 0), ([0.0, 1.0],), [True, False]),
    "zero where it is not": (np.sin, lambda dy, x: dy * 0, ([0.5],), [True]),
    "not a number": (lambda x: x * 2, lambda dy, x: dy * np.nan, ([0.5],), [True]),
    "tiny but wrong": (lambda x: x**3, lambda dy, x: 2 * x * x * dy, ([1e-200],), [True]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_different_where_they_are_wrong(name: str, dtype: str) -> None:
    forward, backward, primals, wrong = WRONG[name]
    if name == "tiny but wrong" and dtype == "float32":
        primals = ([1e-30],)
    found = gradient(forward, backward, *primals, dtype=dtype)
    assert found.agreement == "different"
    assert found.wrong is not None
    assert found.wrong.tolist() == wrong
    assert found.error > 0


@pytest.mark.parametrize(
    ("backward", "reason"),
    [(lambda dy, x: dy[:1], "shape"), (lambda dy, x: dy.sum(), "shape"), (lambda dy, x: dy[None], "shape"), (lambda dy, x: (None,), "")],
)
def test_shapes_and_missing_gradients(backward: Callable[..., Any], reason: str) -> None:
    found = gradient(lambda x: 2 * x, backward, [1.0, 2.0])
    assert found.agreement == "different" or reason == ""
    assert reason in found.reason


def test_a_missing_gradient_that_is_zero_is_none_missing() -> None:
    assert gradient(lambda x: x * 0, lambda dy, x: (None,), [1.0, 2.0]).agreement == "equal"
    assert gradient(lambda x: x * 2, lambda dy, x: (None,), [1.0, 2.0]).agreement == "different"


def test_the_variant_for_which_the_backward_is_right_is_named() -> None:
    forward, backward, primals, _ = WRONG["eps forgotten"]
    assert [v.description for v in gradient(forward, backward, *primals).variants] == ["EPS left out"]


@pytest.mark.parametrize(
    ("f", "df", "x"),
    [
        (np.log, lambda dy, x: dy / x, 0.0),
        (np.arccosh, lambda dy, x: dy / np.sqrt(x * x - 1), 0.5),
        (lambda x: np.log(x - 1), lambda dy, x: dy / (x - 1), 0.5),
    ],
)
def test_where_there_is_no_derivative_nothing_is_decided(f: Callable[[Any], Any], df: Callable[..., Any], x: float) -> None:
    found = gradient(f, df, x)
    assert found.agreement == "undecided"
    assert found.reason


def test_what_a_pass_would_have_caught_is_told() -> None:
    found = gradient(np.tanh, lambda dy, x, y: dy * (1 - y * y), [0.5, -2.0, 0.1])
    assert 1e-14 < found.detects < 1e-10
    assert math.isinf(gradient(lambda x: x * 0, lambda dy, x: dy * 0, [0.5]).detects)


def test_the_three_ways_stand_side_by_side() -> None:
    found = gradient(np.tanh, lambda dy, x, y: dy * (1 - y * y), [0.5, -2.0], torch_reference=torch.tanh)
    assert [(s.way, s.exact) for s in (found.numeric, found.analytic, found.autograd, found.classical)] == [
        ("numeric", True),
        ("analytic", True),
        ("autograd", False),
        ("numeric", False),
    ]
    values = [s.value for s in (found.numeric, found.analytic, found.autograd, found.classical)]
    assert values == pytest.approx([values[0]] * 4, rel=1e-9)
    assert found.numeric.bound < 1e-30
    assert found.like_reference is True


def inverse(x: Any) -> Any:
    return np.linalg.pinv(x)


def inverse_vjp(dy: Any, x: Any, y: Any) -> Any:
    return -y.T @ dy @ y.T


MATRIX = [[2.0, 0.5], [-0.25, 1.5]]


def test_what_has_no_exact_form_is_told_with_its_line_and_the_float_way_passes_a_right_gradient() -> None:
    found = measured(inverse, inverse_vjp, MATRIX)
    assert "numpy.linalg.pinv has no exact counterpart" in found.why_not_exact
    assert f"{__file__.rpartition('/')[2]}:{inverse.__code__.co_firstlineno + 1}" in found.why_not_exact
    (g,) = found.gradients
    assert g.agreement == "equal"
    assert not g.numeric.exact
    assert 0 < g.detects < 1e-3


@pytest.mark.parametrize(
    "backward",
    [
        lambda dy, x, y: -y @ dy @ y,
        lambda dy, x, y: y.T @ dy @ y.T,
        lambda dy, x, y: -y.T @ dy @ y.T * 1.001,
        lambda dy, x, y: -y.T @ y.T,
        lambda dy, x, y: dy * 0,
    ],
)
def test_the_float_way_finds_wrong_gradients(backward: Callable[..., Any]) -> None:
    found = measured(inverse, backward, MATRIX)
    assert found.why_not_exact
    assert found.gradients[0].agreement == "different"
    assert found.gradients[0].wrong.any()


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda x: np.array([float(v) ** 2 for v in x]), "turned into a float"),
        (lambda x: np.fft.rfft(x).real ** 2 + x * 0, "numpy.fft.rfft"),
        (lambda x: scipy.special.erfcx(x), "erfcx"),
        (lambda x: np.asarray(x, dtype=complex).real + 0, "complex"),
        (lambda x: np.linalg.eigvalsh(np.outer(x, x)), "numpy.linalg.eigvalsh"),
        (lambda x: np.histogram(x)[1][:2], "numpy.histogram"),
        (lambda x: np.frombuffer(x.tobytes()) * 1, "tobytes"),
    ],
)
def test_the_reason_is_told(forward: Callable[[Any], Any], why: str) -> None:
    found = measured(forward, lambda dy, x: dy, [1.0, 2.5])
    assert why in found.why_not_exact
    assert "test_evidence.py:" in found.why_not_exact


def test_a_forward_that_changes_its_input_is_measured_all_the_same() -> None:
    def forward(x: Any) -> Any:
        x *= 2
        return x * x

    found = measured(forward, lambda dy, x: 8 * dy * x, [1.0, -2.0])
    assert found.run.changed == (("forward", "x0"),)
    assert found.gradients[0].agreement == "equal"


def test_a_forward_that_is_not_deterministic_is_seen() -> None:
    found = measured(lambda x: x * np.random.default_rng().random(x.shape), lambda dy, x: dy, [1.0] * 8)
    assert (found.run.differs, found.drew) == (True, False)


def test_a_forward_that_draws_is_given_the_same_numbers_every_time() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    found = measured(lambda x: x * rng.random(x.shape), lambda dy, x: dy, [1.0] * 8)
    assert (found.run.differs, found.drew, found.drew_others) == (False, True, False)
    assert found.gradients[0].agreement == "different"
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("stage", ["forward", "backward"])
def test_what_raises_is_no_crash_of_ours(stage: str) -> None:
    def forward(x: Any) -> Any:
        return x / (1 if stage == "backward" else 0 * len(x)) if stage == "backward" else [][0]

    found = measured(forward, lambda dy, x: [][0], [1.0])
    assert found.run.failure is not None
    assert found.run.failure.stage == stage
    assert found.gradients == ()


def test_code_that_only_balls_stumble_over_is_told() -> None:
    found = measured(lambda x: x * 2 if type(x) is np.ndarray else {}[0], lambda dy, x: 2 * dy, [1.0, 2.0])
    assert "in exact arithmetic it raises" in found.why_not_exact
    assert found.gradients[0].agreement == "equal"


def test_the_value_is_compared_with_torch() -> None:
    right = measured(np.tanh, lambda dy, x, y: dy, [0.5, -2.0], torch_reference=torch.tanh).values[0]
    assert (right.agreement, right.output) == ("equal", 0)
    wrong = measured(lambda x: np.tanh(x) * (1 + 1e-11 * (x < 0)), lambda dy, x, y: dy, [0.5, -2.0], torch_reference=torch.tanh).values[0]
    assert (wrong.agreement, wrong.index) == ("different", (1,))
    assert measured(np.tanh, lambda dy, x, y: dy, [0.5]).values[0].agreement is None


def gelu(x: Any) -> Any:
    return x * scipy.special.ndtr(x)


def gelu_vjp(dy: Any, x: Any) -> Any:
    return dy * (scipy.special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("x", [-9.0, -5.5, -12.0, 0.5])
def test_where_torch_itself_is_inaccurate_its_exact_value_decides(x: float) -> None:
    found = measured(gelu, gelu_vjp, [x], torch_reference=torch.nn.functional.gelu)
    assert found.values[0].agreement == "equal"
    assert found.gradients[0].agreement == "equal"
    wrong = measured(lambda x: gelu(x) * 1.001, gelu_vjp, [x], torch_reference=torch.nn.functional.gelu)
    assert wrong.values[0].agreement == "different"


def test_shapes_that_differ_from_torchs_are_told() -> None:
    found = measured(lambda x: x.sum(keepdims=True), lambda dy, x: dy * np.ones_like(x), [1.0, 2.0], torch_reference=torch.sum)
    assert found.expected_shapes == ((),)
    assert found.values[0].agreement is None


def test_a_reference_that_raises_is_the_specs_fault() -> None:
    with pytest.raises(SpecError, match="the torch reference raises"):
        measured(np.tanh, lambda dy, x, y: dy, [0.5], torch_reference=lambda x: x[5])


LAWS = [
    ("odd", lambda f, x0: equal(f(-x0), -f(x0)), "equal"),
    ("bounded", lambda f, x0: (at_most(f(x0), 1), at_most(-1, f(x0))), "equal"),
    ("touches its bound", lambda f, x0: at_most(f(x0) - f(x0), 0), "equal"),
    ("its slope", lambda f, x0: equal(f.vjp(np.ones_like(x0), x0), 1 - f(x0) ** 2), "equal"),
    ("even", lambda f, x0: equal(f(-x0), f(x0)), "different"),
    ("too low", lambda f, x0: (at_most(f(x0), 1), at_most(f(x0), 0.3)), "different"),
    ("cannot be exact", lambda f, x0: equal(float(f(x0)[0]), 0), "undecided"),
    ("rounded constant", lambda f, x0: equal(0.1 * f(x0), f(x0) / 10), "equal"),
]


@pytest.mark.parametrize(("title", "body", "agreement"), LAWS)
def test_laws(title: str, body: Callable[..., Any], agreement: str) -> None:
    (found,) = measured(np.tanh, lambda dy, x, y: dy * (1 - y * y), [0.5, -2.0], laws=[Law(title, body, {})]).laws
    assert (found.title, found.agreement) == (title, agreement)
    assert found.line == body.__code__.co_firstlineno
    if agreement == "different":
        assert found.left > found.right if title == "too low" else found.left != found.right
    if agreement == "undecided":
        assert "turned into a float" in found.reason


def test_only_the_parts_asked_for_are_measured() -> None:
    names = ("x",)
    subject, point = NumpyPair("f", np.tanh, lambda dy, x, y: dy * (1 - y * y), names, names), Point({"x": np.array([0.5])})
    law = Law("odd", lambda f, x: equal(f(-x), -f(x)), {})
    assert gather(subject, point, None, [law], frozenset()).gradients == ()
    assert gather(subject, point, None, [law], frozenset({"laws"})).laws[0].agreement == "equal"
    assert len(gather(subject, point, None, [law], frozenset({"gradients"})).gradients) == 1


def test_several_outputs_and_one_dimension_too_few() -> None:
    def forward(x: Any, y: Any) -> Any:
        return x.sum(), x * y

    found = measured(forward, lambda dy, x, y: (dy[0] + dy[1] * y, (dy[1] * x).sum()), [1.0, 2.0], 3.0)
    assert [g.agreement for g in found.gradients] == ["equal", "equal"]
    assert [v.output for v in found.values] == [0, 1]


def test_torch_subjects_are_measured_alike() -> None:
    right = TorchCallable("t", lambda x: torch.softmax(x, -1) * x.abs(), ("x",), ("x",))
    found = gather(right, Point({"x": np.array([0.5, -2.0, 0.25])}))
    assert not found.why_not_exact
    assert found.gradients[0].agreement == "equal"


def test_replaying_gives_the_same_evidence() -> None:
    first, second = (gradient(np.tanh, lambda dy, x, y: dy * (1 - y * y) * 1.01, [0.5, -2.0]) for _ in range(2))
    assert (first.numeric, first.analytic, first.classical, first.error) == (
        second.numeric,
        second.analytic,
        second.classical,
        second.error,
    )


def stepped(weights: Any, rate: float) -> Any:
    return weights - (rate / 0.001) * (0.01 * weights)


@pytest.mark.parametrize("weights", [3.0, [1.0, 3.0]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_number_that_was_rounded_is_an_input_too(weights: Any, dtype: str) -> None:
    """At a rate of 0.1 the step is the weight itself: what is left is the rounding of 0.1, which no algorithm can help."""
    subject = NumpyPair("step", stepped, lambda dy, weights, rate: dy * (1 - rate / 0.001 * 0.01), ("weights", "rate"), ("weights",))
    point = Point({"weights": np.array(weights, dtype), "rate": 0.1}, dtype, 3)
    found = gather(subject, point)
    assert not found.why_not_exact
    assert not [a.trouble for a in (*found.forward_accuracy, *found.backward_accuracy[0]) if a.trouble]


def test_a_number_that_was_rounded_excuses_nothing_else() -> None:
    subject = NumpyPair("apart", lambda x, eps: np.sqrt(x + eps) - np.sqrt(x), lambda dy, x, eps: dy * x, ("x", "eps"), ("x",))
    found = gather(subject, Point({"x": np.array([1e9]), "eps": 0.1}, "float64", 3))
    assert [a.trouble for a in found.forward_accuracy] == ["inaccurate"]


def test_the_error_of_arguments_that_are_looked_at_together_is_the_one_measured() -> None:
    found = measured(lambda x, y: np.exp(x * y), lambda dy, x, y, out: (dy * out * y, dy * out * x), [0.3, 0.7], [1.1, -0.4])
    assert [g.agreement for g in found.gradients] == ["equal", "equal"]
    assert all(0 < g.error < 2.0**-200 for g in found.gradients)


def test_gradients_that_vanish_together_have_no_error() -> None:
    found = measured(lambda x, y: x**3 + y**3, lambda dy, x, y, out: (3 * dy * x * x, 3 * dy * y * y), [0.0], [0.0])
    assert [(g.agreement, g.error, g.detects) for g in found.gradients] == [("equal", 0.0, math.inf)] * 2


@pytest.mark.parametrize(("data", "trouble"), [([1.1, -1.1001], ""), ([1.0, -1.0009765625], "inaccurate")])
def test_data_that_was_rounded_is_an_input_too_and_short_numbers_are_what_was_meant(data: Any, trouble: str) -> None:
    """A sum that cancels: of rounded numbers nobody could have known it better, of 1 and 1 + 2^-10 one could."""

    def forward(x: Any, weights: Any) -> Any:
        return np.sum(weights / 3) + 0 * x

    subject = NumpyPair("weighed", forward, lambda dy, x, weights, y: 0 * dy, ("x", "weights"), ("x",))
    found = gather(subject, Point({"x": np.array(1.0), "weights": np.array(data)}, "float64", 3))
    assert not found.why_not_exact
    assert [a.trouble for a in found.forward_accuracy] == [trouble]
