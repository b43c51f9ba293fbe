"""A summary in GitHub's Markdown: for job summaries and comments on changes."""

from __future__ import annotations

import html
import re

from gradcheck.findings import Finding, Report, Result, Verdict
from gradcheck.report import view
from gradcheck.report.blocks import finding_lines

LIMIT = 60_000
"""Characters after which no more findings are added: a comment holds 65,536."""

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_HEAD = [
    "Subject",
    "Verdict",
    "Mathematics: worst error",
    "Arithmetic: amplification",
    "Detects",
    "Points",
    "Seconds",
]


def render(report: Report) -> str:
    """Headline, table of what did not pass, findings and the whole table folded, exhibits."""
    judged = [result for _, results in view.groups(report) for result in results]
    unwell = [result for result in judged if result.verdict is not Verdict.PASS]
    parts = [f"## gradcheck: {view.headline(report)}"]
    if report.subjects:
        parts.append(f"{view.tally(report)}, in {view.seconds(report.seconds)} s.")
    if unwell:
        parts.append(_table(unwell))
    remarks = [f"- {escape(view.label(r))}: {escape(view.reason(r))}" for r in unwell if _unexplained(r)]
    remarks += [f"- {escape(view.label(r))}: {escape(view.how(r))}" for r in judged if view.how(r)]
    wrong = [result for result in view.exhibits(report) if not result.passed]
    remarks += [f"- **{escape(view.label(r))}**: {escape(view.exhibit_line(r))}" for r in wrong]
    if remarks:
        parts.append("\n".join(remarks))
    tail = _tail(report, judged)
    findings = list(view.counted(report))
    if findings:
        parts.append("### Findings")
    size = sum(len(part) for part in [*parts, *tail])
    for i, (result, finding) in enumerate(findings):
        block = _finding(result, finding)
        size += len(block)
        if size > LIMIT:
            parts.append(f"{view.plural(len(findings) - i, 'more finding')} not shown here; the JSON report has all.")
            break
        parts.append(block)
    return "\n\n".join([*parts, *tail]) + "\n"


def escape(text: object) -> str:
    """``text`` so that neither Markdown nor HTML reads anything into it; on one line."""
    flat = " ".join(view.clean(text).split())
    return _SPECIAL.sub(r"\\\1", html.escape(flat, quote=False))


def _tail(report: Report, judged: list[Result]) -> list[str]:
    parts = []
    if judged:
        whole = _details(f"All {view.subjects(len(judged))}", _table(judged))
        parts.append(whole if len(whole) < LIMIT // 2 else "The table of all subjects is in the HTML and the JSON report.")
    right = [result for result in view.exhibits(report) if result.passed]
    if right:
        lines = [f"- {escape(view.label(r))}: {escape(view.exhibit_line(r))}" for r in right]
        parts.append(_details(f"{view.plural(len(right), 'exhibit')} on show, as expected", "\n".join(lines)))
    if report.environment:
        parts.append("<sub>" + ", ".join(f"{escape(k)} {escape(v)}" for k, v in report.environment.items()) + "</sub>")
    return parts


def _table(results: list[Result]) -> str:
    rows = [_HEAD, ["---", "---", *["--:"] * (len(_HEAD) - 2)]]
    for result in results:
        m = result.measurements
        rows.append(
            [
                escape(view.label(result)),
                f"**{result.verdict}**" if result.verdict in (Verdict.FAIL, Verdict.ERROR) else str(result.verdict),
                view.brief(view.number(m.get("max_error"))),
                view.amplified(result),
                view.brief(result.detects),
                view.points(result),
                view.seconds(m.get("seconds")),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _finding(result: Result, finding: Finding) -> str:
    head = f"<b>{html.escape(finding.code)}</b> {_plain(view.title(finding))}: {_plain(view.label(result))}"
    entry = view.entry(finding)
    if entry:
        head += f", {_plain(entry)}"
    text = "\n".join(line.text for line in finding_lines(result, finding))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return _details(f"{head} ({finding.severity})", f"{fence}text\n{text}\n{fence}", escaped=True)


def _plain(text: str) -> str:
    return html.escape(" ".join(view.clean(text).split()))


def _details(summary: str, body: str, escaped: bool = False) -> str:
    head = summary if escaped else html.escape(summary)
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _unexplained(result: Result) -> bool:
    return bool(view.reason(result)) and not result.findings
