"""The command line. What it prints is laid out in ``report``; what it does, in ``runner``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcheck import __version__
from gradcheck.errors import GradcheckError, NothingToCheck, UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.findings import Report, Result

LATEST = Path("reports")
FOUND, USAGE, OURS, NOTHING = 1, 2, 3, 5
INTERRUPTED = 130
"""As of a shell command that Ctrl-C ended; 1 would claim a finding."""


def _complain(text: object) -> None:
    from gradcheck.report.view import clean

    click.echo(f"gradcheck: {clean(text)}", err=True)


class _Commands(click.Group):
    """A group that suggests the nearest command and turns our errors into an exit status."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(
                f"there is no command {args[0]!r}.{did_you_mean(args[0], self.commands)} The commands: {', '.join(sorted(self.commands))}."
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NothingToCheck as error:
            _complain(error)
            ctx.exit(NOTHING)
        except GradcheckError as error:
            _complain(error)
            ctx.exit(USAGE)
        except (KeyboardInterrupt, click.Abort):
            _complain("interrupted")
            ctx.exit(INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except Exception as error:
            if os.environ.get("GRADCHECK_TRACEBACK"):
                raise
            _complain(f"internal error: {type(error).__name__}: {error}\nSet GRADCHECK_TRACEBACK=1 to see where; please report it.")
            ctx.exit(OURS)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradcheck")
def main() -> None:
    """Is the mathematics right, and is the arithmetic sound?

    Checks forward and backward passes three ways: numerically in exact ball arithmetic, as they
    are written, and against torch.autograd.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the terminal cannot show is no reason to stop


def _codes(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return _known_codes(parameter.opts[0], value)


def _known_codes(where: str, value: tuple[str, ...]) -> tuple[str, ...]:
    from gradcheck.rules import codes

    return codes(value, where) if value else ()


@main.command()
@click.argument("spec", nargs=-1)
@click.option(
    "--subject", metavar="MODULE", help="Judge what MODULE binds with @gradcheck.implements, or [tool.gradcheck.subjects] names in it."
)
@click.option(
    "--report",
    "reports",
    metavar="FORMAT:PATH",
    multiple=True,
    help="Write a report too: json, html, junit, sarif or markdown. Repeatable.",
)
@click.option("--examples", type=click.IntRange(min=1), help="Points for every subject.  [default: 100]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the generated points.  [default: 0]")
@click.option("--jobs", type=click.IntRange(min=0), help="Worker processes; 0: work in this one.  [default: one per core]")
@click.option("--timeout", type=click.FloatRange(min=0), default=300, show_default=True, help="Seconds for one subject; 0: no limit.")
@click.option("--select", metavar="CODES", multiple=True, callback=_codes, help="Only these codes or prefixes, such as G,N101.")
@click.option("--ignore", metavar="CODES", multiple=True, callback=_codes, help="Not these codes or prefixes.")
@click.option("--baseline", metavar="PATH", help="A JSON report: only findings that are not in it count.")
@click.pass_context
def run(
    ctx: click.Context, spec: tuple[str, ...], subject: str | None, reports: tuple[str, ...], examples: int | None,
    seed: int | None, jobs: int | None, timeout: float, select: tuple[str, ...], ignore: tuple[str, ...], baseline: str | None,
) -> None:  # fmt: skip
    """Check the catalog, or SPEC...: names, files or folders.

    A name is looked up in the files and folders beside it, then in the installed catalog. Files
    and folders without a name are checked whole.

    Writes reports/latest.json and reports/latest.html. Exit status: 0 nothing found, 1 findings,
    2 wrong use, 3 gradcheck failed, 5 nothing to check.
    """
    from gradcheck import config as configuration
    from gradcheck import runner
    from gradcheck.catalog import load
    from gradcheck.examine import Settings
    from gradcheck.report import check_writable, parse_target

    config = configuration.read()
    targets = [parse_target(t) for t in reports] + [("json", LATEST / "latest.json"), ("html", LATEST / "latest.html")]
    for _, path in targets:
        try:
            check_writable(path)
        except UsageError as error:
            hint = f" Every run writes {LATEST}/latest.json and {LATEST}/latest.html: run in another folder, or move {LATEST!s} away."
            raise UsageError(f"{error}{hint if path.parent == LATEST else ''}") from error
    known = _baseline(baseline)
    paths = [s for s in spec if _is_path(s)]
    names = [s for s in spec if not _is_path(s)]
    sources = paths or list(config.specs)
    settings = Settings(
        examples or config.examples,
        config.seed if seed is None else seed,
        select or _known_codes("[tool.gradcheck] select", config.select),
        ignore or _known_codes("[tool.gradcheck] ignore", config.ignore),
    )
    jobs = config.jobs if jobs is None else jobs
    catalog = load(sources, some=not names)
    problems = [runner.unusable(p) for p in catalog.problems]
    if subject is not None:
        tasks, unbound = runner.of_subject(catalog, sources, names, subject, config)
        problems += [runner.unusable(p, "submission") for p in unbound]
    else:
        tasks = runner.of_catalog(catalog, sources, names)
    if not tasks and not problems:
        where = f"{subject} binds nothing with @gradcheck.implements" if subject else "there is no spec here"
        raise NothingToCheck(f"nothing to check: {where}.")
    console = _console()
    started = time.perf_counter()
    results = _watch(console, tasks, settings, (os.cpu_count() or 1) if jobs is None else jobs, timeout)
    results += problems
    made = runner.report(results, settings, sources, subject, time.perf_counter() - started)
    _show(console, made)
    if known:
        old = sum((result.name, f.code, f.argument) in known for result, f in made.findings if result.kind != "exhibit")
        console.print(f"Findings that {baseline} has already, and that do not count: {old}.", markup=False, soft_wrap=True)
    _write(made, targets)
    ctx.exit(_status(made, known))


def _is_path(word: str) -> bool:
    return word.endswith(".py") or os.sep in word or "/" in word or word in (".", "..") or Path(word).is_dir()


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _watch(console: Console, tasks: list[Any], settings: Any, jobs: int, timeout: float) -> list[Result]:
    """Run the tasks behind a progress bar (on a terminal; nothing elsewhere)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from gradcheck import runner

    columns = (
        TextColumn("checking"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(tasks), last="")
        return runner.run(tasks, settings, jobs, lambda result: progress.update(bar, advance=1, last=result.name[:24]), timeout)


def _show(console: Console, report: Report) -> None:
    from gradcheck.findings import Verdict
    from gradcheck.report import view
    from gradcheck.report.text import failure_block, summary_line, table

    console.print(table(report))
    for result in report.subjects:
        if result.kind == "exhibit" and result.passed:
            continue
        for finding in result.findings:
            console.print()
            console.print(failure_block(result, finding))
        if result.verdict is Verdict.ERROR:
            line = f":{result.line}" if result.line else ""
            said = view.clean(f"error  {result.path}{line}\n  {view.reason(result)}")
            console.print()
            console.print(said, markup=False, soft_wrap=True)
    console.print()
    console.print(summary_line(report), markup=False)


def _write(report: Report, targets: list[tuple[str, Path]]) -> None:
    """Every report that can be written; an error about one comes after the others."""
    from gradcheck.report import render, write

    failed: UsageError | None = None
    for form, path in targets:
        try:
            write(render(report, form), path)
        except UsageError as error:
            failed = error
    if failed is not None:
        raise failed


def _baseline(path: str | None) -> set[tuple[str, str, str | None]]:
    if path is None:
        return set()
    from gradcheck.report.model import load

    try:
        return {(s["name"], f["code"], f["argument"]) for s in load(path)["subjects"] for f in s["findings"]}
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path}: a subject or a finding in it is not complete ({error!r}); write the report again.") from error


def _status(report: Report, known: set[tuple[str, str, str | None]]) -> int:
    """The exit status: an error of ours, then one of a spec's, then findings that are not known."""
    from gradcheck.findings import Severity, Verdict

    faults = {r.measurements.get("fault") for r in report.subjects if r.verdict is Verdict.ERROR}
    if faults:
        return USAGE if faults == {"spec"} else OURS
    for result in report.subjects:
        if result.kind == "exhibit":
            if result.verdict is Verdict.FAIL:
                return FOUND
        elif any(f.severity is Severity.ERROR and (result.name, f.code, f.argument) not in known for f in result.findings):
            return FOUND
    return 0


@main.command("list")
@click.argument("source", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with arguments, laws and exhibits.")
def list_(source: tuple[str, ...], as_json: bool) -> None:
    """List the specs of the catalog, or of the files and folders SOURCE...."""
    from gradcheck import config as configuration
    from gradcheck.catalog import load

    catalog = load(source or configuration.read().specs)
    if as_json:
        rows = [
            {
                "name": s.name, "family": s.family, "summary": s.summary, "path": s.path, "line": s.line, "arguments": list(s.arguments),
                "differentiable": list(s.differentiable), "dtypes": list(s.dtypes), "laws": [law.title for law in s.laws],
                "exhibits": [{"title": e.title, "expects": list(e.expects)} for e in s.exhibits],
            }
            for s in catalog.specs.values()
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max((len(n) for n in catalog.specs), default=0)
        family = ""
        for s in sorted(catalog.specs.values(), key=lambda s: s.family):
            if s.family != family:
                family = s.family
                click.echo(f"{family}")
            line = f"  {s.name:{width}}  {s.summary}"
            click.echo(line if len(line) <= 80 else line[:77] + "...")
    for p in catalog.problems:
        _complain(f"{p.path}{f':{p.line}' if p.line else ''}: {p.message}")
    if catalog.problems:
        sys.exit(USAGE)
    if not catalog.specs:
        raise NothingToCheck("there is no spec here.")


@main.command()
@click.argument("code", nargs=-1)
def explain(code: tuple[str, ...]) -> None:
    """Explain the rules CODE...: what, why, a wrong and a right sample, a source. Without CODE, list them."""
    from gradcheck.rules import find, rules

    if not code:
        for rule in rules().values():
            click.echo(f"{rule.code}  {rule.severity:7}  {rule.title}")
    for i, word in enumerate(code):
        rule = find(word)
        click.echo(("\n" if i else "") + f"{rule.code} {rule.title} ({rule.severity})\n\n{rule.doc}")


@main.command()
@click.argument("id")
@click.option(
    "--from",
    "source",
    metavar="PATH",
    default=str(LATEST / "latest.json"),
    show_default=True,
    help="The JSON report that holds the finding.",
)
@click.pass_context
def replay(ctx: click.Context, id: str, source: str) -> None:
    """Evaluate the finding ID of a report again, at its recorded inputs, bit for bit.

    Exit status 1 if it still shows, 0 if it does not.
    """
    from gradcheck.replay import replay as again
    from gradcheck.report.text import failure_block

    result, finding = again(source, id)
    if finding is None:
        click.echo(f"{id}: no longer shows at the recorded inputs of {result.name}.")
        return
    _console().print(failure_block(result, finding))
    ctx.exit(FOUND)
