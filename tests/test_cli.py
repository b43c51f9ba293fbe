"""The command line, as a person meets it: what is printed and written, and the exit status."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
MAIN = "import sys; from gradcheck.cli import main; main(sys.argv[1:])"

HALF = {"vjp": "return x * dy"}
"""A backward that is off by a factor 1/2."""


def test_nothing_found(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/right.py", page("right"))
    result = project.run("specs")
    assert result.exit_code == 0, result.output
    assert "The only subject passes" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert not CONTROL.search(result.output.replace("\n", ""))
    assert sorted(os.listdir(project.path / "reports")) == ["latest.html", "latest.json"]
    assert project.latest()["subjects"][0]["verdict"] == "pass"


def test_a_finding_is_told_in_the_fixed_order(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/a.py", page("half", **HALF), page("right"))
    result = project.run("specs")
    assert result.exit_code == 1, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert not CONTROL.search(result.output.replace("\n", ""))
    block = result.output[result.output.index("G102") :]
    order = [
        "G102 gradient off by a constant factor", "in        half, argument x", "at        specs/a.py:16", "numeric", "analytic",
        "relative error 0.5", "autograd", "relative error 0", "suspect   the backward: numeric and autograd agree",
        "cause     a factor 1/2", "smallest input", "reproduce", "gradcheck replay ", "gradcheck explain G102", "import numpy as np",
        "1 of 2 subjects fails",
    ]  # fmt: skip
    at = 0
    for part in order:
        assert part in block[at:], (part, block)
        at = block.index(part, at) + len(part)


def test_the_html_report_needs_nothing_else(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    assert project.run("a.py").exit_code == 1
    text = (project.path / "reports" / "latest.html").read_text("utf-8")
    assert "G102" in text
    assert not re.search(r"""(src|href)\s*=\s*["'](https?:)?//|@import|url\((?!["']?(data:|#))""", text)


@pytest.mark.parametrize("stop", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_no_colour_where_none_is_wanted(project: Any, page: Callable[..., str], stop: dict[str, str]) -> None:
    project.specs("a.py", page("half", **HALF))
    code = f"import sys; sys.argv[1:] = ['run', 'a.py', '--jobs', '0', '--examples', '5']; {MAIN.removeprefix('import sys; ')}"
    done = project.shell(code, **stop)
    assert done.returncode == 1, done.stderr
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", done.stdout)
    if not stop:
        assert "\x1b" not in done.stdout


@pytest.mark.parametrize("line", ["['--help']", "['run', '--help']", "['list']", "['list', '.']", "['--version']", "['explain', '--help']"])
def test_what_checks_nothing_imports_neither_torch_nor_hypothesis(project: Any, page: Callable[..., str], line: str) -> None:
    project.specs("a.py", page("right"))
    done = project.shell(
        "import sys\nfrom gradcheck.cli import main\n"
        f"try:\n    main({line})\nexcept SystemExit as error:\n    assert not error.code, error.code\n"
        "assert not {'torch', 'hypothesis', 'matplotlib'} & set(sys.modules)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_list(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("right", more='\n\n@right.exhibit("twice", expects="V102")\ndef _(x):\n    return 2 * x * x\n'))
    shown = project.gradcheck("list", "a.py")
    assert (shown.exit_code, shown.output.split()) == (0, ["toy", "right", "right."])
    [row] = json.loads(project.gradcheck("list", "a.py", "--json").output)
    assert row["name"] == "right"
    assert row["line"] == 10
    assert row["exhibits"] == [{"title": "twice", "expects": ["V102"]}]


def test_list_without_a_spec(project: Any) -> None:
    project.write("a.py", "x = 1\n")
    assert project.gradcheck("list", "a.py").exit_code == 5


def test_list_with_a_broken_file_shows_the_others(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/a.py", page("right"))
    project.write("specs/b.py", "import nothing_of_this_name\n")
    result = project.gradcheck("list", "specs")
    assert result.exit_code == 2
    assert "right" in result.output
    assert "b.py:1: it does not import" in result.output


def test_explain(project: Any) -> None:
    every = project.gradcheck("explain")
    assert every.exit_code == 0
    assert re.search(r"^G102 .*factor", every.output, re.M)
    one = project.gradcheck("explain", "g102")
    assert one.exit_code == 0
    assert all(part in one.output for part in ("G102", "Why:", "Wrong:", "Right:", "Source:"))
    wrong = project.gradcheck("explain", "G1022")
    assert wrong.exit_code == 2
    assert "Did you mean 'G102'" in wrong.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rum"], "Did you mean 'run'"),
        (["run", "--exampels", "3"], "Did you mean '--examples'"),
        (["run", "--examples", "0"], "--examples"),
        (["run", "--examples", "many"], "--examples"),
        (["run", "--seed", "-1"], "--seed"),
        (["run", "softmx"], "Did you mean 'softmax'"),
        (["run", "nowhere.py"], "nowhere.py: no such file or folder"),
        (["run", "--report", "htm:x"], "Did you mean 'html'"),
        (["run", "--report", "html:"], "names no file"),
        (["run", "--report", "out.html"], "html:out.html"),
        (["run", "--report", "json:pyproject.toml/x.json"], "is a file, not a folder"),
        (["run", "--report", "json:."], "is a folder"),
        (["run", "--select", "Z9"], "--select Z9: no rule has this code"),
        (["run", "--ignore", "G102,G1033"], "Did you mean 'G103'"),
        (["run", "--baseline", "nowhere.json"], "nowhere.json: cannot read the report"),
        (["run", "--baseline", "pyproject.toml"], "not a JSON report"),
        (["run", "--subject", "lib/"], "'lib/' is no module; give a dotted name"),
        (["run", "--subject", ""], "'' is no module"),
        (["run", "--subject", "nothing.py"], "--subject nothing.py: no such file"),
        (["run", "--subject", "nothing_of_this_name"], "No module named 'nothing_of_this_name'"),
        (["replay", "abc"], "reports/latest.json: cannot read the report"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(project: Any, args: list[str], said: str) -> None:
    project.write("pyproject.toml", "")
    result = project.gradcheck(*args)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert len(result.output.splitlines()) <= 5
    assert not (project.path / "reports").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.gradcheck]\nexample = 1\n", "Did you mean 'examples'"),
        ("[tool\n", "line 1"),
        ('[tool.gradcheck]\nselect = ["Z"]\n', "select Z"),
    ],
)
def test_wrong_configuration(project: Any, page: Callable[..., str], text: str, said: str) -> None:
    project.write("pyproject.toml", text)
    project.specs("a.py", page("right"))
    result = project.run("a.py")
    assert result.exit_code == 2
    assert said in result.output
    assert not (project.path / "reports").exists()


def test_configuration_is_the_default_of_the_options(project: Any, page: Callable[..., str]) -> None:
    project.write("pyproject.toml", '[tool.gradcheck]\nspecs = ["mine"]\nexamples = 4\nignore = ["G102"]\njobs = 0\nseed = 5\n')
    project.specs("mine/a.py", page("half", **HALF))
    result = project.gradcheck("run", "--ignore", "G")
    assert result.exit_code == 0, result.output
    [subject] = project.latest()["subjects"]
    assert subject["measurements"]["examples"] == 4
    assert project.latest()["options"]["seed"] == 5


def test_nothing_to_check(project: Any) -> None:
    project.write("empty/a.py", "x = 1\n")
    result = project.run("empty")
    assert result.exit_code == 5
    assert "nothing to check" in result.output
    (project.path / "bare").mkdir()
    assert project.run("bare").exit_code == 2


SPEC = "from gradcheck import Real, spec\n\n\n@spec('s', family='f', {}, torch=None)\ndef s(x):\n    pass\n"

BROKEN = {
    "x = (\n": ("broken.py:1", "it does not parse"),
    "import numpy\n\nimport nothing_of_this_name\n": ("broken.py:3", "No module named 'nothing_of_this_name'"),
    "from numpy import nothing_of_this_name\n": ("broken.py:1", "cannot import name"),
    "def f():\n    raise ValueError('boom')\n\n\nf()\n": ("broken.py:2", "ValueError: boom"),
    "import sys\nsys.exit(0)\n": ("broken.py:2", "SystemExit: 0"),
    SPEC.format("z=Real()"): ("broken.py:4", "takes ['x']"),
    SPEC.format("x=3"): ("broken.py:4", "is no domain"),
    SPEC.format("x=Real()"): ("broken.py:4", "no vjp"),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_spec_file_costs_itself_only(project: Any, page: Callable[..., str], text: str) -> None:
    project.specs("specs/right.py", page("right"))
    project.write("specs/broken.py", text)
    result = project.run("specs", examples=3)
    place, said = BROKEN[text]
    assert result.exit_code == 2, result.output
    assert place in result.output
    assert said in result.output
    verdicts = {s["name"]: s["verdict"] for s in project.latest()["subjects"]}
    assert verdicts == {"right": "pass", "broken.py": "error"}
    assert len(result.output.splitlines()) <= 24


def test_a_terminal_is_neither_steered_nor_overtaxed(project: Any, page: Callable[..., str]) -> None:
    project.specs("café/right.py", page("right"))
    project.write("café/wörse.py", 'raise ValueError("\\x1b[2J[red] \\u4e2d")\n')
    for command in ("'run', 'café', '--jobs', '0', '--examples', '2'", "'list', 'café'"):
        code = f"import sys; sys.argv[1:] = [{command}]; {MAIN.removeprefix('import sys; ')}"
        done = project.shell(code, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert done.returncode == 2, done.stderr
        assert "ValueError: \\x1b[2J[red]" in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr


def test_names_that_are_taken(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/a.py", page("one"), page("one"))
    project.specs("specs/b.py", page("one"), page("two"))
    result = project.run("specs", examples=3)
    assert result.exit_code == 2
    assert result.output.count("the name 'one' is taken") >= 2
    assert "a.py:21" in result.output
    assert "b.py:10" in result.output
    verdicts = [(s["name"], s["verdict"]) for s in project.latest()["subjects"]]
    assert verdicts == [("one", "pass"), ("two", "pass"), ("a.py", "error"), ("b.py", "error")]


def test_the_same_file_named_twice_is_no_duplicate(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/a.py", page("one"))
    result = project.run("specs", "specs/a.py", "one", "one", examples=3)
    assert result.exit_code == 0, result.output
    assert len(project.latest()["subjects"]) == 1


@pytest.mark.parametrize(
    ("forward", "code", "said"),
    [
        ("raise ValueError('boom')", "R101", "raises at line 13: ValueError: boom"),
        ("pass", "R104", "returned None"),
        ("return np.sum(x * x)", "V104", "has shape ()"),
        ("return x * np.nan", "N103", "nan"),
        ("return np.asarray(x * x).astype(int)", "V104", "dtype int64"),
        ("return 'x'", "R101", "str"),
        ("raise SystemExit(0)", "R101", "SystemExit"),
    ],
)
def test_a_forward_that_misbehaves_is_a_finding(project: Any, page: Callable[..., str], forward: str, code: str, said: str) -> None:
    project.specs("a.py", page("odd", forward=forward), page("right"))
    result = project.run("a.py", examples=5)
    assert result.exit_code == 1, result.output
    assert any(f["code"] == code and said in f["message"] for f in project.findings()), project.findings()
    assert project.latest()["subjects"][1]["verdict"] == "pass"


def test_a_torch_reference_that_raises_is_the_specs_fault(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("odd", reference="torch.nothing_of_this_name(x)"), page("right"))
    result = project.run("a.py", examples=3)
    assert result.exit_code == 2, result.output
    assert "a.py:10" in result.output
    assert "nothing_of_this_name" in result.output
    assert [s["verdict"] for s in project.latest()["subjects"]] == ["error", "pass"]


def test_the_reports_in_every_format(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    forms = {"json": "a.json", "html": "b.html", "junit": "c.xml", "sarif": "d.sarif", "markdown": "deep/er/e.md"}
    result = project.run("a.py", *(w for form, path in forms.items() for w in ("--report", f"{form}:{path}")))
    assert result.exit_code == 1, result.output
    for path in forms.values():
        assert "G102" in (project.path / path).read_text("utf-8")
    assert (project.path / "a.json").read_text() == (project.path / "reports" / "latest.json").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_one_report_only(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("right"))
    result = project.run("a.py", "--report", "json:/dev/full", "--report", "markdown:b.md", examples=3)
    assert result.exit_code == 2
    assert "The only subject passes" in result.output
    assert "/dev/full: cannot write the report: No space left on device" in result.output
    assert (project.path / "b.md").exists()
    assert project.latest()["subjects"][0]["verdict"] == "pass"


def test_a_file_in_place_of_the_reports_folder(project: Any, page: Callable[..., str]) -> None:
    project.write("reports", "mine")
    project.specs("a.py", page("right"))
    result = project.run("a.py")
    assert result.exit_code == 2
    assert "reports is a file, not a folder" in result.output
    assert "move reports away" in result.output
    assert (project.path / "reports").read_text() == "mine"


def test_select_and_ignore(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    assert project.run("a.py", "--select", "g102").exit_code == 1
    assert {f["code"] for f in project.findings()} == {"G102"}
    assert project.run("a.py", "--select", "V,N").exit_code == 0
    assert project.run("a.py", "--ignore", "G").exit_code == 0
    assert project.findings() == []


def test_an_ignored_cause_does_not_come_back_under_another_code(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    result = project.run("a.py", "--ignore", "G102")
    assert project.findings() == []
    assert result.exit_code == 0


def test_baseline(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    assert project.run("a.py", "--report", "json:base.json").exit_code == 1
    known = project.run("a.py", "--baseline", "base.json")
    assert known.exit_code == 0, known.output
    assert "Findings that base.json has already, and that do not count: 1" in known.output
    project.specs("a.py", page("half", **HALF), page("other", **HALF))
    assert project.run("a.py", "--baseline", "base.json").exit_code == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 9, "subjects": []}', '{"schema_version": 1, "subjects": [{}]}'])
def test_a_baseline_that_is_none(project: Any, page: Callable[..., str], text: str) -> None:
    project.specs("a.py", page("right"))
    project.write("base.json", text)
    result = project.run("a.py", "--baseline", "base.json")
    assert result.exit_code == 2
    assert "base.json" in result.output


def test_an_exhibit_must_show_what_it_expects(project: Any, page: Callable[..., str]) -> None:
    exhibit = '\n\n@right.exhibit("{0}", expects="{1}", part="vjp")\ndef _(dy, x, y):\n    return x * dy\n'
    project.specs("a.py", page("right", more=exhibit.format("half", "G102")))
    assert project.run("a.py").exit_code == 0
    project.specs("b.py", page("right", more=exhibit.format("half", "N101")))
    result = project.run("b.py", examples=3)
    assert result.exit_code == 1
    assert "N101" in result.output


def test_an_interruption_claims_no_finding(project: Any) -> None:
    project.write("a.py", "raise KeyboardInterrupt\n")
    result = project.run("a.py")
    assert result.exit_code == 130
    assert "interrupted" in result.output


def test_an_error_of_ours(project: Any, page: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("boom")

    project.specs("a.py", page("right"))
    with monkeypatch.context() as patched:
        patched.setattr("gradcheck.runner.examine_spec", broken)
        result = project.run("a.py")
    assert result.exit_code == 3
    assert "gradcheck itself failed: RuntimeError: boom" in result.output
    assert project.latest()["subjects"][0]["verdict"] == "error"
    monkeypatch.setattr("gradcheck.runner.report", broken)
    result = project.run("a.py")
    assert result.exit_code == 3
    assert "internal error: RuntimeError: boom" in result.output
    assert len(result.output.splitlines()) <= 3


LIBRARY = """\
import numpy as np
import torch

import gradcheck


@gradcheck.implements("sigmoid")
def right_pair(x):
    return 1 / (1 + np.exp(-x))


@right_pair.vjp
def _(dy, x, y):
    return dy * y * (1 - y)


@gradcheck.implements("relu")
def right_torch(x):
    return torch.relu(x)


@gradcheck.implements("tanh")
def wrong_pair(x):
    return np.tanh(x)


@wrong_pair.vjp
def _(dy, x):
    return dy * (1 - np.tanh(x)) * np.ones_like(x)


@gradcheck.implements("softplus")
def wrong_torch(x):
    return 2 * torch.logaddexp(x, x * 0)


def named(x):
    return torch.tanh(x)


def named_forward(x):
    return np.tanh(x)


def named_vjp(dy, x, y):
    return -dy * (1 - y * y)
"""


def test_what_a_module_implements(project: Any) -> None:
    project.write("mylib/__init__.py", "")
    project.write("mylib/layers.py", LIBRARY)
    result = project.run("--subject", "mylib.layers", "--ignore", "N", examples=30)
    assert result.exit_code == 1, result.output
    subjects = {s["name"]: s for s in project.latest()["subjects"]}
    assert {name: s["verdict"] for name, s in subjects.items()} == {
        "right_pair": "pass", "right_torch": "pass", "wrong_pair": "fail", "wrong_torch": "fail",
    }  # fmt: skip
    assert all(s["path"].endswith("mylib/layers.py") for s in subjects.values())
    assert {(f["code"], f["line"]) for f in subjects["wrong_pair"]["findings"]} == {("G101", 27)}
    assert {(f["code"], f["line"]) for f in subjects["wrong_torch"]["findings"]} == {("V102", 32)}
    assert "mylib/layers.py:27" in result.output
    assert project.run("--subject", "mylib.layers", "relu").exit_code == 0
    assert [s["name"] for s in project.latest()["subjects"]] == ["right_torch"]
    assert "'softplus'" in project.run("--subject", "mylib.layers", "softpls").output


def test_a_subject_that_floats_decided_is_told(project: Any) -> None:
    text = (
        "import numpy as np\nimport gradcheck\n\n\n@gradcheck.implements('tanh')\ndef mine(x):\n"
        "    return np.array([float(v) for v in np.tanh(x).ravel()], dtype=x.dtype).reshape(x.shape)\n\n\n"
        "@mine.vjp\ndef _(dy, x, y):\n    return {}\n"
    )
    because = r"decided by float differences, because an exact value is turned into a float"
    because += r" \(floats_{}\.py:7\); drop float\(\.\.\.\)"

    def said(name: str, before: str, text: str) -> bool:
        return re.search(before + because.format(name), " ".join(text.split())) is not None

    project.write("floats_right.py", text.format("dy * (1 - y * y)"))
    result = project.run("--subject", "floats_right", "--ignore", "N", "--report", "markdown:a.md", "--report", "sarif:a.sarif")
    assert result.exit_code == 0, result.output
    assert said("right", "Note: mine was ", result.output)
    assert said("right", "- mine: ", (project.path / "a.md").read_text().replace("\\_", "_"))
    project.write("floats_wrong.py", text.format("dy * (1 - y)"))
    result = project.run("--subject", "floats_wrong", "--ignore", "N", "--report", "junit:a.xml", "--report", "sarif:a.sarif")
    assert result.exit_code == 1, result.output
    assert said("wrong", "way ", result.output)
    assert said("wrong", "Way: ", (project.path / "a.sarif").read_text())
    assert said("wrong", "way ", (project.path / "a.xml").read_text())
    assert said("wrong", "<dd>", (project.path / "reports" / "latest.html").read_text())


def test_what_the_configuration_names(project: Any) -> None:
    project.write("other.py", LIBRARY)
    project.write(
        "pyproject.toml",
        '[tool.gradcheck.subjects]\ntanh = "other:named"\nrelu = "none:f"\n'
        'sigmoid = { forward = "other:named_forward", vjp = "other:named_vjp" }\n',
    )
    project.run("--subject", "other", "tanh", "sigmoid", "--ignore", "N")
    found = {(s["name"], s["spec"]): {f["code"] for f in s["findings"]} for s in project.latest()["subjects"]}
    assert found[("named", "tanh")] == set()
    assert "V101" in found[("named_forward", "sigmoid")]


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("import numpy\nx = 1 / 0\n", 2, "ZeroDivisionError: division by zero ({path}:2)"),
        ("import numpy\nx = (\n", 2, "{name}.py, line 2"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit: 0 ({path}:2)"),
        ("import nothing_of_this_name\n", 2, "({path}:1)"),
        ("x = 1\n", 5, "nothing to check"),
    ],
)
def test_a_module_that_cannot_be_judged(project: Any, text: str, status: int, said: str) -> None:
    name = "cannot_be_judged"
    path = project.write(f"{name}.py", text)
    result = project.run("--subject", name)
    sys.modules.pop(name, None)
    assert result.exit_code == status, result.output
    assert said.format(name=name, path=path) in result.output
    assert len(result.output.splitlines()) == 1


BOUND = "import torch\n\nimport gradcheck\n\n\n@gradcheck.implements('{}')\ndef {}(x):\n    return torch.relu(x)\n"


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("tanh = 'partly:ff'", 4, "partly has no function 'ff'. Did you mean 'f'?"),
        ("tanh = { forward = 'partly:f', vjp = 'partly:ff' }", 4, "partly has no function 'ff'. Did you mean 'f'?"),
        ("tanh = { forward = 'partly:f', vjp = 'nowhere_at_all:ff' }", 4, "nowhere_at_all does not import: ModuleNotFoundError"),
        ("tanh = { forward = 'partly:f', vjp = 'leaves:ff' }", 4, "leaves does not import: SystemExit: 0"),
        ("[tool.gradcheck.subjects.tanh]\nforward = 'partly:ff'", 4, "partly has no function 'ff'"),
    ],
)
def test_a_broken_entry_costs_itself_only(project: Any, entry: str, line: int, said: str) -> None:
    project.write("partly.py", BOUND.format("relu", "f"))
    project.write("leaves.py", "import sys\nsys.exit(0)\n")
    project.write("pyproject.toml", f"[tool.gradcheck.subjects]\nsilu = 'other:f'\n\n{entry}\n")
    result = project.run("--subject", "partly", examples=3)
    assert result.exit_code == 2, result.output
    assert f"pyproject.toml:{line}" in result.output
    assert f"[tool.gradcheck.subjects] tanh: {said}" in result.output
    assert {s["name"]: s["verdict"] for s in project.latest()["subjects"]} == {"f": "pass", "tanh": "error"}
    assert project.run("--subject", "partly", "relu", examples=3).exit_code == 0
    sys.modules.pop("partly")


@pytest.mark.parametrize("jobs", [0, 2])
def test_an_unknown_spec_costs_its_binding_only(project: Any, jobs: int) -> None:
    name = f"near_misses_{jobs}"  # a module is imported once only
    path = project.write(f"{name}.py", BOUND.format("rleu", "wrong") + "\n\n" + BOUND.format("relu", "right").split("\n\n\n")[1])
    result = project.run("--subject", name, examples=3, jobs=jobs)
    assert result.exit_code == 2, result.output
    assert f"{path}:6\n  there is no spec 'rleu'. Did you mean 'relu' or 'relu6' or 'prelu'?" in result.output
    subjects = {s["name"]: (s["kind"], s["verdict"]) for s in project.latest()["subjects"]}
    assert subjects == {"right": ("submission", "pass"), "wrong": ("submission", "error")}


def test_a_module_of_which_everything_is_broken(project: Any) -> None:
    project.write("all_broken.py", BOUND.format("rleu", "wrong"))
    result = project.run("--subject", "all_broken", examples=3)
    assert result.exit_code == 2
    assert "1 of 1 subject could not be judged for an error" in result.output
    assert [s["verdict"] for s in project.latest()["subjects"]] == ["error"]


def test_a_module_that_imports_once_only(project: Any) -> None:
    text = "import os\nos.mkdir('made')\n" + BOUND.format("relu", "f")
    project.write("imports_once.py", text)
    result = project.run("--subject", "imports_once", jobs=1, examples=3)
    assert result.exit_code == 2, result.output
    assert "imports_once does not import: FileExistsError" in result.output
    [subject] = project.latest()["subjects"]
    assert (subject["name"], subject["line"], subject["verdict"]) == ("f", 8, "error")


def test_the_file_of_a_module(project: Any) -> None:
    project.write("random.py", BOUND.format("relu", "f"))
    taken = sys.modules.get("random")
    assert project.run("--subject", "random.py", examples=3).exit_code == 0
    assert sys.modules.get("random") is taken
    assert [s["name"] for s in project.latest()["subjects"]] == ["f"]
    assert "nowhere.py: no such file" in project.run("--subject", "nowhere.py").output


def test_a_missing_path_costs_itself_only(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/right.py", page("right"))
    (project.path / "bare").mkdir()
    result = project.run("nowhere.py", "specs", "bare", examples=3)
    assert result.exit_code == 2, result.output
    assert "nowhere.py\n  no such file or folder" in result.output
    assert "bare\n  no spec file (*.py) in this folder" in result.output
    assert {s["name"]: s["verdict"] for s in project.latest()["subjects"]} == {"right": "pass", "nowhere.py": "error", "bare": "error"}
    listed = project.gradcheck("list", "specs", "nowhere.py")
    assert listed.exit_code == 2
    assert "nowhere.py: no such file or folder" in listed.output
    assert "right" in listed.output


def test_a_name_that_may_stand_in_a_broken_file(project: Any, page: Callable[..., str]) -> None:
    project.specs("specs/a.py", page("right"))
    project.write("specs/b.py", "import nothing_of_this_name\n")
    result = project.run("specs", "other")
    assert result.exit_code == 2
    assert "there is no spec 'other'. specs/b.py:1 could not be loaded: it does not import" in result.output


def test_a_name_beside_a_path_may_be_an_installed_spec(project: Any, page: Callable[..., str]) -> None:
    project.specs("dup.py", page("right"))
    result = project.run("./dup.py", "relu", "right", examples=3)
    assert result.exit_code == 0, result.output
    assert [s["name"] for s in project.latest()["subjects"] if s["kind"] == "spec"] == ["relu", "right"]
    project.run("./dup.py", examples=3)
    assert [s["name"] for s in project.latest()["subjects"]] == ["right"]
    assert "Did you mean 'softmax'" in project.run("./dup.py", "sofmax").output


@pytest.mark.parametrize("path", ["./bad.py", "nowhere.py"])
def test_a_name_beside_a_path_that_does_not_load_is_checked(project: Any, path: str) -> None:
    project.write("bad.py", "import nothing_of_this_name\n")
    result = project.run(path, "relu", examples=3)
    assert result.exit_code == 2, result.output
    verdicts = {s["name"]: s["verdict"] for s in project.latest()["subjects"] if s["kind"] == "spec"}
    assert verdicts == {"relu": "pass", path.removeprefix("./"): "error"}


def test_an_alias_is_judged_once(project: Any) -> None:
    text = "import torch\n\nimport gradcheck\n\n\n@gradcheck.implements('relu')\ndef f(x):\n    return torch.relu(x)\n\n\nalias = f\n"
    project.write("with_alias.py", text)
    assert project.run("--subject", "with_alias", examples=3).exit_code == 0
    assert len(project.latest()["subjects"]) == 1


def test_a_function_class_can_be_bound(project: Any) -> None:
    project.write(
        "with_class.py",
        "import torch\n\nimport gradcheck\n\n\n@gradcheck.implements('relu')\nclass Mine(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(ctx, x):\n        ctx.save_for_backward(x)\n        return x.clamp(min=0)\n\n"
        "    @staticmethod\n    def backward(ctx, dy):\n        return dy * 3\n",
    )
    project.run("--subject", "with_class", examples=10)
    assert {f["code"][0] for f in project.findings()} == {"G"}
    assert project.findings()[0]["line"] == 13
