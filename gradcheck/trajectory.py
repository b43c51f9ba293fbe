"""Optimizers as specs: an update rule is checked as the trajectory that it makes of a sequence of gradients.

A page reads like that of a function; the update takes the place of the forward, and there is no vjp::

    @optimizer("momentum", torch=lambda p, lr, mu: torch.optim.SGD(p, lr, momentum=mu), lr=Option(0.1), mu=Option(0.9))
    def momentum(w, g, state, lr, mu):
        v = g if state is None else mu * state + g
        return w - lr * v, v

The update takes the weights, their gradient, the state that it returned for the last one (None at first) and the options;
it returns the new weights and the new state.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.domains import Domain, Gradients, Option, Real
from gradcheck.errors import SpecError
from gradcheck.function_spec import FunctionSpec, define, where

Update = Callable[..., tuple[Any, Any]]


def along(update: Update) -> Callable[..., Any]:
    """From weights, gradients (one for every step, along the first axis) and options to the weights after every step."""

    @functools.wraps(update)
    def trajectory(weights: Any, gradients: Any, *options: Any) -> Any:
        path, weights, state = [], np.copy(weights), None  # a rule may work in place
        for gradient in gradients:
            weights, state = update(weights, gradient, state, *options)
            path.append(np.copy(weights))
        return np.stack(path)

    return trajectory


def with_torch(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a torch optimizer, ``make(parameters, *options)``."""

    def trajectory(weights: Any, gradients: Any, *options: Any) -> Any:
        import torch

        parameter = torch.nn.Parameter(weights.detach().clone())
        rule, path = make([parameter], *options), []
        for gradient in gradients:
            parameter.grad = gradient.detach().clone()
            rule.step()
            path.append(parameter.detach().clone())
        return torch.stack(path)

    return trajectory


@dataclass
class OptimizerSpec(FunctionSpec):
    """An update rule; its ``forward`` is the trajectory. What is bound to it is an update rule too."""

    def adapt(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        return along(forward)


def optimizer(
    name: str, *, torch: Callable[..., Any], dtypes: Sequence[str] = ("float64", "float32", "float16"), **options: Option
) -> Callable[[Update], OptimizerSpec]:
    """Declare the optimizer ``name``; decorates its update. ``torch`` makes torch's from a list of parameters and the options."""

    def build(update: Update) -> OptimizerSpec:
        parameters = list(inspect.signature(update).parameters)
        if len(parameters) < 3 or parameters[3:] != list(options):
            raise SpecError(
                f"{where(update)}: optimizer {name!r} declares the options {list(options)}, but its update takes {parameters}; "
                "it must take the weights, their gradient, the state, and the options"
            )
        arguments: dict[str, Domain] = {"weights": Real("*s", differentiable=False), "gradients": Gradients("steps", "*s"), **options}
        return define(OptimizerSpec(name, "optimizer", arguments, along(update), with_torch(torch), tuple(dtypes), stored=True), update)

    return build
