"""Catalogs load by path and by entry point; what is broken is told, with its line, and the rest stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.catalog import Catalog, Problem, load
from gradcheck.errors import SpecError

GOOD = """
from gradcheck import Real, spec

@spec("{name}", family="test", x=Real("n"), torch=lambda x: x)
def {function}(x):
    return x

@{function}.vjp
def _(dy, x, y):
    return dy
"""
BROKEN = {
    "syntax": ("x = 1\ndef f(:\n    pass\n", 2, "does not parse: "),
    "indentation": ("x = 1\n  y = 2\n", 2, "does not parse: "),
    "import": ("import math\nimport no_such_module_anywhere\n", 2, "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "name": ("a = 1\n\nb = c\n", 3, "NameError: name 'c' is not defined"),
    "exit": ("import sys\nprint('x')\nsys.exit(3)\n", 3, "SystemExit: 3"),
    "raises": ("def f():\n    raise ValueError('deep')\nf()\n", 2, "ValueError: deep"),
    "in library": ("import json\nx = 1\njson.loads('{')\n", 3, "JSONDecodeError"),
    "nul": ("x = 1\0\n", None, "null bytes"),
    "argument": (GOOD.format(name="bad", function="bad").replace('x=Real("n")', 'x=Real("two words")'), 4, "'two words' is no axis"),
    "no domain": (GOOD.format(name="bad", function="bad").replace('Real("n")', "3"), 4, "x=3 is no domain"),
    "misnamed": (
        GOOD.format(name="bad", function="bad").replace("x=Real", "z=Real"),
        4,
        "declares the arguments ['z'], but its forward takes ['x']",
    ),
    "unknown option": (GOOD.format(name="bad", function="bad").replace('"n"', '"n", lowest=1'), 4, "unexpected keyword argument 'lowest'"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a_good.py").write_text(GOOD.format(name="first", function="first"))
    (tmp_path / "z_good.py").write_text(GOOD.format(name="last", function="last"))
    return tmp_path


def test_a_file_and_a_folder_load(folder: Path) -> None:
    assert list(load([str(folder / "a_good.py")]).specs) == ["first"]
    catalog = load([str(folder)])
    assert list(catalog.specs) == ["first", "last"]
    assert catalog.problems == ()
    assert catalog.specs["first"].path == str(folder / "a_good.py")


def test_loading_twice_gives_the_same_specs(folder: Path) -> None:
    assert load([str(folder)]).specs == load([str(folder)]).specs


def test_several_sources_make_one_catalog(folder: Path) -> None:
    assert list(load([str(folder / "z_good.py"), str(folder / "a_good.py")]).specs) == ["last", "first"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_told_with_its_line_and_the_rest_loads(kind: str, folder: Path) -> None:
    source, line, message = BROKEN[kind]
    path = folder / "m_broken.py"
    path.write_text(source)
    catalog = load([str(folder)])
    assert list(catalog.specs) == ["first", "last"]
    (problem,) = catalog.problems
    assert problem.path == str(path)
    assert problem.line == line
    assert message in problem.message


def test_a_repaired_file_loads_after_all(folder: Path) -> None:
    path = folder / "m_broken.py"
    path.write_text("1 / 0\n")
    assert len(load([str(folder)]).problems) == 1
    path.write_text(GOOD.format(name="repaired", function="repaired"))
    assert "repaired" in load([str(folder)]).specs


def test_a_name_that_is_taken_names_both_places(folder: Path) -> None:
    (folder / "b_again.py").write_text("\n\n" + GOOD.format(name="first", function="other"))
    catalog = load([str(folder)])
    (problem,) = catalog.problems
    assert (problem.path, problem.line) == (str(folder / "b_again.py"), 6)
    assert "the name 'first' is taken" in problem.message
    assert f"{folder / 'a_good.py'}:4" in problem.message
    assert catalog.specs["first"].path == str(folder / "a_good.py")


def test_a_spec_without_a_vjp_is_a_problem(folder: Path) -> None:
    (folder / "b_half.py").write_text(GOOD.format(name="half", function="half").partition("@half.vjp")[0])
    (problem,) = load([str(folder)]).problems
    assert problem.line == 4
    assert "'half' has no vjp; add one with @half.vjp" in problem.message


def test_what_was_declared_before_a_file_broke_is_not_used(folder: Path) -> None:
    (folder / "b_half.py").write_text(GOOD.format(name="early", function="early") + "1 / 0\n")
    catalog = load([str(folder)])
    assert "early" not in catalog.specs
    assert len(catalog.problems) == 1


@pytest.mark.parametrize("source", ["no/such/file.py", "no_such_folder"])
def test_a_path_that_is_not_there(source: str) -> None:
    with pytest.raises(SpecError, match="no such file or folder"):
        load([source])


def test_a_path_that_is_not_there_among_others(folder: Path) -> None:
    (folder / "empty").mkdir()
    catalog = load(["no/such/file.py", str(folder), str(folder / "empty")])
    assert list(catalog.specs) == ["first", "last"]
    assert [(p.path, p.line, p.message) for p in catalog.problems] == [
        ("no/such/file.py", None, "no such file or folder"),
        (str(folder / "empty"), None, "no spec file (*.py) in this folder"),
    ]
    with pytest.raises(SpecError, match=r"a\.py: no such file or folder; b\.py: no such file or folder"):
        load(["a.py", "b.py"])


def test_a_folder_without_specs(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no spec file"):
        load([str(tmp_path)])


def test_unknown_names_get_a_hint(folder: Path) -> None:
    catalog = load([str(folder)])
    assert catalog.find("first").name == "first"
    with pytest.raises(SpecError, match=r"there is no spec 'frist'\. Did you mean 'first'"):
        catalog.find("frist")
    with pytest.raises(SpecError, match="gradcheck list"):
        catalog.find("entirely different")
    (folder / "m_broken.py").write_text("1 / 0\n")
    with pytest.raises(SpecError, match=r"m_broken\.py:1 could not be loaded: .*ZeroDivisionError"):
        load([str(folder)]).find("entirely different")


def test_a_name_is_looked_up_in_the_paths_and_then_among_the_installed(folder: Path) -> None:
    (folder / "m_mine.py").write_text(GOOD.format(name="sigmoid", function="sigmoid"))
    catalog = load([str(folder)])
    assert list(catalog.specs) == ["first", "sigmoid", "last"]
    assert catalog.find("sigmoid").path == str(folder / "m_mine.py")
    assert catalog.find("relu") == load().specs["relu"]
    with pytest.raises(SpecError, match="Did you mean 'softmax'"):
        catalog.find("sofmax")
    with pytest.raises(SpecError, match="'gradcheck list' and 'gradcheck list PATH' show what there is"):
        catalog.find("entirely different")


def test_paths_may_all_be_missing_where_names_are_given() -> None:
    catalog = load(["no/such/file.py"], some=False)
    assert [p.message for p in catalog.problems] == ["no such file or folder"]
    assert catalog.find("relu").name == "relu"


def test_problems_and_catalogs_are_plain_data() -> None:
    assert Problem("a.py", 3, "m") == Problem("a.py", 3, "m")
    assert Catalog({}).problems == ()


def test_the_installed_catalog_loads_without_torch_or_hypothesis() -> None:
    code = (
        "import sys; from gradcheck.catalog import load; c = load(); "
        "print(len(c.specs), len(c.problems), 'torch' in sys.modules, 'hypothesis' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(found[0]) > 10
    assert found[1:] == ["0", "False", "False"]
