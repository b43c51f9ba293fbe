from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest

HEAD = "import os\nimport sys\n\nimport numpy as np\n\nfrom gradcheck import Real, equal, spec\nfrom gradcheck.lazy import torch\n"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run beside one another: a thread for each is faster than all cores for each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def source(
    name: str, forward: str = "return x * x", vjp: str | None = "return 2 * x * dy", reference: str = "x * x", more: str = ""
) -> str:
    """The page of a spec of one argument, to be put after ``HEAD``."""
    text = (
        f'\n\n@spec("{name}", family="toy", x=Real("*s"), torch=lambda x: {reference})\ndef {name}(x):\n    """{name}."""\n    {forward}\n'
    )
    if vjp is not None:
        text += f"\n\n@{name}.vjp\ndef _(dy, x, y):\n    {vjp}\n"
    return text + more


class Project:
    """A folder with files in it, in which commands run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def specs(self, name: str, *pages: str) -> Path:
        return self.write(name, HEAD + "".join(pages))

    def run(self, *args: str, jobs: int = 0, examples: int = 10) -> click.testing.Result:
        """``gradcheck run``, in this process unless ``jobs`` says otherwise."""
        return self.gradcheck("run", "--jobs", str(jobs), "--examples", str(examples), *args)

    def gradcheck(self, *args: str) -> click.testing.Result:
        from gradcheck.cli import main

        result = click.testing.CliRunner().invoke(main, list(args), prog_name="gradcheck")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def shell(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Python code in a process of its own."""
        return subprocess.run(
            [sys.executable, "-c", code], cwd=self.path, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
        )

    def latest(self) -> dict[str, Any]:
        return json.loads((self.path / "reports" / "latest.json").read_text("utf-8"))

    def findings(self) -> list[dict[str, Any]]:
        return [f for s in self.latest()["subjects"] for f in s["findings"]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Project(tmp_path)


@pytest.fixture
def page() -> Callable[..., str]:
    """``source``, since test modules cannot import this one."""
    return source
