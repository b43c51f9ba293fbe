"""A check leaves the objects behind the code under test as they were."""

from __future__ import annotations

import random
import time
from collections import OrderedDict, UserDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck import state
from gradcheck.state import behind, forward_failed, forward_starts, in_float64, kept, narrower, same_draws


class Inner:
    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}


class Layer:
    """Caches, counts, averages, and keeps parts that do."""

    def __init__(self) -> None:
        self.w, self.calls, self.mean = np.ones(3), 0, np.zeros(3)
        self.log: list[Any] = []
        self.parts = [Inner()]

    def forward(self, x: Any) -> Any:
        self.x, self.calls = x, self.calls + 1
        self.mean = 0.9 * self.mean + 0.1 * x
        self.log.append(x)
        self.parts[0].seen["x"] = x
        return x * self.w

    def backward(self, dy: Any, x: Any) -> Any:
        return dy * self.w

    def __call__(self, x: Any) -> Any:
        return self.forward(x)


@pytest.mark.parametrize("method", ["forward", "__call__", "itself"])
def test_a_layer_is_as_before(method: str) -> None:
    layer = Layer()
    forward = layer if method == "itself" else getattr(layer, method)
    w, mean, log, part = layer.w, layer.mean, layer.log, layer.parts[0]
    assert gradcheck.check(forward, layer.backward, np.arange(3.0)).passed
    assert set(vars(layer)) == {"w", "calls", "mean", "log", "parts"}
    assert layer.calls == 0
    assert (layer.w is w, layer.mean is mean, layer.log is log, layer.parts[0] is part) == (True, True, True, True)
    assert (log, part.seen) == ([], {})


def test_a_layer_that_is_found_wrong_is_as_before_too() -> None:
    layer = Layer()
    result = gradcheck.check(layer.forward, lambda dy, x: dy * 2, np.arange(3.0), cotangent=np.ones(3))
    assert [f.code for f in result.findings] == ["G102"]
    assert set(vars(layer)) == {"w", "calls", "mean", "log", "parts"}


def test_what_was_cached_before_is_there_again() -> None:
    layer = Layer()
    layer.forward(np.full(3, 7.0))
    gradcheck.check(layer.forward, layer.backward, np.arange(3.0))
    assert layer.x.tolist() == [7.0] * 3
    assert layer.calls == len(layer.log) == 1


def test_arrays_and_tensors_that_are_written_into() -> None:
    class Buffers:
        def __init__(self) -> None:
            self.array, self.tensor, self.fixed = np.zeros(2), torch.zeros(2), np.zeros(2)
            self.fixed.flags.writeable = False

        def run(self) -> None:
            self.array += 1
            self.tensor += 1

    held = Buffers()
    with kept((held.run,)):
        held.run()
        assert (held.array[0], held.tensor[0]) == (1, 1)
    assert (held.array.tolist(), held.tensor.tolist()) == ([0, 0], [0, 0])


def test_also_after_an_error_and_in_a_circle() -> None:
    layer = Layer()
    layer.me = layer  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="broadcast"), kept((layer.forward,)):
        layer.forward(np.ones(4))
    assert layer.calls == 0


def test_a_torch_module_keeps_its_statistics() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(3, dtype=torch.float64))
    result = gradcheck.check(module, torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3))
    assert (result.verdict.value, result.measurements["way"]) == ("pass", "exact")
    assert module[0].running_mean.tolist() == [0, 0, 0]
    assert module[0].num_batches_tracked == 0


def test_data_sets_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_ENTRIES", 2)
    layer = Layer()
    with kept((layer.forward,)):
        layer.w[0] = 5
    assert layer.w[0] == 5


def test_plain_functions_have_no_state() -> None:
    with kept((np.sin, lambda x: x, Layer)):
        pass


COUNT, CACHE = 0, {}
LAYER = Layer()


def counts(x: Any) -> Any:
    global COUNT
    COUNT += 1
    CACHE["x"] = x
    return LAYER.forward(x)


def test_globals_that_the_function_names() -> None:
    with kept((counts,)):
        counts(np.ones(3))
        assert (COUNT, LAYER.calls, list(CACHE)) == (1, 1, ["x"])
    assert (COUNT, LAYER.calls, CACHE, LAYER.log) == (0, 0, {}, [])


def test_a_global_that_the_function_makes_is_gone() -> None:
    def makes() -> None:
        global MADE
        MADE = 1

    with kept((makes,)):
        makes()
        assert "MADE" in globals()
    assert "MADE" not in globals()


def test_a_layer_behind_a_lambda() -> None:
    layer = Layer()
    result = gradcheck.check(lambda x: layer.forward(x), lambda dy, x: layer.backward(dy, x), np.arange(3.0))
    assert result.passed
    assert (layer.calls, layer.log, layer.parts[0].seen, layer.mean.tolist()) == (0, [], {}, [0, 0, 0])


def named(layer: Any, x: Any, *, other: Any = None) -> Any:
    return (other or layer).forward(x)


def defaults(layer: Layer) -> Callable[..., Any]:
    def run(x: Any, own: Any = layer) -> Any:
        return own.forward(x)

    return run


def keywords(layer: Layer) -> Callable[..., Any]:
    def run(x: Any, *, own: Any = layer) -> Any:
        return own.forward(x)

    return run


def attribute(layer: Layer) -> Callable[..., Any]:
    def run(x: Any) -> Any:
        return run.layer.forward(x)  # type: ignore[attr-defined]

    run.layer = layer  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    "make",
    [
        lambda layer: partial(named, layer),
        lambda layer: partial(named, None, other=layer),
        lambda layer: partial(layer.forward),
        lambda layer: lambda x: (lambda z: layer(z))(x),
        defaults,
        keywords,
        attribute,
        lambda layer: np.vectorize(lambda x: layer.forward(x)),
        lambda layer: lru_cache(lambda x: layer.forward(x)),
    ],
)
def test_every_way_to_a_layer(make: Callable[[Layer], Callable[..., Any]]) -> None:
    layer = Layer()
    with kept((make(layer),)):
        layer.forward(np.ones(3))
    assert (layer.calls, layer.log) == (0, [])


def test_names_that_are_bound_anew() -> None:
    total = 0
    empty: Any

    def run(x: Any) -> Any:
        nonlocal total, empty
        total, run.calls, empty = total + 1, total, 3  # type: ignore[attr-defined]
        return x

    def late() -> Any:
        return empty

    with kept((run,)):
        run(1)
        assert (total, late()) == (1, 3)
    assert total == 0
    assert not vars(run)


class Slots:
    __slots__ = ("made", "seen")

    def __init__(self) -> None:
        self.seen: list[int] = []


@dataclass(slots=True)
class Slotted:
    seen: list[int] = field(default_factory=list)
    made: int = 0


class Both(Slots):
    shared: ClassVar[list[int]] = []
    calls = 0

    def run(self) -> None:
        Both.calls += 1
        Both.fresh = 1  # type: ignore[attr-defined]
        self.other = 1


@pytest.mark.parametrize("kind", [Slots, Slotted, Both])
def test_objects_with_slots(kind: Any) -> None:
    held = kind()
    before = getattr(held, "made", None)
    with kept((lambda: held,)):
        held.seen.append(1)
        held.seen, held.made = [], 2
    assert (held.seen, getattr(held, "made", None)) == ([], before)


def test_attributes_of_a_class() -> None:
    held = Both()
    with kept((held.run,)):
        held.run()
        Both.shared.append(1)
    assert (Both.shared, Both.calls, hasattr(Both, "fresh"), vars(held)) == ([], 0, False, {})


class Refuses(dict):  # type: ignore[type-arg]
    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("no")

    __setitem__ = clear = update = copy = items = values = __iter__ = _refuse


class RefusesToo(list):  # type: ignore[type-arg]
    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("no")

    __setitem__ = copy = __iter__ = clear = _refuse


def test_containers() -> None:
    held = (deque([1, 2], maxlen=2), SimpleNamespace(a=1), UserDict(a=1), OrderedDict(a=1, b=2), {1, 2}, [1, [2]], {"a": {"b": 1}})
    with kept((lambda: held,)):
        held[0].append(3)
        held[1].a = held[1].b = 2
        held[2]["b"] = 2
        held[3].move_to_end("a")
        held[4].add(3)
        held[5][1].append(3)
        held[6]["a"].clear()
    assert held == (deque([1, 2]), SimpleNamespace(a=1), {"a": 1}, OrderedDict(a=1, b=2), {1, 2}, [1, [2]], {"a": {"b": 1}})


def test_what_refuses_is_put_back_or_left() -> None:
    table, listed = Refuses(), RefusesToo([1])
    dict.__setitem__(table, "a", [1])

    class Odd:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise ValueError("no")

    odd = Odd()
    with kept((lambda: (table, listed, odd),)):
        dict.__setitem__(table, "b", 2)
        dict.__getitem__(table, "a").append(2)
        listed.append(2)
    assert (dict(dict.items(table)), list.__len__(listed)) == ({"a": [1]}, 1)


def test_arrays_and_tensors_that_are_no_longer_what_they_were() -> None:
    fixed, longer, tensor, wide = np.zeros(2), np.zeros(2), torch.zeros(2), torch.zeros(2)
    with kept((lambda: (fixed, longer, tensor, wide),)):
        fixed[0] = 1
        fixed.flags.writeable = False
        longer.resize(3, refcheck=False)
        tensor.resize_(3)
        wide.data = wide.double() + 1
    assert (fixed.tolist(), longer.tolist(), tensor.tolist(), wide.tolist()) == ([0, 0],) * 4
    assert wide.dtype == torch.float32


def test_a_check_of_a_layer_that_makes_its_buffer_read_only() -> None:
    class Fixes(Layer):
        def forward(self, x: Any) -> Any:
            self.w.flags.writeable = False
            return x * self.w

    layer = Fixes()
    assert gradcheck.check(layer.forward, layer.backward, np.arange(3.0)).passed
    assert layer.w.flags.writeable


@pytest.mark.parametrize(
    ("made", "draw"),
    [
        (np.random.default_rng(0), lambda r: r.random()),
        (np.random.RandomState(0), lambda r: r.random_sample()),
        (random.Random(0), lambda r: r.random()),
        (torch.Generator(), lambda r: torch.rand(1, generator=r).item()),
    ],
)
def test_where_random_numbers_come_from(made: Any, draw: Callable[[Any], float]) -> None:
    layer = SimpleNamespace(rng=made)
    with kept((lambda: layer,)):
        first = draw(made)
    assert draw(made) == first


def test_a_torch_module_behind_a_lambda_keeps_its_statistics() -> None:
    module = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    for function in (lambda x: module(x), partial(lambda m, x: m(x), module)):
        result = gradcheck.check(function, torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3))
        assert (result.verdict.value, result.measurements["way"]) == ("pass", "exact")
        assert (module.running_mean.tolist(), int(module.num_batches_tracked)) == ([0, 0, 0], 0)


def test_libraries_are_not_walked_into() -> None:
    found = behind((lambda x: np.sum(torch.relu(x)), np.sum, torch.nn.functional.relu, torch.nn.Linear, np, gradcheck.check))
    assert all(
        getattr(v, "__module__", __name__) in (__name__, "numpy", "gradcheck.api", "torch.nn.functional") or v is torch.nn.Linear
        for v in found
    )
    assert len(found) <= 5


def test_long_lists_are_kept_but_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_WALKED", 1)
    inner: list[int] = []
    held = [inner, inner]
    with kept((lambda: held,)):
        held.append(inner)
        inner.append(1)
    assert (len(held), inner) == (2, [1])


def test_plain_functions_are_kept_in_no_time() -> None:
    def once() -> float:
        started = time.perf_counter()
        for _ in range(100):
            with kept((plain, plain_vjp)):
                pass
        return (time.perf_counter() - started) / 100

    assert min(once() for _ in range(20)) < 100e-6


def plain(x: Any) -> Any:
    return np.maximum(x, 0)


def plain_vjp(dy: Any, x: Any) -> Any:
    return np.where(x > 0, dy, 0)


def test_the_global_generators_are_as_before() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    gradcheck.check(torch.nn.Dropout(0.5), torch.ones(4, dtype=torch.float64))
    gradcheck.check(lambda x: x * np.random.rand(3) * random.random(), lambda dy, x: dy, np.ones(3))
    gradcheck.check(lambda x: x * np.random.rand(3) * random.random(), lambda dy, x: dy, np.ones(3), cotangent=np.ones(3))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_the_generators_of_a_layer_are_as_before() -> None:
    layer = SimpleNamespace(own=np.random.default_rng(1), old=np.random.RandomState(1), python=random.Random(1), torchs=torch.Generator())
    states = lambda: (layer.own.bit_generator.state, layer.python.getstate(), layer.torchs.get_state().tolist(), layer.old.get_state()[2])  # noqa: E731
    before = states()

    def forward(x: Any) -> Any:
        torch.rand(1, generator=layer.torchs)
        return x * layer.own.random() * layer.old.rand() * layer.python.random()

    assert [f.code for f in gradcheck.check(forward, lambda dy, x: dy, np.ones(3)).findings] == ["G102", "S105"]
    assert states() == before


def forwards(draw: Callable[[], Any], values: list[Any], count: int = 3) -> tuple[list[Any], bool]:
    with same_draws(values) as generators:
        drawn = []
        for _ in range(count):
            forward_starts()
            drawn.append(draw())
    return drawn, generators.drew


def test_every_forward_draws_what_the_first_drew() -> None:
    rng = np.random.default_rng(0)
    for draw in (rng.random, random.random, np.random.rand, lambda: torch.rand(1).item(), lambda: random.gauss(0, 1)):
        (first, *others), drew = forwards(draw, [rng])
        assert (others, drew) == ([first] * 2, True)


def test_what_cannot_be_rewound_draws_on() -> None:
    rng, system = np.random.default_rng(0), random.SystemRandom()
    assert len(set(forwards(rng.random, [])[0])) == 3
    drawn, drew = forwards(system.random, [system])
    assert (len(set(drawn)), drew) == (3, False)


def test_nothing_is_rewound_where_the_first_forward_draws_nothing() -> None:
    late = iter([0, 1, 1, 1])
    drawn, drew = forwards(lambda: random.random() if next(late) else 0, [], 4)
    assert (len(set(drawn)), drew) == (4, False)


def test_outside_forwards_draw_on() -> None:
    forward_starts()
    first = random.random()
    forward_starts()
    assert random.random() != first


def test_another_generator_behind_np_random() -> None:
    before = np.random.mtrand.get_bit_generator()
    try:
        np.random.mtrand.set_bit_generator(np.random.PCG64(1))
        (first, *others), drew = forwards(np.random.rand, [])
    finally:
        np.random.mtrand.set_bit_generator(before)
    assert (others, drew) == ([first] * 2, True)


def test_a_forward_that_draws_more_has_drawn_others() -> None:
    for counts, elsewhere in (([1, 1], False), ([1, 2], True), ([0, 0], False)):
        with same_draws([]) as generators:
            for count in counts:
                forward_starts()
                [random.random() for _ in range(count)]
            assert generators.elsewhere() is elsewhere


def test_narrower_tensors_hold_float64_for_the_duration() -> None:
    module, free, wide = torch.nn.BatchNorm1d(2), torch.ones(2), torch.ones(2, dtype=torch.float64)
    whole = torch.ones(2, dtype=torch.int64)
    found = narrower(lambda x: (module(x), free, wide, whole))
    assert {id(t) for t in found} == {id(t) for t in (module.weight, module.bias, module.running_mean, module.running_var, free)}
    places = [t.data_ptr() for t in found]
    with in_float64(found):
        assert all(t.dtype == torch.float64 for t in found)
        free += 1
    assert all(t.dtype == torch.float32 for t in found)
    assert [t.data_ptr() for t in found] == places
    assert free.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="size"), in_float64([free]):
        free + torch.ones(3)
    assert free.dtype == torch.float32


def test_a_first_forward_that_failed_is_not_the_first() -> None:
    with same_draws([]) as generators:
        forward_starts()
        given_up = random.random()
        forward_failed()
        drawn = []
        for _ in range(3):
            forward_starts()
            drawn.append([random.random(), random.random()])
        assert not generators.elsewhere()
        forward_failed()
        assert generators.drew
    assert drawn == [drawn[0]] * 3
    assert drawn[0][0] == given_up
    forward_failed()
