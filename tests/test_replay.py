"""A finding is replayed bit for bit, in another process, and after the source has changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gradcheck.errors import UsageError
from gradcheck.replay import replay
from gradcheck.report import model

HALF = {"vjp": "return x * dy"}
MINUS = '\n\n@half.exhibit("minus", expects="G103", part="vjp")\ndef _(dy, x, y):\n    return -2 * x * dy\n'


def _block(output: str, code: str) -> str:
    """The finding as it is printed, from its code to the last line of its snippet."""
    return output[output.index(code) :].partition("\n\n1 of ")[0].strip()


def test_the_same_numbers_again(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", vjp="return np.exp(x) * dy", forward="return np.exp(x) * x"))
    ran = project.run("a.py", "--select", "G")
    [found] = project.findings()
    assert found["reproduce"] == f"gradcheck replay {found['id']}"
    again = project.gradcheck("replay", found["id"])
    assert again.exit_code == 1, again.output
    assert _block(ran.output, found["code"]) == again.output.strip()
    result, finding = replay("reports/latest.json", found["id"])
    assert not result.passed
    assert finding is not None
    assert model.plain(finding.measured) == found["measured"]
    assert model.example_to_dict(finding.example) == found["example"]
    assert finding.id == found["id"]


def test_the_printed_command_works_in_another_process(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    command = re.search(r"gradcheck (replay [0-9a-f]+)", project.run("a.py").output)
    assert command is not None
    done = project.shell(f"from gradcheck.cli import main; main({command[1].split()!r})")
    assert done.returncode == 1, done.stderr
    assert "G102" in done.stdout
    assert not (project.path / ".hypothesis").exists()


def test_the_source_was_mended(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    project.run("a.py")
    [found] = project.findings()
    project.specs("a.py", page("half"))
    again = project.gradcheck("replay", found["id"])
    assert again.exit_code == 0
    assert again.output == f"{found['id']}: no longer shows at the recorded inputs of half.\n"
    project.specs("a.py", "\n\n", page("half", **HALF))
    again = project.gradcheck("replay", found["id"])
    assert again.exit_code == 1
    assert "a.py:18" in again.output


def test_every_kind_of_subject(project: Any, page: Callable[..., str]) -> None:
    law = '\n\n@right.law("is the input")\ndef _(f, x, z=Real("*s")):\n    return equal(f(z), z)\n'
    exhibit = MINUS.replace("half", "right")
    project.specs("a.py", page("right", more=law + exhibit), page("raises", forward="raise ValueError('boom')"))
    project.run("a.py")
    found = {f["code"]: f["id"] for f in project.findings()}
    assert set(found) == {"V103", "G103", "R101"}
    for code, identity in found.items():
        again = project.gradcheck("replay", identity)
        assert (again.exit_code, code in again.output) == (1, True), again.output


def test_a_submission(project: Any) -> None:
    text = "import torch\n\nimport gradcheck\n\n\n@gradcheck.implements('relu')\ndef f(x):\n    return 3 * torch.relu(x)\n"
    project.write("submitted_here.py", text)
    project.run("--subject", "submitted_here")
    found = next(f for f in project.findings() if f["code"] == "V102")
    again = project.gradcheck("replay", found["id"])
    assert again.exit_code == 1
    assert "submitted_here.py:6" in again.output


def test_the_start_of_an_id_and_another_report(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    project.run("a.py", "--report", "json:kept.json")
    [found] = project.findings()
    project.run("a.py", "--ignore", "G")
    assert project.gradcheck("replay", found["id"][:4], "--from", "kept.json").exit_code == 1
    missing = project.gradcheck("replay", found["id"])
    assert missing.exit_code == 2
    assert "no findings" in missing.output


def test_what_is_gone_is_named(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF, more=MINUS))
    project.run("a.py")
    found = {f["code"]: f["id"] for s in reversed(project.latest()["subjects"]) for f in s["findings"]}
    assert "there is no finding 'zzzz'" in project.gradcheck("replay", "zzzz").output
    project.specs("a.py", page("half", **HALF))
    assert "is no exhibit of 'half' any more" in project.gradcheck("replay", found["G103"]).output
    text = (project.path / "a.py").read_text()
    project.write("a.py", text.replace("x=Real", "z=Real").replace("def half(x)", "def half(z)").replace("return x * x", "return z * z"))
    with pytest.raises(UsageError, match="found with the arguments x; 'half' takes z now"):
        replay("reports/latest.json", found["G102"])
    project.specs("a.py", page("third", **HALF))
    gone = project.gradcheck("replay", found["G102"])
    assert gone.exit_code == 2
    assert "there is no spec 'half'" in gone.output
    (project.path / "a.py").unlink()
    assert "a.py: no such file" in project.gradcheck("replay", found["G102"]).output


def test_wrong_in_another_way_has_not_gone(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("half", **HALF))
    project.run("a.py")
    [found] = project.findings()
    for vjp, said in {"return -2 * x * dy": "G103", "return x * dy / 2": "0.25 times", "return 3 + x * dy": "G101"}.items():
        project.specs("a.py", page("half", vjp=vjp))
        again = project.gradcheck("replay", found["id"])
        assert (again.exit_code, said in again.output) == (1, True), again.output
        assert "a factor 1/2" not in again.output
