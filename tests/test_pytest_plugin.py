"""gradcheck in somebody's pytest run: the fixture, an item for every spec, and nothing where it is not used."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import gradcheck

pytest_plugins = ["pytester"]

# pytester forgets what a session in this process imports, and neither torch nor Hypothesis bears to be imported twice.
for name in ("torch", "hypothesis.strategies", *(m.name for m in pkgutil.walk_packages(gradcheck.__path__, "gradcheck."))):
    import_module(name)

FAST = ("-p", "no:cacheprovider", "-p", "no:randomly", "--gradcheck-examples", "5")
HALF = {"vjp": "return x * dy"}


@pytest.fixture
def specs(project: Any, pytester: pytest.Pytester, page: Callable[..., str]) -> pytest.Pytester:
    """A folder with a right spec, a wrong one, and a file that does not import."""
    project.path = pytester.path
    project.specs("specs/a.py", page("right"), page("half", **HALF))
    project.write("specs/b.py", "import nothing_of_this_name\n")
    return pytester


def test_an_item_for_every_spec(specs: pytest.Pytester) -> None:
    result = specs.runpytest_inprocess("--gradcheck-specs", "specs", "-rA", *FAST)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(["PASSED *a.py::right", "FAILED *a.py::half*", "FAILED *b.py::*"])
    text = ["half: fail", "G102 *error", "*in        half, argument x*", "*at        *a.py:27", "*suspect *", "*gradcheck explain G102"]
    result.stdout.fnmatch_lines(text)
    result.stdout.fnmatch_lines(["*b.py:1: it does not import: ModuleNotFoundError: No module named 'nothing_of_this_name'"])
    assert not (specs.path / ".hypothesis").exists()
    assert not (specs.path / "reports").exists()


def test_beside_other_tests_and_deselected(specs: pytest.Pytester) -> None:
    specs.makepyfile(test_mine="def test_mine():\n    pass\n")
    result = specs.runpytest_inprocess("--gradcheck-specs", "specs/a.py", "-k", "right or mine", *FAST)
    result.assert_outcomes(passed=2, deselected=1)


def test_items_under_xdist(specs: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    specs.makepyfile(test_mine="def test_mine(gradcheck):\n    gradcheck(lambda x: x * x, lambda dy, x: 2 * x * dy, 3.0)\n")
    result = specs.runpytest_subprocess("--gradcheck-specs", "specs", "-n", "2", *FAST)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*G102 gradient off by a constant factor*"])


@pytest.mark.parametrize("where", ["nowhere", "empty"])
def test_a_wrong_folder_is_wrong_use(pytester: pytest.Pytester, where: str) -> None:
    pytester.mkdir("empty")
    result = pytester.runpytest_inprocess("--gradcheck-specs", where, *FAST)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --gradcheck-specs: {where}: *"])


def test_a_wrong_folder_among_others_is_a_failure(specs: pytest.Pytester) -> None:
    result = specs.runpytest_inprocess("--gradcheck-specs", "nowhere", "--gradcheck-specs", "specs/a.py", *FAST)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["nowhere: no such file or folder"])


@pytest.mark.parametrize(("option", "value"), [("examples", "0"), ("seed", "-1"), ("examples", "many")])
def test_a_wrong_number_is_wrong_use(specs: pytest.Pytester, option: str, value: str) -> None:
    result = specs.runpytest_inprocess("--gradcheck-specs", "specs", f"--gradcheck-{option}", value)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--gradcheck-{option}*{value}*"])


def test_exhibits_count(project: Any, pytester: pytest.Pytester, page: Callable[..., str]) -> None:
    project.path = pytester.path
    exhibit = '\n\n@right.exhibit("{0}", expects="{1}", part="vjp")\ndef _(dy, x, y):\n    return x * dy\n'
    project.specs("a.py", page("right", more=exhibit.format("half", "G102")))
    project.specs("b.py", page("right", more=exhibit.format("half", "G105")))
    pytester.runpytest_inprocess("--gradcheck-specs", "a.py", *FAST).assert_outcomes(passed=1)
    result = pytester.runpytest_inprocess("--gradcheck-specs", "b.py", *FAST)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*right: half*", "*G105*"])


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import numpy as np
        import pytest

        X = np.array([1.0, 2.0])

        def test_right(gradcheck):
            assert gradcheck(lambda x: x * x, lambda dy, x: 2 * x * dy, X).passed

        def test_wrong(gradcheck):
            gradcheck(lambda x: x * x, lambda dy, x: x * dy, X)

        def test_without_raising(gradcheck):
            result = gradcheck.check(lambda x: x * x, lambda dy, x: x * dy, X)
            assert [f.code for f in result.findings] == ["G102"]

        def test_expected(gradcheck):
            with pytest.raises(AssertionError, match="G102"):
                gradcheck(lambda x: x * x, lambda dy, x: x * dy, X)

        def test_module(gradcheck):
            torch = pytest.importorskip("torch")
            assert gradcheck(torch.tanh, torch.ones(3, dtype=torch.float64))
        """
    )
    result = pytester.runpytest_inprocess(*FAST)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*G102 gradient off by a constant factor*", "*suspect *"])


def test_what_fails_shows_none_of_our_code(specs: pytest.Pytester) -> None:
    specs.makepyfile(
        """
        import numpy as np
        import gradcheck as gc

        X = np.array([1.0, 2.0])

        def square(x):
            return x * x

        def half(dy, x):
            return x * dy

        def test_fixture(gradcheck):
            gradcheck(square, half, X)

        def test_raise():
            gc.check(square, half, X).raise_if_failed()

        def test_assert(gradcheck):
            assert gradcheck.check(square, half, X)

        def test_passed():
            assert gc.check(square, half, X).passed

        def test_wrong_use(gradcheck):
            gradcheck(square, half, [1.0])

        def test_wrong_use_of_check():
            gc.check(square, half, [1.0])
        """
    )
    result = specs.runpytest_inprocess("--gradcheck-specs", "specs/a.py", *FAST)
    result.assert_outcomes(passed=1, failed=7)
    result.stdout.fnmatch_lines_random(
        [
            "E *assert <Result square: fail, G102 x>",
            "E *where False = <Result square: fail, G102 x>.passed",
            "E *x is a list, give np.asarray(x, dtype=float)",
        ]
    )
    for ours in ("api.py:", "findings.py:", "pytest_plugin.py:", "raise CheckFailed", "raise UsageError", "runtest"):
        assert ours not in result.stdout.str()


def test_a_session_that_does_not_use_it_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_imported():
            assert "gradcheck.pytest_plugin" in sys.modules
            assert not {"torch", "flint", "gradcheck.api", "gradcheck.catalog"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
