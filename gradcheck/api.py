"""``gradcheck.check``: one function, now, from Python."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np

from gradcheck.catalog import load
from gradcheck.diagnosis import Sightings
from gradcheck.errors import UsageError
from gradcheck.evidence import gather
from gradcheck.examine import Settings, Tally, conclude, examine, finding
from gradcheck.findings import Result
from gradcheck.points import Point
from gradcheck.rules import codes, match, shown_as
from gradcheck.rules.gradient import right_gradients
from gradcheck.state import generators_kept, kept
from gradcheck.subject import NumpyPair, Subject, TorchCallable, bind, label, reference
from gradcheck.ways.analytic import run

__tracebackhide__ = methodcaller("errisinstance", UsageError)
"""pytest shows the line that called wrongly, not ours."""

NEARBY = 3
"""Points near the given one at which a mismatch is looked at again, before its cause is named."""

_USAGE = "write check(forward, vjp, *primals), check(torch_function, *tensors) or check(spec=name, forward=..., vjp=...)"


def check(
    *args: Any,
    spec: str | None = None,
    forward: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    examples: int = 100,
    seed: int = 0,
    cotangent: Any = None,
    order: int = 1,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
) -> Result:
    """Is the gradient right, and is the arithmetic sound?

    ``check(forward, vjp, *primals)`` checks a hand-written pair at the given point:
    ``forward(*primals)`` gives an array or a tuple of arrays, ``vjp(cotangent, *primals)`` the
    gradient of every floating primal (a bare array for one, a tuple for several). Floating are
    arrays and NumPy scalars of a floating dtype; Python floats only if there is no array among the
    primals. All else is passed on as it is.

    ``check(function, *tensors)`` does the same for a torch callable, Function or Module, whose
    gradient is what autograd makes of it. Differentiable are the tensors that require a
    gradient, or all floating ones if none does.

    ``check(spec="softmax", forward=..., vjp=...)`` draws ``examples`` points from the spec and
    compares with its torch reference too; without ``vjp``, ``forward`` is a torch callable.

    ``order=2`` checks a second derivative, and reports it as G113: ``check(gradient, hvp, *primals, order=2)`` that
    ``hvp(v, *primals)`` is the product of v with the derivative of ``gradient(*primals)``; ``check(function, *tensors,
    order=2)`` that the backward of a torch callable can be differentiated again, by the tensors and by the cotangent.

    ``cotangent`` (an array, or a tuple of them for several outputs) replaces the random one;
    ``select`` and ``ignore`` are codes or prefixes of codes, such as "G" or ("G", "N101"); where
    no N counts, the mathematics alone is looked at.
    Raises ``UsageError`` for arguments that fit none of these.
    """
    for name, value, smallest in (("examples", examples, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < smallest:
            raise UsageError(f"check(): {name}={value!r}; give a whole number, at least {smallest}")
    if order not in (1, 2) or (order == 2 and spec is not None):
        raise UsageError(f"check(): order={order!r}; give 1 or 2, and 2 only without spec= (a page with an hvp has a spec of its own)")
    settings = Settings(examples, seed, _codes("check(): select", select), _codes("check(): ignore", ignore))
    if spec is not None:
        if args or forward is None:
            raise UsageError(f"check(spec={spec!r}) needs forward=, and takes no other positional arguments; {_USAGE}")
        known = load().find(spec)
        return examine(bind(known, forward, vjp), known, reference(known), settings, kind="submission", laws=known.laws)
    given = [forward, vjp, *args] if forward is not None else list(args)
    if not given or not callable(given[0]):
        raise UsageError(f"check() was given nothing to call; {_USAGE}")
    rest = given[1:]
    if any(_is_tensor(v) for v in rest):
        if not _is_tensor(rest[0]) and callable(rest[0]):
            raise UsageError("check(forward, vjp, *primals) takes arrays, not tensors; give tensor.numpy(), or a torch function alone")
        subject, point = (_torch if order == 1 else _torch_twice)(given[0], rest, seed)
    elif rest and callable(rest[0]):
        subject, point = _pair(given[0], rest[0], rest[1:], seed, order)
    else:
        raise UsageError(f"check() was given a function but neither a vjp nor tensors; {_USAGE}")
    if cotangent is not None:
        point = replace(point, given=_cotangents(subject, point, cotangent))
    return _at(subject, point, settings)


def _codes(where: str, words: str | Sequence[str]) -> tuple[str, ...]:
    return codes([words] if isinstance(words, str) else words, where)


@generators_kept()
def _cotangents(subject: Subject, point: Point, cotangent: Any) -> tuple[np.ndarray, ...]:
    parts = cotangent if isinstance(cotangent, tuple) else (cotangent,)
    try:
        given = tuple(np.asarray(c.detach() if _is_tensor(c) else c, dtype=np.float64) for c in parts)
    except (TypeError, ValueError) as error:
        raise UsageError(f"check(): cotangent={cotangent!r} is no array of numbers: {error}") from error
    with kept(subject.functions):
        shapes, wanted = [c.shape for c in given], [o.shape for o in run(subject, point).outputs]
    if wanted and shapes != wanted:
        raise UsageError(f"check(): the cotangent has {_shapes(shapes)}, the output {_shapes(wanted)}; give one array for every output")
    return given


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return f"the shape {shapes[0]}" if len(shapes) == 1 else f"the shapes {', '.join(map(str, shapes))}"


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "requires_grad")


def _names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of the first ``count`` parameters, or numbers where they have none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(named[:count]) if len(named) >= count else tuple(f"primal {i}" for i in range(count))


def _pair(forward: Callable[..., Any], vjp: Callable[..., Any], primals: Sequence[Any], seed: int, order: int) -> tuple[Subject, Point]:
    if not primals:
        raise UsageError(f"check(forward, vjp) needs primals, the point to check at; {_USAGE}")
    bare = not any(isinstance(p, (np.ndarray, np.generic)) for p in primals)
    values = [np.asarray(p) if isinstance(p, (np.ndarray, np.floating)) or (bare and isinstance(p, float)) else p for p in primals]
    floating = [isinstance(v, np.ndarray) and v.dtype.kind == "f" for v in values]
    names = _names(forward, len(values))
    if not any(floating):
        given = "; ".join(f"{n} is {_other(n, v)}" for n, v in zip(names, values, strict=True))
        raise UsageError(f"check(): none of the primals is a real floating array, there is nothing to differentiate: {given}")
    dtype = np.result_type(*(v.dtype for v, f in zip(values, floating, strict=True) if f))
    if dtype not in (np.float16, np.float32, np.float64):
        raise UsageError(f"check(): primals of dtype {dtype}; float16, float32 and float64 can be checked")
    point = Point(
        {n: v.astype(dtype) if f else v for n, v, f in zip(names, values, floating, strict=True)}, dtype.name, seed, origin="given"
    )
    differentiable = tuple(n for n, f in zip(names, floating, strict=True) if f)
    return NumpyPair(label(forward, "forward"), forward, vjp, names, differentiable, order=order), point


def _other(name: str, value: Any) -> str:
    """What ``value``, which is not floating, is, and what to give in its place."""
    kind = f"of dtype {value.dtype}" if isinstance(value, (np.ndarray, np.generic)) else f"a {type(value).__name__}"
    can_float = isinstance(value, (list, tuple)) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biu")
    return f"{kind}, give np.asarray({name if name.isidentifier() else 'it'}, dtype=float)" if can_float else kind


def _torch(given: Any, values: Sequence[Any], seed: int) -> tuple[TorchCallable, Point]:
    import torch

    owner = getattr(given, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, torch.autograd.Function) and given.__name__ == "apply":
        given = owner
    if isinstance(given, type) and issubclass(given, torch.autograd.Function):
        function, parameters = given.apply, partial(given.forward, None)  # type: ignore[attr-defined]
    else:
        function, parameters = given, given.forward if isinstance(given, torch.nn.Module) else given
    names = _names(parameters, len(values))
    wanted = [_is_tensor(v) and v.requires_grad for v in values]
    if not any(wanted):
        wanted = [_is_tensor(v) and v.is_floating_point() for v in values]
    if not any(wanted):
        raise UsageError("check(): none of the tensors is floating; there is nothing to differentiate")
    arrays: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if _is_tensor(value) and (value.device.type != "cpu" or value.layout != torch.strided or value.dtype not in _torch_dtypes()):
            what = value.dtype if value.layout == torch.strided else f"{value.dtype}, {value.layout},"
            raise UsageError(f"check(): {name} is {what} on {value.device}; give it dense, in float16, float32 or float64, on the CPU")
        arrays[name] = value.numpy(force=True).copy() if _is_tensor(value) else value
    dtype = np.result_type(*(arrays[n].dtype for n, w in zip(names, wanted, strict=True) if w))
    differentiable = tuple(n for n, w in zip(names, wanted, strict=True) if w)
    subject = TorchCallable(label(given, type(given).__name__), function, names, differentiable)
    return subject, Point(arrays, dtype.name, seed, origin="given")


@generators_kept()
def _torch_twice(given: Any, values: Sequence[Any], seed: int) -> tuple[Subject, Point]:
    """The gradient of a torch callable as a torch callable, its cotangents being arguments too."""
    from gradcheck.second_order import torch_vjp

    subject, point = _torch(given, values, seed)
    with kept(subject.functions):
        outputs = run(subject, point).outputs
    names = tuple(f"cotangent {j}" if len(outputs) > 1 else "cotangent" for j in range(len(outputs)))
    rng = np.random.default_rng((point.seed, 5))
    cotangents = {n: rng.standard_normal(o.shape).astype(point.dtype) for n, o in zip(names, outputs, strict=True)}
    wanted = [k for k, name in enumerate(subject.arguments) if name in subject.differentiable]
    function = torch_vjp(subject.function, wanted, len(subject.arguments))
    twice = TorchCallable(f"{subject.name}, its gradient", function, subject.arguments + names, subject.differentiable + names, order=2)
    return twice, replace(point, primals={**point.primals, **cotangents})


def _torch_dtypes() -> tuple[Any, ...]:
    import torch

    real = (torch.float16, torch.float32, torch.float64)
    return (*real, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def _nearby(point: Point, differentiable: Sequence[str]) -> list[Point]:
    """Points of the same shapes, every differentiable primal moved by about a tenth."""
    found = []
    for k in range(1, NEARBY + 1):
        rng = np.random.default_rng((point.seed, 4, k))
        moved = {
            n: (v * (1 + 0.1 * rng.standard_normal(np.shape(v)))).astype(v.dtype) if n in differentiable else v
            for n, v in point.primals.items()
        }
        found.append(replace(point, primals=moved, seed=point.seed + k, given=None))
    return found


@generators_kept()
def _at(subject: Subject, point: Point, settings: Settings) -> Result:
    started = time.perf_counter()
    tally, sightings = Tally(), Sightings()
    evidence = gather(subject, point, parts=settings.parts - {"classical"} | {"excuses"})
    tally.add(evidence)
    matches = match(evidence)
    sightings.add(point, matches, right_gradients(evidence))
    rivals = {m.group for m in matches if m.group}
    if rivals:
        for other in _nearby(point, subject.differentiable):
            nearby = gather(subject, other, parts=frozenset({"gradients"}))
            sightings.add(other, [m for m in match(nearby) if m.group in rivals], right_gradients(nearby))
    here = {m.key: m for m in matches}
    concluded = [(m, cause) for _, m, cause in sightings.conclusions() if settings.counts(shown_as(m.code, subject.order))]
    found = [finding(subject, point, here.get(m.key, m), cause, replayable=False) for m, cause in concluded]
    return conclude(subject, tally, found, kind="submission", spec=None, seconds=time.perf_counter() - started)
