"""From generated points to a result: Hypothesis drives, shrinks, and is left as it was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gradcheck import Real, Result, Verdict, check, spec
from gradcheck.catalog import load
from gradcheck.examine import Settings, examine, explore
from gradcheck.function_spec import FunctionSpec, defined
from gradcheck.points import Point, points
from gradcheck.subject import house, reference


def _spec(name: str, forward: Any, vjp: Any, torch: Any) -> FunctionSpec:
    made = spec(name, family="toy", x=Real("*s"), torch=torch)(forward)
    made.vjp(vjp)
    defined[__name__].remove(made)
    return made


def _square(vjp: Any = lambda dy, x, y: 2 * x * dy) -> FunctionSpec:
    return _spec("square", lambda x: x * x, vjp, lambda x: x * x)


def _examine(made: FunctionSpec, examples: int = 20, seed: int = 0, **more: Any) -> Result:
    return examine(house(made), made, reference(made), Settings(examples, seed, **more), laws=made.laws)


def _plain(result: Result) -> Any:
    measurements = {k: v for k, v in result.measurements.items() if k != "seconds"}
    return replace(result, measurements=measurements, findings=()), [(f.id, f.code, f.message, dict(f.measured)) for f in result.findings]


@pytest.fixture
def profile() -> Iterator[hypothesis.settings]:
    """A profile that would spoil everything, if it counted."""
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile(
        "spoiler", max_examples=1, derandomize=True, verbosity=hypothesis.Verbosity.debug, deadline=1, phases=(), stateful_step_count=1
    )
    hypothesis.settings.load_profile("spoiler")
    yield hypothesis.settings()
    hypothesis.settings.load_profile(before)


def test_the_profile_neither_counts_nor_changes(profile: hypothesis.settings, capsys: pytest.CaptureFixture[str]) -> None:
    result = _examine(_square(lambda dy, x, y: x * dy))
    assert result.measurements["examples"] == 20
    assert [f.code for f in result.findings] == ["G102"]
    assert repr(hypothesis.settings()) == repr(profile)
    assert hypothesis.settings.get_current_profile_name() == "spoiler"
    assert capsys.readouterr() == ("", "")


def test_the_profile_does_not_matter(request: pytest.FixtureRequest) -> None:
    made = _square(lambda dy, x, y: x * dy)
    before = _plain(_examine(made))
    request.getfixturevalue("profile")
    assert _plain(_examine(made)) == before


def test_inside_somebodys_own_property() -> None:
    seen = []

    @hypothesis.settings(max_examples=3, database=None, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    @hypothesis.given(st.floats(-2, 2))
    def own(x: float) -> None:
        seen.append(x)
        assert check(lambda x: x * x, lambda dy, x: 2 * x * dy, x)
        assert _examine(_square(), examples=2)

    own()
    assert len(seen) >= 3


def test_inside_a_property_that_draws_more_afterwards() -> None:
    @hypothesis.settings(max_examples=3, database=None, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    @hypothesis.given(st.data())
    def own(data: Any) -> None:
        first = data.draw(st.integers(0, 10))
        assert not _examine(_square(lambda dy, x, y: x * dy), examples=5, select=("G",))
        assert 0 <= first + data.draw(st.integers(0, 10)) <= 20

    own()


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Any, page: Any) -> None:
    project.specs("a.py", page("half", vjp="return 0.123 * x * dy"))
    code = "from gradcheck.cli import main; main(['list', 'a.py'], standalone_mode=False)\n"
    code += "from gradcheck import check; assert not check(spec='relu', forward=lambda x: x, vjp=lambda dy, x, y: dy, examples=5)\n"
    code += "from gradcheck import runner; from gradcheck.catalog import load; from gradcheck.examine import Settings\n"
    code += "assert not runner.run(runner.of_catalog(load(['a.py']), ['a.py'], []), Settings(5), 0)[0]\n"
    done = project.shell(code)
    assert done.returncode == 0, done.stderr
    assert sorted(n for n in os.listdir(project.path) if n != "__pycache__") == ["a.py"]


def test_the_seed_alone_fixes_the_points(project: Any, page: Any) -> None:
    """Not the constants in whatever code happens to be imported."""
    project.specs("a.py", page("right"))
    project.write("constants.py", f"NUMBERS = {[70001 + 13 * i for i in range(400)]}\n")
    code = (
        "import hashlib, sys; sys.path.insert(0, '.')\nfrom gradcheck import examine\nfrom gradcheck.catalog import load\n"
        "from gradcheck.points import points\nseen = []\n"
        "examine.explore(points(load(['a.py']).find('right')), lambda p: seen.append(p.example(()).digest()), 100, 0)\nprint(*seen)\n"
    )
    plain, beside = project.shell(code), project.shell(f"import sys; sys.path.insert(0, '.'); import constants\n{code}")
    assert plain.returncode == beside.returncode == 0, plain.stderr
    assert len(plain.stdout.split()) == 100
    assert plain.stdout == beside.stdout


def test_points_are_not_made_of_parts_of_the_one_before() -> None:
    made = spec("pair", family="toy", x=Real("n"), y=Real("n"), torch=lambda x, y: x - y)(lambda x, y: x - y)
    defined[__name__].remove(made)
    seen: list[Point] = []
    explore(points(made), seen.append, 100, 0)
    copied = [p for p in seen if np.any(p.primals["x"]) and np.array_equal(p.primals["x"], p.primals["y"])]
    assert len(seen) == 100
    assert len(copied) < 10


def test_the_same_seed_gives_the_same_result() -> None:
    made = _square(lambda dy, x, y: 2 * x * dy + 1)
    assert _plain(_examine(made)) == _plain(_examine(made))
    digests = [[f.example.digest() for f in _examine(made, seed=s).findings] for s in (0, 1)]
    assert all(digests)


def test_counterexamples_are_small() -> None:
    [found] = _examine(_square(lambda dy, x, y: 2 * x * dy * (np.abs(x) < 1.5)), examples=60, select=("G",)).findings
    value = found.example.arguments["x"]
    assert value.size == 1
    assert abs(float(value.ravel()[0])) in {1.5, 2.0, 3.0, 4.0}


def test_shrinking_does_not_slip_to_another_defect() -> None:
    def vjp(dy: Any, x: Any, y: Any) -> Any:
        if x.size == 1:
            raise ValueError("one entry")
        return -2 * x * dy

    found = {f.code: f for f in _examine(_square(vjp), examples=40, select=("G", "R")).findings}
    assert set(found) == {"R101", "G103"}
    assert found["G103"].example.arguments["x"].size > 1
    assert found["R101"].example.arguments["x"].size == 1


def test_a_wrong_forward_is_not_blamed_on_its_backward() -> None:
    for seed in range(3):
        made = _spec("twice", lambda x: 2 * x * x, lambda dy, x, y: 2 * x * dy, lambda x: x * x)
        found = {f.code: f for f in _examine(made, examples=50, seed=seed, select=("V", "G")).findings}
        assert set(found) == {"V102"}, (seed, [f.message for f in found.values()])


def test_the_cause_is_that_of_the_example_shown() -> None:
    """1 - tanh in place of 1 - tanh^2 is off by another factor at every x: no factor is its cause."""
    for seed in range(4):
        made = _spec("tanh", lambda x: np.tanh(x), lambda dy, x, y: dy * (1 - y), lambda x: x.tanh())
        for found in _examine(made, examples=5, seed=seed, select=("G",)).findings:
            assert found.code != "G102", (seed, found.message, found.cause)


def test_a_right_function_with_a_vanishing_slope_passes() -> None:
    cube = _spec("cube", lambda x: x * x * x, lambda dy, x, y: 3 * x * x * dy, lambda x: x * x * x)
    result = _examine(cube, examples=60, select=("V", "G"))
    assert result.verdict is Verdict.PASS, [f.message for f in result.findings]


def test_every_pass_states_what_it_would_have_caught() -> None:
    result = _examine(_square())
    assert result
    assert 0 < result.detects < 1e-11
    assert "would have been caught" in result.measurements["confidence"]
    assert result.measurements["way"] == "exact"


def test_settings_select_by_prefix() -> None:
    assert Settings().counts("G101")
    assert Settings(select=("G", "N10")).counts("N104")
    assert not Settings(select=("G",)).counts("N104")
    assert not Settings(select=("G",), ignore=("G10",)).counts("G101")


def test_an_exhibit_is_searched_until_it_shows() -> None:
    sigmoid = load().find("sigmoid")
    exhibit = sigmoid.exhibits[0]
    from gradcheck.runner import examine_exhibit

    result = examine_exhibit(sigmoid, exhibit, Settings(examples=10))
    assert result.verdict is Verdict.PASS, result.measurements["found"]
    assert result.measurements["expects"] == sorted(exhibit.expects)


def test_points_are_what_the_spec_says() -> None:
    seen: list[Point] = []

    def forward(x: Any) -> Any:
        return x * 1.0

    made = spec("bounded", family="toy", x=Real("n>=2", low=0, high=1), dtypes=("float32",), torch=lambda x: x * 1.0)(forward)
    made.vjp(lambda dy, x, y: dy)
    defined[__name__].remove(made)
    from gradcheck.examine import explore
    from gradcheck.points import points

    explore(points(made), seen.append, 30, 0)
    assert len(seen) == 30
    assert all(p.dtype == "float32" and p.primals["x"].size >= 2 for p in seen)
    assert all(((p.primals["x"] > 0) & (p.primals["x"] < 1)).all() for p in seen)
