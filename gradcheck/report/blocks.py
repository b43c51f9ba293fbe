"""A finding as plain lines of at most 80 columns, in a fixed order of blocks.

Code and title; subject, argument and index; the three ways side by side; what decided, if it was
floats; the suspect; the likely cause; the smallest input; how to reproduce it. Plain ASCII, but for what it quotes.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from gradcheck.findings import Finding, Result
from gradcheck.report import arrays, view

WIDTH = 80


@dataclass(frozen=True)
class Line:
    """A line of text and its role: "error", "warning", "note", "head", "label", "code" or ""."""

    text: str
    role: str = ""


def finding_lines(result: Result, finding: Finding, width: int = WIDTH) -> list[Line]:
    """All that there is to say on one finding."""
    severity = str(finding.severity)
    head = view.clean(f"{finding.code} {view.title(finding)}")
    gap = width - len(head) - len(severity)
    lines = [Line(f"{head}{' ' * gap}{severity}" if gap > 1 else f"{head} ({severity})", severity)]
    lines += [Line(text) for text in prose(finding.message, width, "  ")]
    subject = ", ".join(part for part in (view.label(result), view.entry(finding)) if part)
    lines += [
        Line(""),
        *_labelled("in", subject, width),
        *_labelled("at", view.place(result, finding), width),
    ]
    rows = view.rows(finding)
    if rows:
        lines += [Line(""), *_table(rows, width)]
    said = {"way": view.way(result, finding), "suspect": view.suspect(finding), "cause": finding.cause}
    if any(said.values()):
        lines.append(Line(""))
        lines += [line for label, text in said.items() if text for line in _labelled(label, text, width)]
    lines += _inputs(finding, width)
    lines += _reproduce(finding, width)
    return lines


def result_lines(result: Result, width: int = WIDTH) -> list[Line]:
    """One subject: its verdict, why, and every finding, the most severe first."""
    place = view.place(result)
    lines = [Line(text, "head") for text in prose(f"{view.label(result)}: {result.verdict}", width)]
    lines += [Line(text) for text in prose(f"{result.kind}, {place}" if place else result.kind, width, "  ")]
    if result.kind == "exhibit":
        lines += [Line(text) for text in prose(view.exhibit_line(result), width, "  ")]
    # A subject without a finding must still say why it did not pass.
    why = view.reason(result)
    if why and (not result.findings or result.measurements.get("reason")) and not result.passed:
        lines += [Line(text) for text in prose(why, width, "  ")]
    if not any(view.way(result, finding) for finding in result.findings):
        lines += [Line(text) for text in prose(view.how(result), width, "  ")]
    for finding in sorted(result.findings, key=view.rank):
        lines += [Line(""), *finding_lines(result, finding, width)]
    return lines


def prose(text: str, width: int = WIDTH, indent: str = "", hang: str | None = None) -> list[str]:
    """``text`` wrapped; its own line breaks stay."""
    later = indent if hang is None else hang
    lines: list[str] = []
    for paragraph in view.clean(text).splitlines():
        first = indent if not lines else later
        lines += textwrap.wrap(paragraph, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False) or [""]
    return lines


def _labelled(label: str, text: str, width: int) -> list[Line]:
    wrapped = prose(text, width, f"  {label:<9} ", " " * 12)
    return [Line(line, "label") for line in wrapped]


def _table(rows: list[view.Row], width: int) -> list[Line]:
    stem = min(max(len(row.label) for row in rows), 20)
    column = max((len(row.value) for row in rows if len(row.value) <= 24), default=0)
    lines: list[Line] = []
    for row in rows:
        error = "" if row.error is None else f"relative error {view.brief(row.error)}"
        remark = ", ".join(part for part in (error, row.remark) if part)
        text = f"{row.value:>{column}}   {remark}".rstrip() if remark or len(row.value) <= 24 else row.value
        hang = " " * (stem + 4)
        # The columns are laid out already: wrapping must not eat their spaces.
        first = f"  {view.clean(row.label):<{stem}}  {text}"
        if len(first) <= width:
            lines.append(Line(first, "label"))
        else:
            lines += [Line(part, "label") for part in prose(f"{row.label:<{stem}}  {text.strip()}", width, "  ", hang)]
    return lines


def _inputs(finding: Finding, width: int) -> list[Line]:
    example = finding.example
    if example is None:
        return []
    title = "smallest input" if finding.id else "input"  # what check() was given is not made smaller
    lines = [Line(""), Line(f"  {title} ({example.dtype}, seed {example.seed})", "head")]
    cut = False
    for name, value in view.inputs(example):
        kind = arrays.kind(value)
        body = [view.clean(line) for line in arrays.shown(value, width - 6)]
        cut = cut or getattr(value, "size", 0) > arrays.SHOWN
        head = f"    {view.clean(name)}" + (f"  {kind}" if kind else "")
        if len(body) == 1 and len(head) + len(body[0]) + 2 <= width:
            lines.append(Line(f"{head}  {body[0]}", "label"))
        else:
            lines += [Line(head, "label"), *(Line(f"      {text}") for text in body)]
    if cut:
        lines.append(Line("    (long arrays are cut here; the JSON report has them whole)"))
    return lines


def _reproduce(finding: Finding, width: int) -> list[Line]:
    command = view.command(finding)
    code = arrays.snippet(finding.example, width - 4) if finding.example else ""
    lines = [Line(""), Line("  reproduce", "head")]
    lines += [Line(f"    {view.clean(text)}", "code") for text in command.splitlines()]
    lines.append(Line(f"    gradcheck explain {finding.code}", "code"))
    if code:
        lines.append(Line(""))
        lines += [Line(f"    {view.clean(text)}" if text else "", "code") for text in code.splitlines()]
    elif finding.example is not None:
        lines += [Line(text) for text in prose("The input is too long to paste; the command rebuilds it.", width, "    ")]
    return lines


def for_encoding(text: str, encoding: str) -> str:
    """``text`` with what ``encoding`` cannot say written as escapes."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def fold(name: str, width: int) -> str:
    """``name`` over several lines of at most ``width``, broken at spaces, underscores and dots."""
    lines: list[str] = [""]
    for piece in _pieces(name):
        while piece:
            room = width - len(lines[-1])
            if len(piece.rstrip()) <= room:
                lines[-1] += piece
                break
            if not lines[-1].strip():
                lines[-1], piece = piece[:width], piece[width:]
            lines.append("")
    return "\n".join(line.rstrip() for line in lines if line)


def _pieces(name: str) -> list[str]:
    found, start = [], 0
    for i, letter in enumerate(name):
        if letter in " _./":
            found.append(name[start : i + 1])
            start = i + 1
    return [*found, name[start:]]
