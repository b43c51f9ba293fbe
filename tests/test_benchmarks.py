"""The pieces of ``python -m benchmarks``, at tiny sizes; how long anything takes is not asserted."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from gradcheck.catalog import load

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def part(monkeypatch):
    """Imports a module of benchmarks, which is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture(scope="module")
def specs():
    return load().specs


def test_every_spec_can_be_sampled_inside_its_domain(part, specs):
    samples = part("samples")
    for spec in specs.values():
        for entries in samples.STRESS.values():
            point = samples.point(spec, entries, 0)
            assert list(point.primals) == list(spec.arguments)
            for name, domain in spec.arguments.items():
                low, high = getattr(domain, "low", None), getattr(domain, "high", None)
                value = np.asarray(point.primals[name])
                assert value.dtype.kind != "f" or np.isfinite(value).all()
                assert low is None or (value >= low).all()
                assert high is None or (value <= high).all()


def test_points_are_the_same_for_the_same_seed(part, specs):
    samples = part("samples")
    first, again, other = (samples.point(specs["layer_norm"], samples.ORDINARY, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.primals["x"], again.primals["x"])
    assert not np.array_equal(first.primals["x"], other.primals["x"])


@pytest.mark.parametrize("checker", ["gradcheck", "torch fast", "torch slow", "course rule"])
@pytest.mark.parametrize("one_entry", [False, True])
def test_checkers_accept_what_is_right_and_accuse_a_large_slip(part, specs, checker, one_entry):
    checkers, samples = part("checkers"), part("samples")
    point = samples.point(specs["tanh"], samples.ORDINARY, 0)
    check = checkers.CHECKERS[checker]
    assert check(specs["tanh"], point, checkers.NO_SLIP) is checkers.Answer.ACCEPTED
    assert check(specs["tanh"], point, checkers.Slip(0.5, one_entry)) is checkers.Answer.ACCUSED


def test_one_entry_of_the_first_gradient_slips(part):
    slip = part("checkers").Slip(0.5, one_entry=True)
    assert slip.factor((2, 2), 0).tolist() == [[1, 1], [1.5, 1]]
    assert slip.factor((2, 2), 1).tolist() == [[1, 1], [1, 1]]
    assert slip.factor((), 0).tolist() == 1.5


def test_a_point_at_which_the_right_gradient_is_accused_proves_no_power(part, specs):
    power, checkers = part("power"), part("checkers")
    points = part("samples").points(specs["relu"], part("samples").ORDINARY, 2)
    assert power.smallest(lambda *_: checkers.Answer.ACCUSED, specs["relu"], points, False) is None


def test_power_stops_at_the_first_error_missed(part, specs):
    power, answer = part("power"), part("checkers").Answer
    points = part("samples").points(specs["relu"], part("samples").ORDINARY, 1)

    def checker(spec, point, slip):
        return answer.ACCUSED if slip.delta >= 1e-4 or slip.delta == 1e-6 else answer.ACCEPTED

    assert power.smallest(checker, specs["relu"], points, False, (1e-2, 1e-4, 1e-5, 1e-6)) == 1e-4


def test_power_is_measured_and_shown(part, specs):
    rows = part("power").measure([specs["tanh"]], 1, (1e-2, 1e-9))
    assert [r.found["gradcheck"] for r in rows] == [1e-9, 1e-9]
    shown = part("tables").power(rows, True, (1e-2, 1e-9))
    assert "| tanh | 1e-09 |" in shown
    assert "Not met" in shown


def test_alarms_are_measured_and_shown(part, specs):
    samples = part("samples")
    rows = part("alarms").measure([specs["relu"]], 1, {"integers -3..3": samples.integers})
    assert {r.checker: r.accused for r in rows}["gradcheck"] == 0
    assert "None of 1 points." in part("tables").alarms(rows, True)


def test_cost_has_a_yardstick_of_one(part):
    cost = part("cost")
    rows = cost.measure(1)
    assert [r.ratio for r in rows if r.name == cost.YARDSTICK] == [1.0]
    assert "ratio to fast" in part("tables").cost(rows, 1)


def test_the_tables_replace_what_stands_between_the_markers(part, tmp_path):
    tables = part("tables")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    tables.write_between(readme, "new")
    assert readme.read_text() == f"before\n{tables.BEGIN}\nnew\n{tables.END}\nafter\n"
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("text", ["none", "{END} {BEGIN}", "{BEGIN} {BEGIN} {END}"])
def test_a_readme_without_the_markers_is_left_alone(part, tmp_path, text):
    tables = part("tables")
    readme = tmp_path / "README.md"
    readme.write_text(text.format(BEGIN=tables.BEGIN, END=tables.END))
    before = readme.read_text()
    with pytest.raises(ValueError, match="once each"):
        tables.write_between(readme, "new")
    assert readme.read_text() == before


def test_the_machine_is_described_without_its_name(part):
    import platform

    said = part("tables").machine()
    assert "cores" in said
    assert not platform.node() or platform.node() not in said


def test_engines_ask_the_same_question(part):
    problems, engines = part("problems"), part("engines")
    x = np.random.default_rng(0).standard_normal(20)
    for problem in problems.PROBLEMS:
        for name in ("gradcheck, exact", "gradcheck, floats", "torch, fast", "torch, slow"):
            passed, forwards, backwards = engines.ask(engines.ENGINES[name], engines.Task(problem, problems.RIGHT, x))
            assert passed, (problem.name, name)
            assert forwards >= 2
            assert backwards >= 1
        assert engines.ask(engines.exact, engines.Task(problem, problems.RIGHT, x))[1:] == (3, 1)
        assert engines.ask(engines.floats, engines.Task(problem, problems.RIGHT, x))[1:] == (5, 1)


def test_ours_find_every_slip_and_accuse_no_right_gradient(part):
    problems, engines = part("problems"), part("engines")
    for engine in (engines.exact, engines.floats):
        for slip in problems.SLIPS:
            task = engines.Task(problems.ELEMENTWISE, slip, np.random.default_rng(0).standard_normal(30))
            assert engines.ask(engine, task)[0] is False, slip.name
        for hard in problems.HARD:
            task = engines.Task(hard.problem, problems.RIGHT, hard.draw(np.random.default_rng(0), 30))
            assert engines.ask(engine, task)[0] is not False, hard.problem.name


def test_growth_and_plots_are_measured_and_shown(part, tmp_path):
    growth, tables, plots = part("growth"), part("tables"), part("plots")
    costs = growth.measure(part("problems").PROBLEMS[:1], (10, 20), 1)
    assert {c.engine for c in costs} >= {growth.BASIS, "gradcheck, exact", "torch, slow"}
    shown = tables.growth(costs)
    assert "(3 + 1)" in shown
    assert "ahead of fast mode" in shown
    drawn = [plots.cost(costs, tmp_path), plots.detection(tmp_path, 5, 1), plots.steps(tmp_path)]
    assert all(path.read_text().startswith("<?xml") for path in drawn)


def test_coverage_is_measured_and_shown(part):
    coverage, samples = part("coverage"), part("samples")
    rows = coverage.measure([load().specs["tanh"], load().specs["relu"]], 2, {"scale 1": samples.STRESS["scale 1"]})
    assert [(r.case, r.bounded, r.held) for r in rows] == [("scale 1", rows[0].slopes, rows[0].slopes)]
    assert "below the bound in 99.9%" in part("tables").coverage(rows)



def test_every_function_of_the_catalog_can_be_compared(part, specs):
    """Several outputs, empty arrays and options are all the comparison's to deal with: no function may stop a run of an hour."""
    samples, checkers = part("samples"), part("checkers")
    for spec in (s for s in specs.values() if s.differentiable):
        for point in samples.points(spec, samples.ORDINARY, 1):
            assert (spec.name, checkers.FAST(spec, point, checkers.NO_SLIP)) == (spec.name, checkers.Answer.ACCEPTED)
