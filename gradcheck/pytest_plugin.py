"""gradcheck in pytest: a fixture ``gradcheck``, and ``--gradcheck-specs DIR`` with one item per spec.

Nothing of gradcheck that costs time is imported before one of the two is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck.catalog import Problem
    from gradcheck.findings import Result
    from gradcheck.function_spec import FunctionSpec


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "checks of gradients and of numerical soundness")
    group.addoption(
        "--gradcheck-specs",
        action="append",
        default=[],
        metavar="DIR",
        help="check the specs in DIR (a folder or a file), one test item per spec; repeatable",
    )
    group.addoption(
        "--gradcheck-examples", type=_at_least(1), default=100, metavar="N", help="points to check every spec at (default: 100)"
    )
    group.addoption("--gradcheck-seed", type=_at_least(0), default=0, metavar="N", help="seed of the generated points (default: 0)")


def _at_least(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return whole_number


class Gradcheck:
    """The fixture: call it as ``gradcheck.check``; it raises if the check does not pass."""

    def __call__(self, *args: Any, **options: Any) -> Result:
        __tracebackhide__ = True
        result = self.check(*args, **options)
        result.raise_if_failed()
        return result

    def check(self, *args: Any, **options: Any) -> Result:
        """The result, without raising."""
        __tracebackhide__ = True
        from gradcheck.api import check

        return check(*args, **options)


@pytest.fixture(scope="session")
def gradcheck() -> Gradcheck:
    """Check a gradient: ``gradcheck(forward, vjp, *primals)`` raises with the report's text if it is wrong."""
    return Gradcheck()


class SpecFile(pytest.File):
    """The file in which specs were declared."""

    def collect(self) -> Iterator[pytest.Item]:
        return iter(())


class SpecItem(pytest.Item):
    """A spec and its exhibits."""

    def __init__(self, *, spec: FunctionSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def runtest(self) -> None:
        __tracebackhide__ = True
        from gradcheck.examine import Settings
        from gradcheck.runner import examine_exhibit, examine_spec

        settings = Settings(self.config.getoption("gradcheck_examples"), self.config.getoption("gradcheck_seed"))
        _unrecorded(examine_spec(self.spec, settings)).raise_if_failed()
        for exhibit in self.spec.exhibits:
            _unrecorded(examine_exhibit(self.spec, exhibit, settings)).raise_if_failed()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from gradcheck.errors import CheckFailed

        return str(excinfo.value) if isinstance(excinfo.value, CheckFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return Path(self.spec.path), self.spec.line - 1, self.spec.name


def _unrecorded(result: Result) -> Result:
    """``result`` with findings that ``gradcheck replay`` does not know: no report is written here."""
    return replace(result, findings=tuple(replace(f, reproduce="", id="") for f in result.findings))


class ProblemItem(pytest.Item):
    """A spec file that could not be loaded: fails with the reason."""

    def __init__(self, *, problem: Problem, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problem = problem

    def runtest(self) -> None:
        line = f":{self.problem.line}" if self.problem.line else ""
        pytest.fail(f"{self.problem.path}{line}: {self.problem.message}", pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        return Path(self.problem.path), (self.problem.line or 1) - 1, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    sources = config.getoption("gradcheck_specs")
    if not sources:
        return
    from gradcheck.catalog import load
    from gradcheck.errors import GradcheckError

    try:
        catalog = load(sources)
    except GradcheckError as error:
        raise pytest.UsageError(f"--gradcheck-specs: {error}") from error
    files: dict[str, SpecFile] = {}

    def file(path: str) -> SpecFile:
        if path not in files:
            files[path] = SpecFile.from_parent(session, path=Path(path).resolve())
        return files[path]

    items.extend(SpecItem.from_parent(file(s.path), name=s.name, spec=s) for s in catalog.specs.values())
    items.extend(ProblemItem.from_parent(file(p.path), name=f"{Path(p.path).name} {i}", problem=p) for i, p in enumerate(catalog.problems))
