"""A recorded finding, evaluated again at its recorded inputs."""

from __future__ import annotations

from typing import Any

from gradcheck import config as configuration
from gradcheck.catalog import load
from gradcheck.diagnosis import again
from gradcheck.errors import UsageError
from gradcheck.evidence import gather
from gradcheck.examine import finding as make_finding
from gradcheck.findings import Finding, Result, Verdict
from gradcheck.function_spec import FunctionSpec
from gradcheck.points import replayed
from gradcheck.report import model
from gradcheck.rules import Match, match, rank
from gradcheck.state import generators_kept
from gradcheck.subject import Subject, bind, house, implementations, on_show, reference


@generators_kept()
def replay(source: str, id: str) -> tuple[Result, Finding | None]:
    """The subject of finding ``id`` in the JSON report ``source``, and the finding if it still shows.

    Raises ``UsageError`` if the report, the finding or its subject is not there.
    """
    data = model.load(source)
    recorded, entry = model.find(data, id)
    options = data.get("options", {})
    spec = load(options.get("specs", ())).find(recorded["spec"])
    subject = _subject(recorded, spec, options.get("subject"))
    if entry.get("example") is None:
        raise UsageError(f"{id}: the report holds no inputs for this finding")
    point = replayed(model.example_from_dict(entry["example"]))
    if tuple(point.primals) != subject.arguments:
        before, now = ", ".join(point.primals), ", ".join(subject.arguments)
        raise UsageError(f"{id} was found with the arguments {before}; {spec.name!r} takes {now} now")
    matches = match(gather(subject, point, reference(spec), spec.laws if entry["code"] == "V103" else ()))
    seen = again(matches, Match(entry["code"], entry["argument"], "", signature=frozenset(), sure=False))
    if seen is None or not _is_same(entry, seen):
        # A gradient that is wrong in another way by now has not become right.
        rivals = [m for m in matches if m.group and m.argument == entry["argument"] and m.code[0] == entry["code"][0]]
        seen = min(rivals, key=lambda m: rank(m.code), default=seen)
    path, line, _ = subject.location
    shown = Result(
        path, recorded["name"], line, recorded["kind"], recorded["convention"], spec.name, Verdict.FAIL if seen else Verdict.PASS
    )
    return shown, make_finding(subject, point, seen, entry.get("cause", "") if _is_same(entry, seen) else "") if seen else None


def _is_same(entry: dict[str, Any], seen: Match) -> bool:
    return bool(seen.code == entry["code"] and seen.measured.get("factor") == entry["measured"].get("factor"))


def _subject(recorded: dict[str, Any], spec: FunctionSpec, module: str | None) -> Subject:
    if recorded["kind"] == "exhibit":
        for exhibit in spec.exhibits:
            if on_show(spec, exhibit).name == recorded["name"]:
                return on_show(spec, exhibit)
        raise UsageError(f"{recorded['name']!r} is no exhibit of {spec.name!r} any more")
    if module is None:
        return house(spec)
    for name, forward, backward in implementations(module, configuration.read().subjects):
        if name == spec.name and getattr(forward, "__name__", name) == recorded["name"]:
            return bind(spec, forward, backward)
    raise UsageError(f"{module} does not implement {spec.name!r} any more")
