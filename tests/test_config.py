"""The table [tool.gradcheck]: what it sets, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.config import Config, parse, read
from gradcheck.errors import UsageError


def _write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        '[tool.gradcheck]\nspecs = ["mine", "more/one.py"]\nexamples = 7\nseed = 3\njobs = 2\nselect = ["G"]\nignore = ["N104"]\n'
        '[tool.gradcheck.subjects]\nrelu = "lib:relu"\ntanh = { forward = "lib:tanh", vjp = "lib:tanh_vjp" }\n',
    )
    assert parse(path) == Config(
        specs=(str(tmp_path / "mine"), str(tmp_path / "more/one.py")), examples=7, seed=3, jobs=2, select=("G",), ignore=("N104",),
        subjects={"relu": "lib:relu", "tanh": {"forward": "lib:tanh", "vjp": "lib:tanh_vjp"}},
    )  # fmt: skip


def test_the_nearest_file_holds(tmp_path: Path) -> None:
    _write(tmp_path, "[tool.gradcheck]\nseed = 1\n")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert read(deep).seed == 1
    _write(tmp_path / "a", "[project]\nname = 'x'\n")
    assert read(deep) == Config()


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", "[tool]\n", "tool = 3\n"])
def test_without_a_table_all_is_default(tmp_path: Path, text: str) -> None:
    assert parse(_write(tmp_path, text)) == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.gradcheck\n", "line 1"),
        ("[tool]\ngradcheck = 3\n", "[tool.gradcheck]"),
        ("[tool.gradcheck]\nexample = 3\n", "Did you mean 'examples'"),
        ("[tool.gradcheck]\nexamples = '3'\n", "no whole number"),
        ("[tool.gradcheck]\nexamples = true\n", "no whole number"),
        ("[tool.gradcheck]\nexamples = 0\n", "examples = 0 is below 1"),
        ("[tool.gradcheck]\nseed = -1\n", "seed = -1 is below 0"),
        ("[tool.gradcheck]\nspecs = 'a.py'\n", "no list"),
        ("[tool.gradcheck]\nselect = [1]\n", "select must be a list of strings"),
        ("[tool.gradcheck]\nsubjects = []\n", "no dict"),
        ("[tool.gradcheck.subjects]\nrelu = 3\n", "relu = 3 names no function"),
        ("[tool.gradcheck.subjects]\nrelu = 'lib'\n", "relu = 'lib' names no function"),
        ("[tool.gradcheck.subjects]\nrelu = { vjp = 'lib:f' }\n", "names no function"),
        ("[tool.gradcheck.subjects]\nrelu = { forward = 'lib:f', backward = 'lib:g' }\n", "names no function"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"pyproject\.toml: cannot be read"):
        read(tmp_path)
