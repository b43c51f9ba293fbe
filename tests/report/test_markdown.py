"""The Markdown summary."""

from __future__ import annotations

import dataclasses

from gradcheck.report import markdown


def test_the_headline_and_the_table_of_what_did_not_pass_come_first(report):
    lines = markdown.render(report).splitlines()
    assert lines[0] == "## gradcheck: 2 of 7 subjects fail, 1 could not be judged for an error"
    assert lines[4].startswith("| Subject | Verdict |")
    assert lines[6] == "| logcosh | **fail** | 2e-31 | inf f32 | 1e-13 | 60 | 0.04 |"
    assert lines[7].startswith("| binary\\_cross\\_entropy\\_with\\_logits | **fail** |")


def test_every_row_has_every_column(report):
    rows = [line for line in markdown.render(report).splitlines() if line.startswith("| ")]
    assert all(row.replace("\\|", "").count("|") == 8 for row in rows)


def test_neither_html_nor_markdown_gets_through(report):
    text = markdown.render(report)
    assert "<script>" not in text
    assert "&lt;script&gt;alert('x')&lt;/script&gt; \\[red\\]\\|\\`Grünwald\\`\\\\x1b\\[31m" in text


def test_findings_are_folded_with_their_text(report):
    text = markdown.render(report)
    head = "<summary><b>G102</b> constant factor: binary_cross_entropy_with_logits, "
    head += "argument logits, entry [0, 1] (error)</summary>"
    assert head in text
    assert "    gradcheck replay cross_entropy-G102-5f0c81\n" in text
    assert text.count("<details>") == text.count("</details>") == 5


def test_fences_are_longer_than_those_they_hold(report, gradient_finding):
    finding = dataclasses.replace(gradient_finding, message="see ````x````")
    result = dataclasses.replace(report.subjects[4], findings=(finding,))
    assert "\n`````text\n" in markdown.render(dataclasses.replace(report, subjects=(result,)))


def test_a_clean_run_has_no_findings(clean_report):
    text = markdown.render(clean_report)
    assert text.startswith("## gradcheck: All 2 subjects pass\n")
    assert "### Findings" not in text
    assert "softmax: without the shift by the maximum: on show: found N101" in text


def test_very_many_findings_stay_within_a_comment(report):
    many = tuple(dataclasses.replace(report.subjects[4], name=f"f{i}") for i in range(300))
    text = markdown.render(dataclasses.replace(report, subjects=many))
    assert len(text) < 65_536
    assert "more findings not shown here; the JSON report has all." in text


def test_an_empty_report(report):
    assert markdown.render(dataclasses.replace(report, subjects=())).startswith(
        "## gradcheck: Nothing was checked\n"
    )
