"""Showing: Markdown tables, the claims beside what was measured, the machine, and the place in a README."""

from __future__ import annotations

import math
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import growth as growth_
from benchmarks.alarms import Alarms
from benchmarks.catalog import Run
from benchmarks.cost import EXACT, INPUTS, YARDSTICK, Cost
from benchmarks.coverage import Coverage
from benchmarks.detection import Share
from benchmarks.engines import OURS
from benchmarks.power import DELTAS, Power

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
SLOWEST, WEAKEST, LONGEST, COVERED = 1.0, 1e-12, 120.0, 0.999


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine() -> str:
    """Cores, load and versions; nothing that names the machine."""
    busy = f", load {os.getloadavg()[0]:.1f} when this was written" if hasattr(os, "getloadavg") else ""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "python-flint"))
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}{busy}; Python {platform.python_version()}, {versions}."


def claim(text: str, met: bool, measured: str) -> str:
    return f"{'Met' if met else 'Not met'}: {text}. {measured}"


def cost(rows: Sequence[Cost], rounds: int) -> str:
    shown = table(["one check", "median CPU ms", "ratio to fast"], [(r.name, f"{r.seconds * 1e3:.2f}", f"{r.ratio:.2f}") for r in rows])
    ratio = next(r.ratio for r in rows if r.name == EXACT)
    verdict = claim("an exact check is no slower than fast mode", ratio <= SLOWEST, f"It takes {ratio:.2f} times as long.")
    about = (
        f"tanh of {INPUTS} inputs, its backward written by hand as dy / cosh(x)^2, for NumPy and as a torch.autograd.Function; one torch "
        f"thread; {rounds} interleaved rounds; ratio of medians to {YARDSTICK}. The exact check decides what torch.autograd.gradcheck "
        "decides; gradcheck.check also runs the floats, watches for side effects and writes a result, and by default judges the arithmetic."
    )
    return f"### Cost of one check\n\n{about}\n\n{shown}\n\n{verdict}"


def _error(found: float | None) -> str:
    return "none" if found is None else f"{found:.0e}"


def _weakest(rows: Iterable[Power], checker: str) -> str:
    """The weakest find, with how many rows had none at all."""
    found = [r.found[checker] for r in rows]
    if None in found:
        return f"none in {found.count(None)} of {len(found)}"
    return _error(max(f for f in found if f is not None))


def power(rows: Sequence[Power], full: bool, deltas: Sequence[float] = DELTAS) -> str:
    checkers = list(rows[0].found)
    kinds = {False: "every entry", True: "one entry"}
    lines = []
    for one_entry, kind in kinds.items():
        for family in [*dict.fromkeys(r.family for r in rows), "all"]:
            chosen = [r for r in rows if r.one_entry is one_entry and family in (r.family, "all")]
            lines.append((f"{family}, {kind} ({len(chosen)} functions)", *(_weakest(chosen, c) for c in checkers)))
    parts = [table(["worst smallest error found", *checkers], lines)]
    missed = [r for r in rows if r.found["gradcheck"] is None or r.found["gradcheck"] > WEAKEST * (1 + 1e-9)]
    for one_entry, kind in kinds.items():
        these = [f"{r.spec} ({_error(r.found['gradcheck'])})" for r in missed if r.one_entry is one_entry]
        said = f"Weaker: {', '.join(these)}." if these else "In every one."
        parts.append(claim(f"a relative error of {WEAKEST:.0e} in {kind} is found in every function", not these, said))
    if full:
        lines = [(r.spec, *(_error(v) for v in r.found.values()), *(_error(v) for v in s.found.values())) for r, s in _pairs(rows)]
        header = ["function", *(f"{c}, {k}" for k in kinds.values() for c in checkers)]
        parts.append(table(header, lines))
    about = (
        f"Every gradient, or one entry of the first, is multiplied by 1 + d, d being {', '.join(_error(d) for d in deltas)}: "
        "the smallest d down to which all are found at one of the same ordinary float64 points. "
        'A point at which a checker accuses the right gradient does not count. "none": not even the largest is found.'
    )
    return "### Smallest error found\n\n" + about + "\n\n" + "\n\n".join(parts)


def _pairs(rows: Sequence[Power]) -> list[tuple[Power, Power]]:
    other = {r.spec: r for r in rows if r.one_entry}
    return [(r, other[r.spec]) for r in rows if not r.one_entry]


def _share(rows: Sequence[Alarms]) -> str:
    points, accused, undecided = (sum(getattr(r, f) for r in rows) for f in ("points", "accused", "undecided"))
    return f"{accused / points:.1%}" + (f" (+ {undecided / points:.1%})" if undecided else "")


def alarms(rows: Sequence[Alarms], full: bool) -> str:
    checkers = list(dict.fromkeys(r.checker for r in rows))
    cases = list(dict.fromkeys(r.case for r in rows))
    lines = [(case, *(_share([r for r in rows if r.case == case and r.checker == c]) for c in checkers)) for case in cases]
    lines.append(("all", *(_share([r for r in rows if r.checker == c]) for c in checkers)))
    parts = [table(["right gradients accused (+ no verdict)", *checkers], lines)]
    own = [r for r in rows if r.checker == "gradcheck"]
    accused, undecided = ([r for r in own if getattr(r, field)] for field in ("accused", "undecided"))
    said = f"Accused: {_where(accused, 'accused')}." if accused else f"None of {sum(r.points for r in own)} points."
    if undecided:
        said += f" No verdict: {_where(undecided, 'undecided')}."
    parts.append(claim("no right gradient is accused", not accused, said))
    if full:
        specs = dict.fromkeys(r.spec for r in rows)
        lines = [(s, *(_share([r for r in rows if r.spec == s and r.checker == c]) for c in checkers)) for s in specs]
        parts.append(table(["function, all cases", *checkers], lines))
    about = (
        "Right gradients of every function of the catalog in float64: the house forms for gradcheck (where accuracy lost counts as an "
        "alarm too) and the course rule (relative error below 1e-6 of a central difference with step 1e-5), the torch references for "
        "torch.autograd.gradcheck. A valid subgradient is a right gradient."
    )
    return "### False alarms\n\n" + about + "\n\n" + "\n\n".join(parts)


def _where(rows: Sequence[Alarms], what: str) -> str:
    return ", ".join(f"{r.spec} at {r.case} ({getattr(r, what)} of {r.points})" for r in rows)


def catalog(run: Run) -> str:
    header = ["gradcheck run", "subjects", "examples each", "processes", "seconds", "CPU seconds"]
    shown = table(header, [("catalog and exhibits", run.subjects, run.examples, run.jobs, f"{run.seconds:.0f}", f"{run.cpu_seconds:.0f}")])
    said = f"{run.seconds:.0f} s; {run.cpu_seconds:.0f} s of CPU, which two idle cores do in {run.cpu_seconds / run.jobs:.0f} s at best."
    verdict = claim(f"the whole catalog takes at most {LONGEST:.0f} s on two cores", run.seconds <= LONGEST, said)
    said = f"Not passed: {', '.join(run.not_passed)}." if run.not_passed else "Every subject passed."
    return f"### The whole catalog\n\n{shown}\n\n{verdict}\n\nExit status {run.status}. {said}"


def check_markers(path: Path) -> None:
    """Raise ``ValueError`` unless ``path`` has the two markers, once each, in order."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path}: write {BEGIN} and {END}, once each, where the tables are to go")


def write_between(path: Path, text: str) -> None:
    """Replace what stands between the markers of ``path``, all at once."""
    check_markers(path)
    old = path.read_text(encoding="utf-8")
    head, _, rest = old.partition(BEGIN)
    _, _, tail = rest.partition(END)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")
        os.chmod(name, path.stat().st_mode & 0o777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def growth(costs: Sequence[growth_.Cost]) -> str:
    """A table for each problem: milliseconds of one check and calls at every size, and the power of N."""
    parts = []
    for problem in dict.fromkeys(c.problem for c in costs):
        mine = [c for c in costs if c.problem == problem]
        sizes = sorted({c.size for c in mine})
        lines = []
        for engine in dict.fromkeys(c.engine for c in mine):
            chosen = [c for c in mine if c.engine == engine]
            at = {c.size: f"{c.seconds * 1e3:.3g} ({c.forwards} + {c.backwards})" for c in chosen}
            time, memory = growth_.exponent(chosen, lambda c: c.seconds), [c for c in chosen if c.peak]
            space = f"{growth_.exponent(memory, lambda c: float(c.peak or 1)):.1f}" if len(memory) > 1 else "-"
            lines.append((engine, *(at.get(n, "-") for n in sizes), "-" if math.isnan(time) else f"{time:.1f}", space))
        header = ["CPU ms (forwards + backwards)", *(f"N = {n:,}" for n in sizes), "time ~ N^", "memory ~ N^"]
        parts.append(f"**{problem[0].upper()}{problem[1:]}**\n\n{table(header, lines)}")
    about = (
        "One check of a right gradient, the least CPU time of some, one torch thread; the powers are those between the two largest sizes. "
        "Engines that call the function for every input stop at N = 1,000, others when they get slow."
    )
    return "### Cost against the number of inputs\n\n" + about + "\n\n" + "\n\n".join([*parts, *_growth_claims(costs)])


def _growth_claims(costs: Sequence[growth_.Cost]) -> Iterator[str]:
    known = {(c.problem, c.engine, c.size): c for c in costs}
    problems = list(dict.fromkeys(c.problem for c in costs))
    sizes = sorted({c.size for c in costs})

    def ratios(engine: str, other: str, upto: int) -> dict[tuple[str, int], float]:
        pairs = {(p, n): (known.get((p, engine, n)), known.get((p, other, n))) for p in problems for n in sizes if n <= upto}
        return {key: a.seconds / b.seconds for key, (a, b) in pairs.items() if a is not None and b is not None}

    ahead = ratios("gradcheck, exact", "torch, fast", 1000)
    if ahead:
        slower = [f"{p} at N = {n:,} ({r:.1f} times)" for (p, n), r in ahead.items() if r > 1]
        yield claim("in exact arithmetic ahead of fast mode up to N = 1,000", not slower, f"Slower: {'; '.join(slower)}." if slower else "")
        yield (
            "For scale: of an exact check of tanh at N = 1,000, the three tanh alone take arb "
            f"{growth_.floor(1000) * 1e3:.1f} ms with 64 bits, without arrays, differences or a backward."
        )
    large = ratios("gradcheck, floats", growth_.BASIS, max(sizes))
    if large:
        calls = [known[p, "gradcheck, floats", n] for p in problems for n in sizes if (p, "gradcheck, floats", n) in known]
        times = {f"{c.problem} at N = {c.size:,}": (c.forwards + c.backwards) / 3 for c in calls}
        over = [f"{where} ({t:.1f} times)" for where, t in times.items() if t > 2]
        said = f"More: {'; '.join(over)}." if over else f"Calls: {max(times.values()):.1f} times."
        yield claim("the float way costs at most twice its own 2 forwards + 1 backward in calls", not over, said)
        said = "; ".join(f"{p}: {', '.join(f'{large[p, n]:.1f}' for n in sizes if (p, n) in large)}" for p in problems)
        yield claim("and so in time", max(large.values()) <= 2, f"Times, from the smallest N to the largest: {said}.")


def detection(rows: Sequence[Share]) -> str:
    parts = []
    for size in dict.fromkeys(r.size for r in rows):
        mine = [r for r in rows if r.size == size]
        cases = list(dict.fromkeys(r.case for r in mine))
        lines = [
            (e, *(next((f"{r.accused / r.trials:.2g}" for r in mine if r.engine == e and r.case == c), "-") for c in cases))
            for e in dict.fromkeys(r.engine for r in mine)
        ]
        parts.append(table([f"share found, N = {size:,}", *cases], lines))
    missed = [f"{r.engine}: {r.case} at N = {r.size:,}" for r in rows if r.engine in OURS and r.accused < r.trials]
    parts.append(claim("every wrong gradient is found, at every N", not missed, f"Missed: {'; '.join(missed)}." if missed else ""))
    return "### Wrong gradients found (tanh, entry by entry)\n\n" + "\n\n".join(parts)


def accused(rows: Sequence[Share]) -> str:
    cases = list(dict.fromkeys(r.case for r in rows))

    def cell(engine: str, case: str) -> str:
        r = next(r for r in rows if r.engine == engine and r.case == case)
        return f"{r.accused / r.trials:.2g}" + (f" (+ {r.undecided / r.trials:.2g})" if r.undecided else "")

    lines = [(case, *(cell(e, case) for e in dict.fromkeys(r.engine for r in rows))) for case in cases]
    wrong = [f"{r.engine}: {r.case}" for r in rows if r.engine in OURS and r.accused]
    parts = [table(["share accused (+ no verdict)", *dict.fromkeys(r.engine for r in rows)], lines)]
    parts.append(claim("no right gradient is accused", not wrong, f"Accused: {'; '.join(wrong)}." if wrong else ""))
    return f"### Right gradients accused (N = {rows[0].size})\n\n" + "\n\n".join(parts)


def coverage(rows: Sequence[Coverage]) -> str:
    lines = [(r.case, r.slopes, r.slopes - r.bounded, r.bounded - r.held, f"{r.width:.0e}") for r in rows]
    bounded, held = sum(r.bounded for r in rows), sum(r.held for r in rows)
    shown = table(["slopes of the catalog", "slopes", "without a bound", "error beyond the bound", "median bound"], lines)
    share = held / bounded if bounded else 1.0
    return f"### Honesty of the float way\n\n{shown}\n\n" + claim(
        f"the error is below the bound in {COVERED:.1%} of cases", share >= COVERED, f"{share:.2%} of {bounded}."
    )
