"""The HTML page."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from gradcheck.findings import Example, Verdict
from gradcheck.report import html

VOID = {"meta", "input", "wbr", "rect"}


class Page(HTMLParser):
    """Checks that elements nest, and gathers tags, ids, links and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.open, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[k] for k in ("href", "src") if k in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def words(page):
    """The text of a page, with a space between elements."""
    return " ".join(" ".join(page.text).replace("_ ", "_").split())


@pytest.fixture
def text(report):
    return html.render(report)


@pytest.fixture
def page(text):
    return Page(text)


def test_elements_nest_and_ids_are_unique(page):
    assert len(page.ids) == len(set(page.ids))


def test_everything_is_in_the_page(page, text):
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"https?://|@import|url\(", text)


def test_names_and_messages_are_escaped(text, page):
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    assert "\x1b" not in text
    assert "bad & worse" in "".join(page.text)


def test_headings_descend_by_one_and_header_cells_have_a_scope(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in given for tag, given in page.tags if tag == "th")


def test_the_sections_come_in_order(text):
    marks = [
        "<h1",
        'aria-label="Environment"',
        'id="findings"',
        'id="subjects"',
        'id="exhibits"',
        'id="laws"',
    ]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "On show: known slips, and what was found in them" in text


def test_a_finding_keeps_the_order_of_blocks(page):
    whole = words(page)
    marks = [
        "G102",
        "argument logits, entry [0, 1]",
        "central difference",
        "-0.2689414213699951",
        "numeric and autograd agree",
        "The mean over",
        "Smallest input",
        "gradcheck replay cross",
        "import numpy",
    ]
    start = whole.index("G102 constant factor")
    places = [whole.index(mark, start) for mark in marks]
    assert places == sorted(places)


def test_rows_link_to_their_findings(text):
    anchor = re.search(r'<a class="code" href="#(finding-\d+)">G102</a>', text)
    assert anchor
    assert re.search(rf'id="{anchor[1]}"><span class="mono">G102', text)


def test_a_finding_shared_by_two_subjects_is_shown_for_both(report):
    twice = (report.subjects[4], dataclasses.replace(report.subjects[4], name="other"))
    assert html.render(dataclasses.replace(report, subjects=twice)).count("<article") == 2


def test_long_arrays_are_whole_but_folded(report):
    example = Example({"x": np.arange(500.0)}, (np.ones(2),), "float64", 0)
    finding = dataclasses.replace(report.subjects[4].findings[0], example=example)
    result = dataclasses.replace(report.subjects[4], findings=(finding,))
    text = html.render(dataclasses.replace(report, subjects=(result,)))
    folded = re.search(r'<details class="input">.*?</details>', text, re.DOTALL)
    assert folded
    assert "250.0," in folded[0]
    assert "too long to paste" in text


def test_a_missed_exhibit_is_open_and_marked(report):
    missed = dataclasses.replace(report.subjects[7], verdict=Verdict.FAIL, findings=())
    text = html.render(dataclasses.replace(report, subjects=(missed,)))
    assert '<details class="exhibit wrong" open>' in text
    assert "on show: expected N101, found nothing" in text


def test_laws_are_listed_with_their_verdicts(page):
    assert "binary_cross_entropy_with_logits is never negative pass adds over the batch fail" in words(page)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (1.0, 100),
        (1e-16, 50),
        (1e-40, 0),
        (5.0, 100),
        (0.0, 0),
        (math.inf, 100),
        (math.nan, None),
        (None, None),
    ],
)
def test_bars_are_logarithmic(value, length):
    assert html.measure(value, html.ERROR_AXIS).length == length


def test_only_the_worst_dtype_is_marked(report):
    worst = [(m.text, m.worst) for m in html._by_dtype(report.subjects[3])]
    assert worst == [("3", False), ("inf", True)]


def test_an_empty_report_is_a_page(report):
    Page(html.render(dataclasses.replace(report, subjects=())))
