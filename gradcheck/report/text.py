"""What a person sees in the terminal. rich is imported when something is laid out with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck.findings import Finding, Report, Result, Severity, Verdict
from gradcheck.report import view
from gradcheck.report.blocks import WIDTH, Line, finding_lines, fold, for_encoding, prose, result_lines

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold blue",
    "head": "bold",
    "label": "",
    "code": "cyan",
    "": "",
}
VERDICTS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERROR: "bold red",
    Verdict.SKIPPED: "dim",
}
_HEADERS = {
    "subject": "subject",
    "verdict": "verdict",
    "mathematics": "analytic\nerror",
    "autograd": "autograd\nerror",
    "arithmetic": "rounding\namplified",
    "detects": "detects",
    "points": "points",
    "seconds": "sec",
}
_WIDTHS = {"verdict": 12, "mathematics": 8, "autograd": 8, "arithmetic": 9, "detects": 7, "points": 6, "seconds": 4}
_WIDEST = 120


def failure_text(result: Result) -> str:
    """A subject's verdict and findings in plain text, at most 80 columns wide where names allow."""
    return "\n".join(line.text for line in result_lines(result))


def failure_block(result: Result, finding: Finding) -> Block:
    """One finding, as a rich renderable."""
    return Block(result, finding)


def table(report: Report) -> ReportTable:
    """All subjects, by family, and the exhibits below them, as a rich renderable.

    It fits 80 columns; in a narrower terminal the columns of least weight are left out.
    """
    return ReportTable(report)


def summary_line(report: Report) -> str:
    """The outcome, the counts, and what to do next, in lines of at most 80 columns."""
    if not report.subjects:
        return "Nothing was checked. 'gradcheck list' shows what there is."
    sentences = [f"{view.headline(report)}.", f"{view.tally(report)}, in {view.seconds(report.seconds)} s."]
    lines = prose(" ".join(sentences), WIDTH)
    lines += prose(_in_floats(report), WIDTH, "Note: ", "      ")
    return "\n".join([*lines, *prose(_next(report), WIDTH, "Next: ", "      ")])


def _in_floats(report: Report) -> str:
    """Which subjects balls did not decide, and why the first was not; empty if there is none."""
    found = [result for result in report.subjects if result.kind != "exhibit" and view.how(result)]
    if not found:
        return ""
    others = len(found) - 1
    more = f", and so {'was' if others == 1 else 'were'} {others} more" if others else ""
    return _stopped(f"{view.label(found[0])} was {view.how(found[0])}{more}")


def _stopped(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _next(report: Report) -> str:
    counts = view.count(report)
    first = next(view.counted(report), None)
    if first is not None and first[1].severity is not Severity.NOTE:
        commands = [view.command(first[1]).partition("\n")[0], f"gradcheck explain {first[1].code}"]
        return ", then ".join(f"'{command}'" for command in commands if command) + "."
    wrong = next((r for r in view.exhibits(report) if not r.passed), None)
    if wrong is not None:
        return f"the exhibit {view.label(wrong)!r} ({view.place(wrong)}) {view.exhibit_line(wrong).partition(': ')[2]}."
    for verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE):
        stuck = [r for r in report.subjects if r.verdict is verdict and r.kind != "exhibit"]
        if stuck:
            why = view.reason(stuck[0]).rstrip(".") or "no reason was recorded"
            advice = "; more --examples may decide it" if verdict is Verdict.INCONCLUSIVE else ""
            return _stopped(f"{view.label(stuck[0])}: {why}{advice}")
    # Zero would claim that the smallest error of all is caught; it is the largest that bounds them.
    limits = [r.detects for r in report.subjects if r.kind != "exhibit" and r.passed and r.detects is not None]
    if limits and counts.verdicts[Verdict.PASS]:
        return f"nothing to do; a relative error above {view.brief(max(limits))} would have been caught in every gradient."
    return "nothing to do."


@dataclass(frozen=True)
class Block:
    """A finding, laid out for the console that prints it: at most 80 columns, in colours."""

    result: Result
    finding: Finding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in finding_lines(self.result, self.finding, min(options.max_width, WIDTH)):
            text = Text(overflow="fold")
            _paint(text, Line(for_encoding(line.text, options.encoding), line.role))
            yield text


def _paint(text: Text, line: Line) -> None:
    if line.role != "label":
        text.append(line.text, style=STYLES[line.role])
        return
    body = line.text.lstrip(" ")
    margin = len(line.text) - len(body)
    label, gap, rest = body.partition("  ")
    # A label stands at the left of its block; deeper lines go on with the text of the one above.
    if margin <= 4 and gap:
        text.append(" " * margin).append(label, style="dim").append(gap + rest)
    else:
        text.append(line.text)


@dataclass(frozen=True)
class ReportTable:
    """The subjects of a report in columns; lays itself out for the console that prints it."""

    report: Report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _WIDEST)
        if any(r.kind != "exhibit" for r in self.report.subjects):
            yield self._subjects(width, options.encoding)
        if view.exhibits(self.report):
            yield self._exhibits(width, options.encoding)

    def _subjects(self, width: int, encoding: str) -> Table:
        columns = _columns(width)
        room = width - sum(_WIDTHS[c] + 1 for c in columns if c != "subject")
        made = _frame(encoding)
        for column in columns:
            left = column in ("subject", "verdict")
            made.add_column(
                _HEADERS[column],
                justify="left" if left else "right",
                width=None if column == "subject" else _WIDTHS[column],
                max_width=room if column == "subject" else None,
                overflow="fold",
            )
        for family, results in view.groups(self.report):
            made.add_row(_text(fold(view.clean(family), room), encoding, "bold"))
            for result in results:
                cells = _cells(result, room, encoding)
                made.add_row(*(cells[column] for column in columns))
        return made

    def _exhibits(self, width: int, encoding: str) -> Table:
        made = _frame(encoding)
        right = min(34, max(18, width // 2 - 4))
        room = width - right - 1
        made.add_column("exhibit", max_width=room, overflow="fold")
        made.add_column("", max_width=right, overflow="fold")
        for result in view.exhibits(self.report):
            name = fold(view.clean(view.label(result)), room - 1)
            said = view.clean(view.exhibit_line(result))
            style = "green" if result.passed else "bold red"
            made.add_row(_text(_indented(name), encoding), _text(said, encoding, style))
        return made


def _columns(width: int) -> list[str]:
    columns = ["subject", *_WIDTHS]
    for dispensable in ("seconds", "points", "autograd", "detects"):
        if width - sum(_WIDTHS[c] + 1 for c in columns[1:]) < 22:
            columns.remove(dispensable)
    return columns


def _frame(encoding: str) -> Table:
    """A table with a rule below its head, and one space between its columns."""
    from rich.box import Box
    from rich.table import Table

    ascii_only = not encoding.lower().startswith("utf")
    rule = "-" if ascii_only else "\u2500"
    rows = ["    ", "    ", f" {rule}{rule} ", *["    "] * 5]
    frame = Box("\n".join(rows) + "\n", ascii=ascii_only)
    return Table(box=frame, padding=0, pad_edge=False, show_edge=False, header_style="bold")


def _cells(result: Result, room: int, encoding: str) -> dict[str, Text]:
    m = result.measurements
    return {
        "subject": _text(_indented(fold(view.clean(view.label(result)), room - 1)), encoding),
        "verdict": _text(str(result.verdict), encoding, VERDICTS[result.verdict]),
        "mathematics": _judged(view.brief(view.number(m.get("max_error"))), m.get("mathematics"), encoding),
        "autograd": _text(view.brief(dict(view.ways(result))["autograd"]), encoding),
        "arithmetic": _judged(view.amplified(result), m.get("arithmetic"), encoding),
        "detects": _text(view.brief(result.detects), encoding),
        "points": _text(view.points(result), encoding),
        "seconds": _text(view.seconds(m.get("seconds")), encoding),
    }


def _judged(text: str, verdict: object, encoding: str) -> Text:
    style = {"fail": "bold red", "inconclusive": "yellow"}.get(str(verdict), "")
    return _text(text, encoding, style)


def _indented(text: str) -> str:
    return "\n".join(f" {line}" for line in text.splitlines())


def _text(text: str, encoding: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(for_encoding(text, encoding), style=style)
