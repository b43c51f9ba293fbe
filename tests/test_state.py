"""A check leaves the objects behind the code under test as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck import state
from gradcheck.state import kept


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
