"""Objects behind the code under test get their state back: a check leaves no exact value in a layer.

A forward may keep what its backward needs, count its calls or average over them, in the object whose
method it is, in what it closes over or in a global that it names. Each point starts from the state
that was found, and ends with it. What cannot be put back is left as it is: a check never raises for it.

A forward may draw random numbers too. Then every later one at the point starts from the states of the
generators from which the first one did: all see the same mask, and are one function.
"""

from __future__ import annotations

import ctypes
import dis
import random
import sys
import sysconfig
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import _lru_cache_wrapper, cached_property, lru_cache, partial
from types import CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from gradcheck.exact.standin import ours_or_foreign

MOST_ENTRIES = 2**20
"""Arrays with more entries are data sets, and not copied."""

MOST_WALKED = 2**12
"""Longer lists and tables hold data, not objects with a state."""

Restorer = Callable[[], None]


class _Aspect(NamedTuple):
    """What a kind of value holds that may have a state of its own, and what gives it the state that it has now."""

    parts: Callable[[Any], Iterable[Any]]
    restorer: Callable[[Any], Restorer | None]


class _Facts(NamedTuple):
    names: tuple[str, ...]
    attributes: frozenset[str]
    rebound: frozenset[str]


_MISSING = object()
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


@lru_cache(maxsize=4096)
def _is_foreign(module: str) -> bool:
    return ours_or_foreign(module)


@lru_cache(maxsize=4096)
def _is_walked(module: str) -> bool:
    """Whether the globals and classes of ``module`` are somebody's own, and no installed library's."""
    path = getattr(sys.modules.get(module), "__file__", None) or ""
    return module == "__main__" or not (_is_foreign(module) or path.startswith(_INSTALLED))


def _nothing(value: Any) -> tuple[Any, ...]:
    return ()


def _no_state(value: Any) -> None:
    return None


# Functions: what they close over, what they name, and attributes of their own.


@lru_cache(maxsize=4096)
def _facts(code: CodeType) -> _Facts:
    """The globals that ``code`` and the functions within name, the attributes too, and which of them they bind anew."""
    names: dict[str, None] = {}
    attributes, rebound = set(), set()
    for instruction in dis.get_instructions(code):
        name, operation = instruction.argval, instruction.opname
        if "GLOBAL" in operation or "NAME" in operation:
            names[name] = None
        elif "ATTR" in operation or "METHOD" in operation:
            attributes.add(name)
        if operation in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR"):
            rebound.add(name)
    for inner in (_facts(c) for c in code.co_consts if isinstance(c, CodeType)):
        names.update(dict.fromkeys(inner.names))
        attributes |= inner.attributes
        rebound |= inner.rebound
    return _Facts(tuple(names), frozenset(attributes), frozenset(rebound))


def _function_parts(function: FunctionType) -> Iterable[Any]:
    module = function.__module__ or ""
    if _is_foreign(module):
        return ()
    found: list[Any] = [*(function.__closure__ or ()), *(function.__defaults__ or ()), *vars(function).values()]
    if function.__kwdefaults__:
        found += function.__kwdefaults__.values()
    if _is_walked(module):
        facts, scope = _facts(function.__code__), function.__globals__
        for name in facts.names:
            value = scope.get(name)
            if type(value) is ModuleType and _is_walked(value.__name__):
                found += [vars(value)[a] for a in facts.attributes if a in vars(value)]
            else:
                found.append(value)
    return found


def _function_restorer(function: FunctionType) -> Restorer | None:
    if _is_foreign(function.__module__ or ""):
        return None
    own = _dict_restorer(vars(function))
    facts = _facts(function.__code__)
    if not facts.rebound or not _is_walked(function.__module__ or ""):
        return own
    scope = function.__globals__
    modules = [vars(v) for v in map(scope.get, facts.names) if type(v) is ModuleType and _is_walked(v.__name__)]
    names = [*((scope, n) for n in facts.rebound if n in facts.names), *((m, n) for m in modules for n in facts.rebound)]
    held = [(place, name, place.get(name, _MISSING)) for place, name in names]

    def restore() -> None:
        own()
        for place, name, value in held:
            if place.get(name, _MISSING) is not value:
                place.pop(name) if value is _MISSING else place.__setitem__(name, value)

    return restore


def _cell_parts(cell: CellType) -> Iterable[Any]:
    with suppress(ValueError):  # a cell that is still empty
        return (cell.cell_contents,)
    return ()


def _cell_restorer(cell: CellType) -> Restorer | None:
    if not (held := _cell_parts(cell)):
        return None
    (contents,) = held

    def restore() -> None:
        if next(iter(_cell_parts(cell)), _MISSING) is not contents:
            cell.cell_contents = contents

    return restore


# Classes and their instances.


def _bases(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if not _is_foreign(base.__module__)]


def _bare(attribute: Any) -> Any:
    """The function behind a method, a property and their like."""
    if isinstance(attribute, (classmethod, staticmethod)):
        return attribute.__func__
    if isinstance(attribute, property):
        return attribute.fget
    return attribute.func if isinstance(attribute, cached_property) else attribute


def _class_parts(kind: type) -> Iterable[Any]:
    if not _is_walked(kind.__module__):
        return ()
    return [*map(_bare, [v for n, v in vars(kind).items() if n != "__dict__"]), *_bases(kind)[1:]]


def _class_restorer(kind: type) -> Restorer | None:
    if not _is_walked(kind.__module__):
        return None
    held = dict(vars(kind))

    def restore() -> None:
        for name in {**held, **vars(kind)}:
            value = held.get(name, _MISSING)
            if vars(kind).get(name, _MISSING) is value or (name.startswith("__") and name.endswith("__")):
                continue
            if value is _MISSING:
                type.__delattr__(kind, name)
            else:
                type.__setattr__(kind, name, value)

    return restore


def _slots_of(kind: type) -> tuple[MemberDescriptorType, ...]:
    return tuple(m for base in _bases(kind) for m in vars(base).values() if isinstance(m, MemberDescriptorType))


_slots: Callable[[type], tuple[MemberDescriptorType, ...]] = lru_cache(maxsize=4096)(_slots_of)


def _slot(member: MemberDescriptorType, value: Any) -> Any:
    try:
        return member.__get__(value, type(value))
    except AttributeError:
        return _MISSING


def _slot_parts(value: Any) -> Iterable[Any]:
    return [_slot(m, value) for m in _slots(type(value))]


def _slot_restorer(value: Any) -> Restorer:
    held = [(m, _slot(m, value)) for m in _slots(type(value))]

    def restore() -> None:
        for member, entry in held:
            if _slot(member, value) is not entry:
                member.__delete__(value) if entry is _MISSING else member.__set__(value, entry)

    return restore


def _attribute_parts(value: Any) -> Iterable[Any]:
    return (type(value), *vars(value).values())


def _attribute_restorer(value: Any) -> Restorer:
    held = list(vars(value).items())
    return lambda: _refill(vars(value), held, dict)


# Containers. Methods are those of the built-in class: a subclass may refuse.


def _base(value: Any) -> Any:
    return OrderedDict if isinstance(value, OrderedDict) else dict


def _dict_parts(value: dict[Any, Any]) -> Iterable[Any]:
    return dict.values(value) if len(value) <= MOST_WALKED else ()


def _dict_restorer(value: dict[Any, Any]) -> Restorer:
    base = _base(value)
    held = list(base.items(value))
    return lambda: _refill(value, held, base)


def _refill(value: dict[Any, Any], held: list[tuple[Any, Any]], base: Any) -> None:
    now = list(base.items(value))
    if len(now) == len(held) and all(k is i and v is j for (k, v), (i, j) in zip(now, held, strict=True)):
        return
    base.clear(value)
    for key, entry in held:
        base.__setitem__(value, key, entry)


def _iterated(base: Any) -> Callable[[Any], Iterable[Any]]:
    return lambda value: base.__iter__(value) if base.__len__(value) <= MOST_WALKED else ()


def _sequence_restorer(base: Any, write: Callable[[Any, list[Any]], None]) -> Callable[[Any], Restorer]:
    def restorer(value: Any) -> Restorer:
        held = list(base.__iter__(value))

        def restore() -> None:
            now = list(base.__iter__(value))
            if len(now) != len(held) or any(a is not b for a, b in zip(now, held, strict=True)):
                write(value, held)

        return restore

    return restorer


def _write_list(value: list[Any], held: list[Any]) -> None:
    list.__setitem__(value, slice(None), held)


def _write_set(value: set[Any], held: list[Any]) -> None:
    set.clear(value)
    set.update(value, held)


def _write_deque(value: deque[Any], held: list[Any]) -> None:
    deque.clear(value)
    deque.extend(value, held)


# Numbers, and where random ones come from.


def _array_parts(array: np.ndarray) -> Iterable[Any]:
    return array.flat if array.dtype.kind == "O" and array.size <= MOST_WALKED else ()


def _array_restorer(array: np.ndarray) -> Restorer | None:
    if not array.flags.writeable or array.size > MOST_ENTRIES:
        return None
    entries = np.array(array)

    def restore() -> None:
        array.flags.writeable = True
        if array.shape != entries.shape:
            array.resize(entries.shape, refcheck=False)
        array[...] = entries

    return restore


def _tensor_restorer(tensor: Any) -> Restorer | None:
    import torch

    if tensor.numel() > MOST_ENTRIES:
        return None
    entries = tensor.detach().clone()

    def restore() -> None:
        if tensor.shape != entries.shape or tensor.dtype != entries.dtype:
            tensor.data = entries
        elif not torch.equal(tensor, entries):
            with torch.no_grad():
                tensor.copy_(entries)

    return restore


State = tuple[Callable[[], Any], Callable[[Any], None]]
"""How the state of a random generator is read, and how it is written."""


def _own(generator: Any) -> State:
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator
    return (lambda: bits.state), (lambda state: setattr(bits, "state", state))


def _numpys(generator: Any) -> State:
    """Of ``RandomState``."""
    return (lambda: generator.get_state(legacy=False)), generator.set_state


def _pythons(generator: Any) -> State:
    """Of ``Random``, and of ``random`` itself."""
    return generator.getstate, generator.setstate


def _torchs(generator: Any) -> State:
    """Of ``torch.Generator``."""
    return generator.get_state, generator.set_state


_GENERATORS: tuple[tuple[type | tuple[type, ...], Callable[[Any], State]], ...] = (
    ((np.random.Generator, np.random.BitGenerator), _own),
    (np.random.RandomState, _numpys),
    (random.Random, _pythons),
)


def _stately(value: Any) -> State | None:
    """How the state of ``value`` is had if it is a random generator."""
    for kinds, state in _GENERATORS:
        if isinstance(value, kinds):
            return state(value)
    torch = sys.modules.get("torch")
    return _torchs(value) if torch is not None and isinstance(value, torch.Generator) else None


_TWISTER = 4 * 625
"""Bytes of a Mersenne twister: its words, and the position among them."""

_known: list[tuple[bytes, Any]] = []
"""The state of ``np.random`` that was read last, by the bytes of its generator."""


def _numpys_own() -> Any:
    """The state of ``np.random``: NumPy takes a tenth of a millisecond to tell it, so it is not asked again while no bit has changed."""
    bits = np.random.mtrand.get_bit_generator()
    if type(bits) is not np.random.MT19937:
        return np.random.get_state(legacy=False)
    content = ctypes.string_at(bits.ctypes.state_address, _TWISTER)
    if _known and _known[0][0] == content:
        return _known[0][1]
    state: Any = np.random.get_state(legacy=False)
    _known[:] = [] if state["has_gauss"] else [(content, state)]  # one that has a normal number left may give it and keep its bytes
    return state


def _global_states() -> list[State]:
    torch = sys.modules.get("torch")
    found: list[State] = [_pythons(random), (_numpys_own, np.random.set_state)]
    return found if torch is None else [*found, (torch.get_rng_state, torch.set_rng_state)]


def _generator_restorer(generator: Any) -> Restorer | None:
    found = _stately(generator)
    if found is None:
        return None
    read, write = found
    state = read()
    return lambda: write(state)


_KINDS: tuple[tuple[type | tuple[type, ...], _Aspect], ...] = (
    (FunctionType, _Aspect(_function_parts, _function_restorer)),
    (CellType, _Aspect(_cell_parts, _cell_restorer)),
    (MethodType, _Aspect(lambda m: (m.__self__, m.__func__), _no_state)),
    (partial, _Aspect(lambda p: (p.func, p.args, p.keywords), _no_state)),
    (_lru_cache_wrapper, _Aspect(lambda f: (f.__wrapped__,), _no_state)),
    (np.vectorize, _Aspect(lambda f: (f.pyfunc,), _no_state)),
    (type, _Aspect(_class_parts, _class_restorer)),
    (dict, _Aspect(_dict_parts, _dict_restorer)),
    (list, _Aspect(_iterated(list), _sequence_restorer(list, _write_list))),
    (set, _Aspect(_iterated(set), _sequence_restorer(set, _write_set))),
    (deque, _Aspect(_iterated(deque), _sequence_restorer(deque, _write_deque))),
    (tuple, _Aspect(_iterated(tuple), _no_state)),
    (frozenset, _Aspect(_iterated(frozenset), _no_state)),
    (np.ndarray, _Aspect(_array_parts, _array_restorer)),
    *((kinds, _Aspect(_nothing, _generator_restorer)) for kinds, _ in _GENERATORS),
)
_ATTRIBUTES = _Aspect(_attribute_parts, _attribute_restorer)
_SLOTS = _Aspect(_slot_parts, _slot_restorer)
_HOLDERS = (SimpleNamespace, UserDict, UserList, ChainMap)


def _torch_aspects(kind: type) -> list[_Aspect]:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return []
    if issubclass(kind, torch.Tensor):
        return [_Aspect(_nothing, _tensor_restorer)]
    return [_Aspect(_nothing, _generator_restorer)] if issubclass(kind, torch.Generator) else []


def _is_module(kind: type) -> bool:
    return any(base.__module__ == "torch.nn.modules.module" and base.__name__ == "Module" for base in kind.__mro__)


def _aspects_of(kind: type) -> tuple[_Aspect, ...]:
    """Of a value of this kind; none, if it has no state that could be put back."""
    found = [aspect for types, aspect in _KINDS if issubclass(kind, types)][:1] or _torch_aspects(kind)
    if issubclass(kind, (type, ModuleType)) or not (_bases(kind) or issubclass(kind, _HOLDERS) or _is_module(kind)):
        return tuple(found)
    if kind.__dictoffset__:
        found.append(_ATTRIBUTES)
    if _slots(kind):
        found.append(_SLOTS)
    return tuple(found)


_aspects: Callable[[type], tuple[_Aspect, ...]] = lru_cache(maxsize=4096)(_aspects_of)


def behind(roots: Iterable[Any]) -> list[Any]:
    """``roots`` and whatever they hold, call, close over or name that may have a state, each once."""
    seen: dict[int, Any] = {}
    todo = list(roots)
    while todo:
        value = todo.pop()
        aspects = _aspects(type(value))
        if not aspects or id(value) in seen:
            continue
        seen[id(value)] = value
        for aspect in aspects:
            todo.extend(_attempt(aspect.parts, value) or ())
    return list(seen.values())


def _attempt(call: Callable[..., Any], *args: Any) -> Any:
    """Somebody's class may refuse anything; None if it does."""
    try:
        return call(*args)
    except Exception:
        return None


def _restorers(values: Iterable[Any]) -> list[Restorer]:
    made = [_attempt(aspect.restorer, value) for value in values for aspect in _aspects(type(value))]
    return [restore for restore in made if restore is not None]


class Generators:
    """The global random generators and those among ``values``, with the states that they had before the first forward."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = values
        self._start: list[tuple[State, Any]] | None = None
        self._end: list[Any] | None = None
        self.drew = False
        """Whether the first forward moved any, as far as is known once a second one has started."""

    def hold(self) -> None:
        """Take the states of now for those to go back to."""
        states = [*_global_states(), *filter(None, map(_stately, self._values))]
        found = [(state, _attempt(state[0])) for state in states]
        self._start = [(state, value) for state, value in found if value is not None]  # the operating system's has none

    def _now(self) -> list[Any]:
        return [read() for (read, _), _ in self._start or ()]

    def rewind(self) -> None:
        """Give the states back, to those that have moved."""
        for (read, write), state in self._start or ():
            if not _same(read(), state):
                _attempt(write, state)

    def forward_starts(self) -> None:
        if self._start is None:
            self.hold()
            return
        if self._end is None:
            self._end = self._now()
            self.drew = not _same([state for _, state in self._start], self._end)
        if self.drew:
            self.rewind()

    def forward_failed(self) -> None:
        """The first forward is still to come."""
        if self._end is None:
            self.rewind()
            self._start = None

    def elsewhere(self) -> bool:
        """Whether the forward that ran last drew other numbers than the first: torch's depend on the dtype."""
        return self.drew and not _same(self._now(), self._end)


def _same(one: Any, other: Any) -> bool:
    """Of two states of a generator, or lists of them."""
    if one is other:
        return True
    if isinstance(one, dict):
        return all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return all(map(_same, one, other))
    return bool((one == other).all()) if hasattr(one, "all") else bool(one == other)


_drawn_from: ContextVar[Generators | None] = ContextVar("_drawn_from", default=None)


def forward_starts() -> None:
    """To be called before the code under test runs forward: within ``same_draws`` it draws what it drew at first."""
    generators = _drawn_from.get()
    if generators is not None:
        generators.forward_starts()


def forward_failed() -> None:
    """To be called where a forward raised, and is tried in another way."""
    generators = _drawn_from.get()
    if generators is not None:
        generators.forward_failed()


@contextmanager
def same_draws(values: Iterable[Any]) -> Iterator[Generators]:
    """For the duration, if the first forward moves a global generator or one among ``values``, all others start from where it did."""
    generators = Generators(values)
    token = _drawn_from.set(generators)
    try:
        yield generators
    finally:
        _drawn_from.reset(token)


@contextmanager
def generators_kept() -> Iterator[None]:
    """For the duration, the global random generators may be drawn from; afterwards they are as before."""
    generators = Generators()
    generators.hold()
    try:
        yield
    finally:
        generators.rewind()


@contextmanager
def kept(functions: Sequence[Callable[..., Any]]) -> Iterator[list[Any]]:
    """For the duration, the objects behind ``functions``, which are given, may change; afterwards they are as before."""
    found = behind(functions)
    restorers = _restorers(found)
    try:
        yield found
    finally:
        for restore in restorers:
            _attempt(restore)


def narrower(function: Callable[..., Any]) -> list[Any]:
    """The floating torch tensors behind ``function`` that are narrower than float64: parameters and buffers of modules above all."""
    import torch

    narrow = (torch.float32, torch.float16, torch.bfloat16)
    found = behind([function])
    for module in [v for v in found if isinstance(v, torch.nn.Module)]:
        found += [*module.parameters(), *module.buffers()]  # a scripted module has them elsewhere
    return [t for t in {id(t): t for t in found if isinstance(t, torch.Tensor)}.values() if t.dtype in narrow and t.is_leaf]


@contextmanager
def in_float64(tensors: Sequence[Any]) -> Iterator[None]:
    """For the duration, ``tensors`` hold float64 copies of what they hold; what is written into them then is lost."""
    held = [(t, t.data) for t in tensors]
    try:
        for tensor, data in held:
            tensor.data = data.double()
        yield
    finally:
        for tensor, data in held:
            tensor.data = data
