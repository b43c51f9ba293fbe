"""Hessian-vector products: of a scalar function, the gradient is the forward and the product its vjp.

The page of a scalar function may have one beside it::

    @hvp(rosenbrock)
    def rosenbrock_hvp(v, x): ...

That declares a second spec, ``rosenbrock_hvp``, checked as every other: numerically (the central difference of the
hand-written gradient), analytically (the product), and by autograd (torch, differentiated twice).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.domains import Real
from gradcheck.errors import SpecError
from gradcheck.function_spec import FunctionSpec, define, where
from gradcheck.relations import equal
from gradcheck.subject import tensors_of


def hvp(spec: FunctionSpec) -> Callable[[Callable[..., Any]], FunctionSpec]:
    """Declare the spec of the product of the Hessian of ``spec``, a scalar function, with a vector; decorates ``body(v, *primals)``.

    Like a vjp, ``body`` gets the output too, which here is the gradient, if it names a parameter for it. v and the product
    are like the gradient: a bare array for one differentiable argument, a tuple for several.
    Its law: the Hessian is symmetric. Raises ``SpecError`` if ``spec`` has no vjp yet.
    """
    return functools.partial(_declare, spec)


def _declare(spec: FunctionSpec, body: Callable[..., Any]) -> FunctionSpec:
    if spec.backward is None:
        raise SpecError(f"{where(body)}: {spec.name!r} has no vjp; its hvp comes after it")
    made = FunctionSpec(
        f"{spec.name}_hvp",
        spec.family,
        dict(spec.arguments),
        gradient_of(spec.forward, spec.backward, _doc(spec, body)),
        torch_vjp(spec.torch, [k for k, name in enumerate(spec.arguments) if name in spec.differentiable], len(spec.arguments)),
        spec.dtypes,
        backward=body,
        order=2,
    )
    made.law("the Hessian is symmetric")(_symmetric(made, body))
    return define(made, body)


def _doc(spec: FunctionSpec, body: Callable[..., Any]) -> str:
    own = inspect.getdoc(body)
    made = f"The product of the Hessian of {spec.name} with a vector.\n\nThe forward is the gradient, the vjp the product: see {spec.name}."
    return own or made


def gradient_of(forward: Callable[..., Any], backward: Callable[..., Any], doc: str) -> Callable[..., Any]:
    """The gradient of a scalar ``forward``, by its vjp."""

    @functools.wraps(backward)
    def gradient(*primals: Any) -> Any:
        y = forward(*primals)
        if np.shape(y) != ():
            raise SpecError(f"{where(forward)}: only a scalar function has a Hessian; this one returned the shape {np.shape(y)}")
        return backward(1.0, *primals, y)

    gradient.__doc__ = doc
    return gradient


def torch_vjp(function: Callable[..., Any], wanted: Sequence[int], count: int) -> Callable[..., Any]:
    """The vjp of a torch ``function`` of ``count`` arguments by those at the places ``wanted``, to be differentiated again.

    It takes the arguments, then a cotangent for every output; without any, the function must be scalar.
    """

    @functools.wraps(function, updated=())
    def vjp(*tensors: Any) -> Any:
        import torch

        primals, cotangents = list(tensors[:count]), list(tensors[count:]) or None
        for k in wanted:
            if not primals[k].requires_grad:
                primals[k] = primals[k].detach().requires_grad_()
        with torch.enable_grad():
            outputs = function(*primals)
            outputs = [outputs] if cotangents is None else tensors_of(outputs)
            found = torch.autograd.grad(
                outputs, [primals[k] for k in wanted], cotangents, create_graph=True, allow_unused=True, materialize_grads=True
            )
        return found[0] if len(found) == 1 else found

    return vjp


def _symmetric(made: FunctionSpec, body: Callable[..., Any]) -> Callable[..., Any]:
    """u . H v = v . H u for a second vector along every differentiable argument; every argument is taken by name."""
    names, wanted = list(made.arguments), list(made.differentiable)
    vectors = {f"{which}_{name}": Real(*made.arguments[name].dims, upto=8) for which in ("u", "v") for name in wanted}

    @functools.wraps(body)
    def law(f: Any, **given: Any) -> Any:
        primals = [given[name] for name in names]
        u, v = ([given[f"{which}_{name}"] for name in wanted] for which in ("u", "v"))
        return equal(_dot(u, _product(f, v, primals)), _dot(v, _product(f, u, primals)))

    parameters = [inspect.Parameter("f", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    parameters += [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=domain) for name, domain in vectors.items()]
    law.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return law


def _product(f: Any, v: list[Any], primals: list[Any]) -> list[Any]:
    found = f.vjp(v[0] if len(v) == 1 else tuple(v), *primals)
    return list(found) if isinstance(found, tuple) else [found]


def _dot(a: list[Any], b: list[Any]) -> Any:
    return sum(np.sum(p * q) for p, q in zip(a, b, strict=True))
