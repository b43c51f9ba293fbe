"""SARIF 2.1.0."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from gradcheck.findings import Verdict
from gradcheck.report import sarif

SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.json").read_text("utf-8"))


def log(report):
    data = json.loads(sarif.render(report))
    jsonschema.validators.validator_for(SCHEMA)(SCHEMA).validate(data)
    return data["runs"][0]


def test_a_full_run_and_a_clean_one_fit_the_schema(report, clean_report):
    assert log(report)["results"]
    assert log(clean_report)["results"] == []


def test_rules_are_listed_once_and_indexed(report):
    run = log(report)
    rules = run["tool"]["driver"]["rules"]
    assert [(r["id"], r["name"]) for r in rules] == [
        ("N101", "OverflowOnTheWay"),
        ("G102", "ConstantFactor"),
        ("G115", "ConventionDiffers"),
    ]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert [r["level"] for r in run["results"]] == ["error", "error", "note"]


def place(run, index=0):
    return run["results"][index]["locations"][0]["physicalLocation"]


def test_places_inside_the_working_directory_are_relative(report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = dataclasses.replace(report.subjects[4], path=str(tmp_path / "my specs" / "löss.py"))
    got = place(log(dataclasses.replace(report, subjects=(inside,))))
    assert got == {
        "artifactLocation": {"uri": "my%20specs/l%C3%B6ss.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 47},
    }


def test_places_elsewhere_are_absolute(report):
    outside = dataclasses.replace(report.subjects[4], path="/else where/loss.py")
    assert place(log(dataclasses.replace(report, subjects=(outside,))))["artifactLocation"] == {
        "uri": "file:///else%20where/loss.py"
    }


@pytest.mark.parametrize("line", [None, 0])
def test_a_finding_without_a_line_has_no_region(report, line, note_finding):
    result = dataclasses.replace(report.subjects[1], line=line)
    assert "region" not in place(log(dataclasses.replace(report, subjects=(result,))))


def test_fingerprints_do_not_follow_the_input(report, gradient_finding):
    other = dataclasses.replace(gradient_finding, id="other", example=None, measured={})
    again = dataclasses.replace(report.subjects[4], findings=(other,))
    one, two = (
        log(dataclasses.replace(report, subjects=(s,)))["results"][0] for s in (report.subjects[4], again)
    )
    assert one["partialFingerprints"] == two["partialFingerprints"]


def test_an_exhibit_that_shows_nothing_is_a_result(report):
    missed = dataclasses.replace(report.subjects[7], verdict=Verdict.FAIL, findings=())
    results = log(dataclasses.replace(report, subjects=(missed,)))["results"]
    assert [(r["ruleId"], r["message"]["text"]) for r in results] == [
        ("exhibit", "softmax: without the shift by the maximum: on show: expected N101, found nothing"),
    ]


def test_what_could_not_be_judged_is_a_notification(report):
    notes = log(report)["invocations"][0]["toolExecutionNotifications"]
    assert [n["level"] for n in notes] == ["warning", "error"]
