"""What every rule must bring along, and how rival explanations are settled."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.diagnosis import Sightings
from gradcheck.errors import UsageError
from gradcheck.evidence import gather
from gradcheck.findings import Severity
from gradcheck.points import Point
from gradcheck.rules import find, match, rank, rules
from gradcheck.rules.factors import describe
from gradcheck.rules.gradient import right_gradients
from gradcheck.subject import NumpyPair, TorchCallable


@pytest.mark.parametrize("code", rules())
def test_docstring(code):
    first, *_ = find(code).doc.partition("\n")
    assert first.endswith(".")
    for part in ("Why:", "Wrong:", "Right:", "Source:"):
        assert part in find(code).doc


@pytest.mark.parametrize("code", rules())
def test_has_a_place_in_the_order(code):
    assert rank(code) < len(rules())


def test_severities():
    assert {c for c, r in rules().items() if r.severity is Severity.NOTE} == {"G115", "S105"}
    assert {c for c, r in rules().items() if r.severity is Severity.WARNING} == {"N104", "N110"}


def test_names_are_unique():
    assert len({r.name for r in rules().values()}) == len(rules())


def test_unknown_code():
    with pytest.raises(UsageError, match="G101"):
        find("G10")


def conclude(forward, vjp, points, torch=None):
    """The codes and causes that remain when the pair was seen at all ``points`` (dicts of lists)."""
    sightings = Sightings()
    for i, given in enumerate(points):
        primals = {n: np.array(v, dtype=np.float64) if isinstance(v, list) else v for n, v in given.items()}
        wanted = tuple(n for n, v in primals.items() if isinstance(v, np.ndarray))
        subject = NumpyPair("pair", forward, vjp, tuple(primals), wanted)
        reference = TorchCallable("reference", torch, tuple(primals), wanted) if torch is not None else None
        point = Point(primals, seed=i)
        evidence = gather(subject, point, reference)
        sightings.add(point, match(evidence), right_gradients(evidence))
    return [(m.code, m.argument, cause) for _, m, cause in sightings.conclusions()]


def relu(x):
    return np.maximum(x, 0)


def test_a_factor_must_hold_everywhere():
    (found,) = conclude(np.exp, lambda dy, x, y: 2 * dy * y, [{"x": [1.0]}, {"x": [1.0, 2.0]}])
    assert found == ("G102", "x", "a factor 2")
    (found,) = conclude(np.exp, lambda dy, x, y: dy * y * (1 + (x > 1)), [{"x": [0.0, 2.0]}, {"x": [2.0, 3.0]}])
    assert found[0] == "G101"


def test_a_single_entry_is_no_proof_of_a_factor_but_three_points_are():
    vjp = lambda dy, x, y: 2 * dy * y  # noqa: E731
    assert [c for c, *_ in conclude(np.exp, vjp, [{"x": [1.0]}, {"x": [2.0]}])] == ["G101"]
    assert [c for c, *_ in conclude(np.exp, vjp, [{"x": [1.0]}, {"x": [2.0]}, {"x": [3.0]}])] == ["G102"]


def test_a_right_gradient_refutes_a_constant_factor():
    vjp = lambda dy, x, y: dy * y * (1 + (x > 1))  # noqa: E731
    assert [c for c, *_ in conclude(np.exp, vjp, [{"x": [2.0, 3.0]}, {"x": [0.5, 1.0]}])] == ["G101"]


def test_a_right_gradient_refutes_zero():
    vjp = lambda dy, x, y: np.where(x > 1, dy, 0)  # noqa: E731
    assert [c for c, *_ in conclude(relu, vjp, [{"x": [0.5]}, {"x": [2.0]}])] == ["G101"]


def test_a_right_gradient_with_another_option_refutes_nothing():
    def forward(x, reduction):
        return np.mean(x * x) if reduction == "mean" else np.sum(x * x)

    points = [{"x": [1.0, 2.0, 3.0], "reduction": "mean"}, {"x": [1.0, 2.0], "reduction": "mean"}, {"x": [1.0, 2.0], "reduction": "sum"}]
    (found,) = conclude(forward, lambda dy, x, reduction, y: 2 * dy * x, points)
    assert found[0] == "G102"
    assert "the number of entries of x" in found[2]


def test_a_mean_over_one_entry_does_not_refute_a_size():
    points = [{"x": [1.0]}, {"x": [1.0, 2.0, 3.0]}, {"x": [1.0, 2.0]}]
    (found,) = conclude(lambda x: np.mean(x * x), lambda dy, x, y: 2 * dy * x, points)
    assert found == ("G102", "x", "a factor the number of entries of x (a mean in one place and a sum in the other)")


def test_a_stray_axis_is_not_a_missing_sum():
    points = [{"x": [[1.0, 2.0]], "b": [1.0, 2.0]}, {"x": [[1.0], [2.0]], "b": [1.0]}, {"x": [[1.0]], "b": [1.0]}]
    stray = conclude(lambda x, b: x + b, lambda dy, x, b, y: (dy, dy.sum(axis=0, keepdims=True)), points)
    missing = conclude(lambda x, b: x + b, lambda dy, x, b, y: (dy, dy), points)
    assert [c for c, *_ in stray] == ["G107"]
    assert [c for c, *_ in missing] == ["G106"]


def test_a_kink_does_not_hide_the_slip_that_other_points_show():
    points = [{"x": [0.0]}, {"x": [1.0, 2.0]}]
    leaky = lambda x: np.where(x > 0, x, 0.5 * x)  # noqa: E731
    assert [c for c, *_ in conclude(leaky, lambda dy, x, y: -dy * np.where(x > 0, 1, 0.5), points)] == ["G103"]
    assert [c for c, *_ in conclude(leaky, lambda dy, x, y: dy * np.where(x > 0, 1, np.where(x < 0, 0.5, 0)), points)] == ["G109"]


def test_a_gradient_that_follows_from_the_forward_is_not_reported():
    points = [{"x": [1.0]}, {"x": [-1e-310]}]
    found = conclude(np.abs, lambda dy, x, y: np.where(x > 0, dy, 0), [*points, {"x": [-3.0]}], torch=lambda x: x.relu())
    assert [c for c, *_ in found] == ["V101"]


SQUARE = {
    "the number of rows of x", "the size of axis 0 of x", "the size of axis 1 of x", "the number of entries of b",
    "the size of axis 0 of b", "half the number of entries of y", "the number of entries of x for each of b", "4",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (SQUARE, "the number of rows of x, or the number of entries of b"),
        (SQUARE - {"the number of rows of x", "the size of axis 0 of x"}, "the number of entries of b"),
        ({f"minus {name}" for name in SQUARE - {"4"}}, "minus the number of rows of x, or minus the number of entries of b"),
        ({"the number of entries of x", "the number of entries of a"}, "the number of entries of a"),
        ({"the number of entries of x", "the size of axis 0 of x"}, "the number of entries of x"),
        ({"twice the number of rows of a", "the size of axis 1 of x"}, "the size of axis 1 of x"),
        ({"the number of rows of x", "the number of entries of x for each of b"}, "the number of rows of x"),
    ],
)  # fmt: skip
def test_the_likeliest_size_is_named_first(given, cause):
    assert describe(frozenset(given)) == f"a factor {cause} (a mean in one place and a sum in the other)"


def test_a_factor_that_is_an_option_is_no_size():
    assert describe(frozenset({"alpha", "(1 - beta)"})) == "a factor (1 - beta)"


def test_the_batch_of_a_square_batch_norm_is_named():
    x = [[1.0, 2.0, -1.0], [0.5, -2.0, 3.0], [0.0, 1.0, 1.5]]
    point = {"x": x, "b": [1.0, 2.0, 3.0]}
    vjp = lambda dy, x, b, y: (3 * (dy - dy.mean(axis=0)), dy.sum(axis=0))  # noqa: E731
    (found,) = conclude(lambda x, b: x - x.mean(axis=0) + b, vjp, [point])
    assert found[2].startswith("a factor the number of rows of x, or the number of entries of b")
