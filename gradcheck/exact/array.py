"""ExactArray: what the code under test holds in place of a float64 array.

It is no ``ndarray`` but behaves as one: views, indexing, broadcasting and in-place updates
share memory as NumPy's do, and what NumPy does to it goes through the tables of ``functions``.
That is what makes leaks impossible to miss: NumPy cannot turn an ``ExactArray`` into floats
without asking ``__array__`` or ``__float__``, and both refuse and name the line.
"""

from __future__ import annotations

import hashlib
import operator
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from flint import arb

from gradcheck.bounds import SHORT
from gradcheck.exact import balls
from gradcheck.exact.balls import ball
from gradcheck.exact.errors import NotExact, outward, printed, user_frame, written

FLOAT64 = np.dtype(np.float64)
ROUNDING = 2.0**-53
_REAL_ONLY = "write it with real numbers"


class _Held:
    """For the duration, an attribute of a class has another value. Every evaluation enters one: a generator would be slow."""

    __slots__ = ("before", "name", "owner", "value")

    def __init__(self, owner: type, name: str, value: Any) -> None:
        self.owner, self.name, self.value = owner, name, value

    def __enter__(self) -> None:
        self.before = getattr(self.owner, self.name)
        setattr(self.owner, self.name, self.value)

    def __exit__(self, *_: object) -> None:
        setattr(self.owner, self.name, self.before)


class Work:
    """Counts roundings along the longest path: one for an operation, n for a sum of n; and the balls made by operations.

    ``rounded`` is the largest relative rounding of the constants that came in, 0 if all are short, as 1/2 or 3 are: 0.1 is
    rounded, and so may be any other.
    """

    steps: ClassVar[int] = 0
    made: ClassVar[int] = 0
    rounded: ClassVar[float] = 0.0
    shake: ClassVar[int] = 0

    @classmethod
    def shaken(cls, n: int) -> _Held:
        """With constants that may be rounded moved by one rounding, in the ``n``-th way; none for 0."""
        return _Held(cls, "shake", n)


def _raw(value: Any) -> Any:
    """The object array (or number) behind ``value``, ready for an operation with balls."""
    if type(value) is ExactArray:
        return value.balls_
    if type(value) is arb or isinstance(value, (bool, int)):
        return ball(value)
    if isinstance(value, float):
        return _constant(value)
    return lift(value)


def _constant(value: float, rounding: float = ROUNDING) -> arb:
    """A number that the code under test brought in; the same one moves the same way wherever it comes in."""
    if type(value) is int or (value * SHORT).is_integer():
        return ball(value)
    Work.rounded = max(Work.rounded, rounding)
    if not Work.shake:
        return ball(value)
    coin = hashlib.blake2b(struct.pack("dq", value, Work.shake), digest_size=1).digest()[0] & 1
    return ball(value) * (1 + arb(rounding if coin else -rounding))


_to_constants = np.frompyfunc(lambda value, rounding: _constant(float(value), rounding), 2, 1)


def _rounding(dtype: np.dtype[Any]) -> float:
    """How far a constant of ``dtype`` may be from what was meant; one coarser than the point is a slip, and gets no more than float64."""
    eps = float(np.finfo(dtype).eps)
    return max(ROUNDING, eps / 2) if eps <= float(np.finfo(ExactArray.dtype).eps) else ROUNDING


def _entry(value: Any) -> arb:
    return value._only() if type(value) is ExactArray else ball(value)


_to_balls = np.frompyfunc(_entry, 1, 1)
_finite_to_balls = np.frompyfunc(arb, 1, 1)


def lift(value: Any) -> np.ndarray:
    """Any numbers (array, nested lists, mixtures with exact arrays) as an object array of balls."""
    if type(value) is ExactArray:
        return value.balls_
    if type(value) is float or type(value) is int:
        return _as_object(_constant(value))
    if isinstance(value, (list, tuple)):
        return np.stack([lift(v) for v in value]) if value else np.empty(0, dtype=object)
    array = np.asarray(value)
    if array.dtype.kind not in "biufO":
        raise NotExact(f"an array of dtype {array.dtype} cannot be made exact", _REAL_ONLY if array.dtype.kind == "c" else "")
    if array.dtype.kind == "f" and (Work.shake or Work.rounded < _rounding(array.dtype)):
        with np.errstate(all="ignore"):
            if np.any(array * SHORT % 1):
                Work.rounded = max(Work.rounded, _rounding(array.dtype))
                if Work.shake:
                    return _as_object(_to_constants(array, _rounding(array.dtype)))
    if array.dtype == FLOAT64 and np.isfinite(array).all():
        return _as_object(_finite_to_balls(array))
    if array.dtype == np.longdouble and np.longdouble is not np.float64:
        raise NotExact("longdouble constants cannot be made exact", "use np.float64")
    return _as_object(_to_balls(array.astype(object) if array.dtype.kind != "O" else array))


def _as_object(result: Any) -> np.ndarray:
    if type(result) is np.ndarray and result.dtype == object:
        return result
    array = np.empty((), dtype=object)
    array[()] = result
    array.flags.writeable = False  # a scalar: in-place operations make a new one, as in NumPy
    return array


def boxed(data: Any) -> np.ndarray:
    """An object array as it is, and a single ball as one of no axes that can be written to."""
    if isinstance(data, np.ndarray):
        return data
    made = np.empty((), dtype=object)
    made[()] = data
    return made


def wrap(result: Any) -> Any:
    """An object array or a ball as an ``ExactArray``; everything else as it is."""
    if type(result) is np.ndarray:
        if result.dtype != object:
            return result
        Work.made += result.size
        return ExactArray(result)
    if type(result) is arb:
        return ExactArray(_as_object(result))
    return result


def entries(array: ExactArray) -> np.ndarray:
    """The entries, each an exact array of its own, in an array of objects."""
    return np.asarray(_scalars(array.balls_.reshape(-1))).reshape(array.shape)


_scalars = np.frompyfunc(wrap, 1, 1)


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """The entries of all ``arrays``, one after the other."""
    return np.array([a for array in arrays for a in lift(array).flat], dtype=object)


def exact(value: Any) -> ExactArray:
    """``value`` as a new exact array, without rounding."""
    return ExactArray(lift(value).copy())


def _binary(op: Callable[[Any, Any], Any], swap: bool = False) -> Callable[[ExactArray, Any], Any]:
    def method(self: ExactArray, other: Any) -> Any:
        Work.steps += 1
        right = _raw(other)
        return wrap(op(right, self.balls_) if swap else op(self.balls_, right))

    return method


def _in_place(op: Callable[[Any, Any], Any]) -> Callable[[ExactArray, Any], Any]:
    def method(self: ExactArray, other: Any) -> Any:
        Work.steps += 1
        result = op(self.balls_, _raw(other))
        if self.balls_.ndim == 0 and not self.balls_.flags.writeable:
            return wrap(result)
        self.balls_[...] = result
        return self

    return method


def _compare(decide: Callable[[Any, Any], bool], nothing: bool | None = None) -> Callable[[ExactArray, Any], Any]:
    function = np.frompyfunc(decide, 2, 1)

    def method(self: ExactArray, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented if nothing is None else np.full(self.shape, nothing)[()]
        result = function(self.balls_, _raw(other))
        return result.astype(bool) if type(result) is np.ndarray else np.bool_(result)

    return method


_power = np.frompyfunc(balls.power, 2, 1)
_floor_divide = np.frompyfunc(balls.floor_divide, 2, 1)
_remainder = np.frompyfunc(balls.remainder, 2, 1)


def _in_vectorize() -> bool:
    """Whether it is an ``np.vectorize`` that no stand-in took the place of that asks for floats."""
    frame, asked = sys._getframe(1), user_frame()
    while frame.f_back is not None and frame is not asked:
        if type(frame.f_locals.get("self")) is np.vectorize:
            return True
        frame = frame.f_back
    return False


def _index(key: Any) -> Any:
    """An index without exact parts: exact booleans or floats never index an array."""
    if type(key) is ExactArray:
        raise NotExact("an exact (floating) array is used as an index", "turn it into integers with .astype(int)")
    return tuple(_index(k) for k in key) if type(key) is tuple else key


class ExactArray:
    """An array of balls; ``balls_`` is its object array, of ``flint.arb`` in every entry."""

    __slots__ = ("balls_",)
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]
    dtype: ClassVar[np.dtype[Any]] = FLOAT64

    @classmethod
    def said_to_be(cls, dtype: np.dtype[Any]) -> _Held:
        """For the duration, exact arrays answer ``dtype`` when asked for theirs (they have none)."""
        return _Held(cls, "dtype", dtype)

    def __init__(self, data: np.ndarray) -> None:
        self.balls_ = data

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return np.ndarray

    # What NumPy asks of us
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        from gradcheck.exact.ufuncs import apply_ufunc

        return apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        from gradcheck.exact.functions import apply_function

        return apply_function(function, args, kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        if _in_vectorize():
            raise NotExact("np.vectorize makes a float array of exact values", "call np.vectorize in the function, or by a global name")
        raise NotExact("exact values are put into a float array", outward(written()))

    def __float__(self) -> float:
        if printed():
            return float(self._only())
        raise NotExact("an exact value is turned into a float", outward(written(), cast=True))

    def __complex__(self) -> complex:
        raise NotExact("an exact value is turned into a complex number", _REAL_ONLY)

    def __int__(self) -> int:
        return balls.integer(self._only())

    def __bool__(self) -> bool:
        return balls.truth(self._only())

    def __round__(self, digits: int | None = None) -> Any:
        from gradcheck.exact.functions import around

        return around(self, digits or 0) if digits is not None else int(around(self, 0))

    def _only(self) -> arb:
        if self.balls_.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous")
        return self.balls_.reshape(-1)[0]

    # Shape and memory
    @property
    def shape(self) -> tuple[int, ...]:
        return self.balls_.shape

    @shape.setter
    def shape(self, shape: tuple[int, ...]) -> None:
        self.balls_ = self.balls_.reshape(shape)

    @property
    def ndim(self) -> int:
        return self.balls_.ndim

    @property
    def size(self) -> int:
        return self.balls_.size

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.balls_.size * self.itemsize

    @property
    def T(self) -> ExactArray:
        return ExactArray(self.balls_.T)

    @property
    def mT(self) -> ExactArray:
        return ExactArray(self.balls_.mT)

    @property
    def real(self) -> ExactArray:
        return self

    @property
    def flat(self) -> ExactArray:
        flat = self.balls_.reshape(-1)
        if not np.may_share_memory(flat, self.balls_):
            flat.flags.writeable = False  # a copy: what is written into it would be lost
        return ExactArray(flat)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.balls_.flat[:] = lift(value)

    @property
    def base(self) -> Any:
        return self.balls_.base

    @property
    def flags(self) -> Any:
        return self.balls_.flags

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes of floats, as ``as_strided`` takes them."""
        return tuple(s // self.balls_.itemsize * self.itemsize for s in self.balls_.strides)

    def __len__(self) -> int:
        return len(self.balls_)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.balls_)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __getitem__(self, key: Any) -> Any:
        return wrap(self.balls_[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        raw, key = lift(value), _index(key)
        if raw.ndim and type(self.balls_[key]) is not np.ndarray:
            if raw.size != 1:
                raise ValueError("setting an array element with a sequence.")
            raw = raw.reshape(())
        self.balls_[key] = raw if raw.ndim else raw[()]

    def __copy__(self) -> ExactArray:
        return ExactArray(self.balls_.copy())

    def __deepcopy__(self, memo: Any) -> ExactArray:
        return ExactArray(self.balls_.copy())

    def __repr__(self) -> str:
        shown = np.frompyfunc(lambda a: a.str(12), 1, 1)(self.balls_)
        return f"exact({np.asarray(shown).tolist()})"

    def __format__(self, form: str) -> str:
        return repr(self) if self.balls_.ndim else f"exact({format(float(self._only()), form)})"  # no number: float() refuses it

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotExact("exact values are pickled")

    def copy(self, order: str = "C") -> ExactArray:
        return ExactArray(self.balls_.copy())

    def reshape(self, *shape: Any, order: Any = "C", **_: Any) -> ExactArray:
        return ExactArray(self.balls_.reshape(*shape, order=order))

    def ravel(self, order: Any = "C") -> ExactArray:
        return ExactArray(self.balls_.ravel(order))

    def flatten(self, order: Any = "C") -> ExactArray:
        return ExactArray(self.balls_.flatten(order))

    def transpose(self, *axes: Any) -> ExactArray:
        return ExactArray(self.balls_.transpose(*axes))

    def squeeze(self, axis: Any = None) -> ExactArray:
        return ExactArray(self.balls_.squeeze(axis))

    def swapaxes(self, a: int, b: int) -> ExactArray:
        return ExactArray(self.balls_.swapaxes(a, b))

    def diagonal(self, *args: Any, **kwargs: Any) -> ExactArray:
        return ExactArray(self.balls_.diagonal(*args, **kwargs))

    def repeat(self, repeats: Any, axis: Any = None) -> ExactArray:
        return ExactArray(self.balls_.repeat(repeats, axis))

    def take(self, indices: Any, axis: Any = None, **kwargs: Any) -> Any:
        return wrap(self.balls_.take(indices, axis, **kwargs))

    def fill(self, value: Any) -> None:
        self.balls_[...] = lift(value)

    def view(self, *args: Any) -> ExactArray:
        if args and np.dtype(args[0]).kind != "f":
            raise NotExact("the bits of an exact value are looked at through view()")
        return ExactArray(self.balls_.view())

    def item(self, *args: Any) -> ExactArray:
        return ExactArray(_as_object(self.balls_.item(*args)))

    def tolist(self) -> Any:
        return [row.tolist() for row in self] if self.ndim else self

    def astype(self, dtype: Any, *args: Any, copy: bool = True, **kwargs: Any) -> Any:
        """Floats stay exact, since exact values have no dtype; integers and booleans are decided."""
        kind = np.dtype(dtype).kind
        if kind == "f":
            return self.copy() if copy else self
        if kind == "b":
            return np.frompyfunc(balls.truth, 1, 1)(self.balls_).astype(bool) if self.ndim else np.bool_(bool(self))
        if kind in "iu":
            whole = np.frompyfunc(balls.integer, 1, 1)(self.balls_)
            return whole.astype(dtype) if self.ndim else np.dtype(dtype).type(whole)
        raise NotExact(f"exact values are turned into dtype {np.dtype(dtype)}", _REAL_ONLY if kind == "c" else "drop the cast")

    def __getattr__(self, name: str) -> Any:
        """Reductions and the other methods are those of the functions of the same name."""
        from gradcheck.exact.functions import METHODS

        if name.startswith("__"):
            raise AttributeError(name)
        if name in METHODS:
            function = METHODS[name]
            return lambda *args, **kwargs: function(self, *args, **kwargs)
        if hasattr(np.ndarray, name) or hasattr(np.float64, name):
            raise NotExact(f"the array attribute .{name} has no exact counterpart")
        raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")

    # Arithmetic
    __add__, __radd__, __iadd__ = _binary(operator.add), _binary(operator.add, True), _in_place(operator.add)
    __sub__, __rsub__, __isub__ = _binary(operator.sub), _binary(operator.sub, True), _in_place(operator.sub)
    __mul__, __rmul__, __imul__ = _binary(operator.mul), _binary(operator.mul, True), _in_place(operator.mul)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _binary(operator.truediv, True)
    __itruediv__ = _in_place(operator.truediv)
    __pow__, __rpow__, __ipow__ = _binary(_power), _binary(_power, True), _in_place(_power)
    __floordiv__, __rfloordiv__ = _binary(_floor_divide), _binary(_floor_divide, True)
    __mod__, __rmod__ = _binary(_remainder), _binary(_remainder, True)
    __gt__, __ge__ = _compare(balls.greater), _compare(balls.greater_equal)
    __lt__, __le__ = _compare(balls.less), _compare(balls.less_equal)
    __eq__ = _compare(balls.equal, False)
    __ne__ = _compare(balls.not_equal, True)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __neg__(self) -> Any:
        return wrap(-self.balls_)

    def __pos__(self) -> Any:
        return self.copy() if self.ndim else wrap(self.balls_[()])

    def __abs__(self) -> Any:
        return wrap(abs(self.balls_))
