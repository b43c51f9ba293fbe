"""Pictures of the three claims: cost against N, detection against the size of an error, error against the step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from flint import arb, ctx

from benchmarks.engines import Task, ask, installed
from benchmarks.growth import Cost
from benchmarks.problems import ELEMENTWISE, Slip
from gradcheck.exact.array import exact

DELTAS = tuple(10.0**-n for n in range(1, 16))
SHOWN = ("gradcheck, exact", "gradcheck, floats", "torch, fast", "torch, slow")


def cost(costs: Sequence[Cost], folder: Path) -> Path:
    """Seconds against N, a panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    problems = list(dict.fromkeys(c.problem for c in costs))
    figure, axes = pyplot.subplots(1, len(problems), figsize=(3 * len(problems), 4.5), sharey=True, layout="constrained")
    for panel, problem in zip(np.atleast_1d(axes), problems, strict=True):
        for engine in dict.fromkeys(c.engine for c in costs):
            chosen = [c for c in costs if c.problem == problem and c.engine == engine]
            ours = engine.startswith("gradcheck")
            panel.loglog([c.size for c in chosen], [c.seconds for c in chosen], marker="o", lw=2.5 if ours else 1, label=engine)
        panel.set(title=problem, xlabel="inputs")
    np.atleast_1d(axes)[0].set_ylabel("CPU seconds of one check")
    lines, names = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return _save(figure, folder / "cost.svg")


def detection(folder: Path, size: int = 100, trials: int = 10) -> Path:
    """The share of gradients off by a factor 1 + d that are found, against d."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(6, 4), layout="constrained")
    engines = installed()
    for name in SHOWN:
        found = []
        for delta in DELTAS:
            slip = Slip("", lambda xp, g, delta=delta: g * (1 + delta))
            tasks = [Task(ELEMENTWISE, slip, np.random.default_rng(i).standard_normal(size), i) for i in range(trials)]
            found.append(np.mean([ask(engines[name], t)[0] is False for t in tasks]))
        panel.semilogx(DELTAS, found, marker="o", label=name)
    panel.set(title=f"tanh of {size} inputs", xlabel="relative error in the gradient", ylabel="share found")
    panel.legend()
    return _save(figure, folder / "detection.svg")


def steps(folder: Path) -> Path:
    """The relative error of a central difference of tanh against its step, in float64 and in balls."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    x, powers = 0.5, range(2, 130, 2)
    with ctx.workprec(600):
        point = arb(x)
        true = 1 - point.tanh() ** 2
        floats, balls = [], []
        for p in powers:
            h = 2.0**-p
            slope = (np.tanh(x + h) - np.tanh(x - h)) / (2 * h)
            floats.append(float(abs(arb(float(slope)) / true - 1)) if p < 60 else 1.0)
            up, down = (np.tanh(exact(x + 0.0) + side * exact(h)) for side in (1, -1))
            ball = (up - down) / (2 * exact(h))
            balls.append(float((abs(ball.balls_[()] / true - 1)).mid()))
    figure, panel = pyplot.subplots(figsize=(6, 4), layout="constrained")
    panel.loglog([2.0**-p for p in powers], np.maximum(floats, 1e-80), label="float64")
    panel.loglog([2.0**-p for p in powers], np.maximum(balls, 1e-80), label="balls")
    panel.set(title="central difference of tanh at 0.5", xlabel="step", ylabel="relative error")
    panel.legend()
    return _save(figure, folder / "steps.svg")


def _save(figure: object, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})  # type: ignore[attr-defined]
    return path
