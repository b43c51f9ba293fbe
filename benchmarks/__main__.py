"""``python -m benchmarks``: measure what gradcheck claims, and print it as Markdown."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import click

from benchmarks import alarms, catalog, cost, coverage, detection, growth, power, tables
from benchmarks import plots as pictures
from gradcheck.catalog import load
from gradcheck.function_spec import FunctionSpec

PARTS = ("cost", "power", "alarms", "catalog")
MORE = ("growth", "detection", "accused", "coverage")
QUICK_SPECS = ("tanh", "relu", "softmax", "affine")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Tiny sizes: four functions, few points. For trying it out; its numbers mean little.")
@click.option("--full", is_flag=True, help="Show every function as well as the summaries.")
@click.option("--only", multiple=True, type=click.Choice(PARTS + MORE), help="Only this part; repeatable.")
@click.option(
    "--engines", is_flag=True, help="Also other libraries' checkers, growth with N and detection (the extra gradcheck[benchmarks])."
)
@click.option(
    "--plots", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Also draw plots into FOLDER."
)
@click.option("--write", metavar="PATH", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help=f"Also replace what stands in PATH between {tables.BEGIN} and {tables.END}.")  # fmt: skip
def main(quick: bool, full: bool, only: tuple[str, ...], engines: bool, plots: Path | None, write: Path | None) -> None:
    """Measure cost, power, false alarms and the catalog's time in one run, and print tables."""
    if write is not None:
        try:
            tables.check_markers(write)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    known = load()
    specs = [known.specs[n] for n in QUICK_SPECS] if quick else [s for s in known.specs.values() if s.differentiable]
    blocks = [tables.machine(), *(["A quick run, too small for its numbers to mean much."] if quick else [])]
    for part in only or PARTS + (MORE if engines else ()):
        started = time.perf_counter()
        click.echo(f"{part} ...", err=True)
        blocks.append(MEASURED[part](specs, quick, full))
        click.echo(f"{part}: {time.perf_counter() - started:.0f} s", err=True)
    if plots is not None:
        blocks.append(_plots(plots, quick))
    text = "\n\n".join(blocks)
    click.echo(text)
    if write is not None:
        tables.write_between(write, text)


def _cost(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    rounds = 10 if quick else 300
    return tables.cost(cost.measure(rounds), rounds)


def _power(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    deltas = (1e-2, 1e-6, 1e-12) if quick else power.DELTAS
    return tables.power(power.measure(specs, 3 if quick else power.POINTS, deltas), full, deltas)


def _alarms(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.alarms(alarms.measure(specs, 1 if quick else 5), full)


def _catalog(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.catalog(catalog.measure(5, QUICK_SPECS[:2]) if quick else catalog.measure(100))


def _growth(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.growth(_costs(quick))


@cache
def _costs(quick: bool) -> tuple[growth.Cost, ...]:
    return tuple(growth.measure(sizes=(10, 100), repeats=1) if quick else growth.measure())


def _detection(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.detection(detection.detection(1, (20,)) if quick else detection.detection(5))


def _accused(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.accused(detection.alarms(1, 10) if quick else detection.alarms(20))


def _coverage(specs: list[FunctionSpec], quick: bool, full: bool) -> str:
    return tables.coverage(coverage.measure(specs, 1 if quick else 12))


def _plots(folder: Path, quick: bool) -> str:
    """The plots, drawn into ``folder``, and how Markdown beside them shows them."""
    drawn = [
        pictures.cost(_costs(quick), folder),
        pictures.detection(folder, 10 if quick else 100, 1 if quick else 10),
        pictures.steps(folder),
    ]
    return "### Plots\n\n" + "\n\n".join(f"![{path.stem}]({folder.name}/{path.name})" for path in drawn)


MEASURED: dict[str, Callable[[list[FunctionSpec], bool, bool], str]] = dict(
    zip(PARTS + MORE, (_cost, _power, _alarms, _catalog, _growth, _detection, _accused, _coverage), strict=True)
)


if __name__ == "__main__":
    main()
