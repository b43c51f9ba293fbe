"""A point fixes one evaluation: all that is random follows from its seed, and a recorded one comes back bit for bit."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given

from gradcheck.domains import Labels, Option, Real
from gradcheck.findings import Example
from gradcheck.function_spec import FunctionSpec, spec
from gradcheck.points import Point, points, replayed

SHAPES = ((3, 2), (), (0,))
always = hypothesis.settings(max_examples=60, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def point(seed: int = 5, dtype: str = "float64") -> Point:
    return Point(
        {"x": np.arange(6.0, dtype=dtype).reshape(3, 2), "bias": np.ones(2, dtype), "mode": "mean"}, dtype, seed, {"shift": np.float64(1.5)}
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_cotangents_follow_from_the_seed(dtype: str) -> None:
    first, second, other = (point(s, dtype).cotangents(SHAPES) for s in (5, 5, 6))
    for a, b, shape in zip(first, second, SHAPES, strict=True):
        assert a.tobytes() == b.tobytes()
        assert a.shape == shape
        assert a.dtype == np.float64
        assert ((np.abs(a) >= 0.5) & (np.abs(a) <= 2)).all()
        assert (a.astype(dtype) == a).all()
    assert not np.array_equal(first[0], other[0])
    assert not (first[0] == 1).any()
    assert len(np.unique(np.abs(first[0]))) == 6


def test_directions_follow_from_the_seed_and_the_name() -> None:
    p = point()
    assert p.direction("x").tobytes() == point().direction("x").tobytes()
    assert p.direction("x").shape == (3, 2)
    assert not np.array_equal(p.direction("x")[0], p.direction("bias"))
    assert not np.array_equal(p.direction("x"), point(6).direction("x"))
    assert not np.array_equal(p.direction("x")[0], p.cotangents(((2,),))[0])
    assert ((np.abs(p.direction("x")) >= 0.5) & (np.abs(p.direction("x")) <= 2)).all()


def test_names_that_spell_alike_get_directions_of_their_own() -> None:
    p = Point({"ab": np.ones(3), "a": np.ones(3), "ba": np.ones(3)})
    directions = [p.direction(n).tolist() for n in ("ab", "a", "ba")]
    assert all(a != b for i, a in enumerate(directions) for b in directions[:i])


def test_both_signs_occur() -> None:
    signs = np.sign(np.concatenate([point(s).direction("x").ravel() for s in range(8)]))
    assert 0.2 < np.mean(signs > 0) < 0.8


def test_given_cotangents_are_taken() -> None:
    v = (np.array([3.0, 4.0]),)
    assert Point({"x": np.ones(2)}, given=v).cotangents(((2,),)) is v


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_recorded_example_comes_back_bit_for_bit(dtype: str) -> None:
    p = point(11, dtype)
    example = p.example(SHAPES)
    again = replayed(example)
    assert again.origin == "replayed"
    assert again.example(SHAPES).digest() == example.digest()
    assert list(again.primals) == list(p.primals)
    for name, value in p.primals.items():
        assert np.asarray(again.primals[name]).tobytes() == np.asarray(value).tobytes()
        assert np.asarray(again.primals[name]).dtype == np.asarray(value).dtype
    for a, b in zip(again.cotangents(SHAPES), p.cotangents(SHAPES), strict=True):
        assert a.tobytes() == b.tobytes()
    assert again.direction("x").tobytes() == p.direction("x").tobytes()
    assert again.extras == p.extras
    assert (again.dtype, again.seed) == (p.dtype, p.seed)


def test_a_digest_tells_examples_apart() -> None:
    base: dict[str, Any] = {"arguments": {"x": np.array([0.0, 1.0])}, "cotangents": (np.ones(2),), "dtype": "float64", "seed": 1}
    others: list[dict[str, Any]] = [
        {"arguments": {"x": np.array([-0.0, 1.0])}},
        {"arguments": {"x": np.array([[0.0, 1.0]])}},
        {"arguments": {"y": np.array([0.0, 1.0])}},
        {"arguments": {"x": np.array([0.0, 1.0], np.float32)}},
        {"seed": 2},
        {"dtype": "float32"},
        {"cotangents": (np.ones(1),)},
        {"extras": {"s": 1}},
    ]
    digests = {Example(**{**base, **other}).digest() for other in [{}, *others]}
    assert len(digests) == len(others) + 1


def layer() -> FunctionSpec:
    @spec("test layer", family="test", x=Real("batch>=2", "n"), labels=Labels("batch", below="n"), how=Option("a", "b"), torch=lambda x: x)
    def made(x: Any, labels: Any, how: Any) -> Any:
        return x

    @made.law("holds")
    def _(f: Any, x: Any, shift: Any = Real("batch")) -> Any:  # noqa: B008
        return None

    return made


def test_points_hold_every_argument_in_one_dtype_and_shapes_that_fit() -> None:
    seen = set()

    @always
    @given(points(layer()))
    def run(p: Point) -> None:
        assert list(p.primals) == ["x", "labels", "how"]
        assert p.primals["x"].dtype == p.extras["shift"].dtype == np.dtype(p.dtype)
        assert p.primals["x"].shape[0] == len(p.primals["labels"]) == len(p.extras["shift"]) >= 2
        assert (p.primals["labels"] < p.primals["x"].shape[1]).all()
        assert p.origin == "generated"
        seen.add((p.dtype, p.primals["how"]))

    run()
    assert seen == {(d, h) for d in ("float64", "float32") for h in ("a", "b")}
