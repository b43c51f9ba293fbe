"""Arrays and option values in text: exact for JSON, short for people, and as Python to paste."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.findings import Example

SHOWN = 60
"""Arrays of more entries are shown to people with their middle left out."""

PASTED = 240
"""Examples of more entries are not offered for pasting."""


def encode(value: Any) -> Any:
    """An argument as JSON data that ``decode`` turns back, bit for bit.

    Arrays are ``{"dtype", "shape", "values", "hex"}``, flat in C order, ``hex`` for floats alone;
    where a NaN's payload or a wide float would be lost, ``bytes`` (hexadecimal) holds it. Option
    values are themselves, floats ``{"float", "hex"}`` and tuples ``{"tuple": [...]}``.
    """
    if isinstance(value, np.generic):
        return {**_encode_array(np.asarray(value)), "scalar": True}
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, float):
        return {"float": _decimal(value), "hex": value.hex()}
    if isinstance(value, tuple):
        return {"tuple": [encode(v) for v in value]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return {"repr": repr(value)}


def decode(data: Any) -> Any:
    """The value that ``encode`` wrote; raises ``ValueError`` for one that JSON could not hold."""
    if isinstance(data, list):
        return [decode(v) for v in data]
    if not isinstance(data, Mapping):
        return data
    if "repr" in data:
        raise ValueError(f"{data['repr']} was not written whole")
    if "float" in data:
        return float.fromhex(data["hex"])
    if "tuple" in data:
        return tuple(decode(v) for v in data["tuple"])
    dtype, shape = np.dtype(data["dtype"]), tuple(data["shape"])
    if dtype.hasobject:
        raise ValueError("an array of Python objects was not written whole")
    if "bytes" in data:
        array = np.frombuffer(bytes.fromhex(data["bytes"]), dtype=dtype).reshape(shape).copy()
    else:
        array = _from_hex(data["hex"], dtype, shape) if "hex" in data else np.array(data["values"], dtype).reshape(shape)
    return array[()] if data.get("scalar") else array


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    data: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    flat = array.ravel()
    if array.dtype.kind == "f":
        floats = [float(v) for v in flat]
        data |= {"values": [_decimal(v) for v in floats], "hex": [v.hex() for v in floats]}
        if _from_hex(data["hex"], array.dtype, array.shape).tobytes() != array.tobytes():
            data["bytes"] = array.tobytes().hex()
    elif array.dtype.kind in "biuU":
        data["values"] = flat.tolist()
    else:
        data["values"] = [str(v) for v in flat]
        if not array.dtype.hasobject:
            data["bytes"] = array.tobytes().hex()
    return data


def _from_hex(digits: list[str], dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    return np.array([float.fromhex(d) for d in digits], dtype=np.float64).astype(dtype).reshape(shape)


def _decimal(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def shown(value: Any, width: int = 76, whole: bool = False) -> list[str]:
    """``value`` for a person, in lines of at most ``width`` columns where its digits allow.

    Floats have the fewest digits that give the very float back in their dtype. Of an array with
    more than ``SHOWN`` entries the middle is left out, unless the ``whole`` is wanted.
    """
    if not isinstance(value, np.ndarray):
        return [repr(value.item() if isinstance(value, np.generic) else value)]
    if value.size == 0:
        return ["(empty)"]
    return _nested(value, width, sys.maxsize if whole else SHOWN, "", "nan", "inf").splitlines()


def kind(value: Any) -> str:
    """The dtype and the shape of an array, such as ``float32 (2, 3)``; empty for an option."""
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else ""


def snippet(example: Example, width: int = 76) -> str:
    """Python that builds the arguments and the cotangents; empty when they are too long to paste.

    It needs NumPy and nothing else. The arrays are those of ``example``, bit for bit.
    """
    values = [*example.arguments.values(), *example.extras.values(), *example.cotangents]
    if sum(v.size for v in values if isinstance(v, np.ndarray)) > PASTED:
        return ""
    names = _names([*example.arguments, *example.extras], len(example.cotangents))
    lines = ["import numpy as np", ""]
    lines += [_assignment(name, value, width) for name, value in zip(names, values, strict=True)]
    arguments = ", ".join(names[: len(example.arguments)])
    cotangents = ", ".join(names[len(names) - len(example.cotangents) :])
    lines.append(f"# forward({arguments}); vjp({cotangents}, {arguments})" if cotangents else f"# forward({arguments})")
    return "\n".join(lines)


def _names(given: list[str], cotangents: int) -> list[str]:
    """Python names for the arguments, made up where theirs are none, then for the cotangents."""
    names = [n if n.isidentifier() and not keyword.iskeyword(n) and n != "np" else f"x{i}" for i, n in enumerate(given)]
    stem = "dy" if not any(n.startswith("dy") for n in names) else "cotangent"
    return [*names, *([stem] if cotangents == 1 else [f"{stem}{i}" for i in range(cotangents)])]


def _assignment(name: str, value: Any, width: int) -> str:
    if not isinstance(value, np.ndarray):
        item = value.item() if isinstance(value, np.generic) else value
        text = f"float({str(item)!r})" if isinstance(item, float) and not np.isfinite(item) else repr(item)
        return f"{name} = np.{value.dtype}({text})" if isinstance(value, np.generic) else f"{name} = {text}"
    dtype = f"np.{value.dtype}" if value.dtype.kind in "fiu" and value.dtype.isnative else f'"{value.dtype}"'
    if value.size == 0:
        return f"{name} = np.zeros({value.shape}, dtype={dtype})"
    start = f"{name} = np.array("
    body = _nested(value, width, sys.maxsize, start, "np.nan", "np.inf")
    last = len(body.rpartition("\n")[2]) + (0 if "\n" in body else len(start))
    tail = f"dtype={dtype})"
    glue = ", " if last + len(tail) + 2 <= width else ",\n" + " " * len(start)
    return f"{start}{body}{glue}{tail}"


def _nested(array: np.ndarray, width: int, threshold: int, prefix: str, nan: str, inf: str) -> str:
    def real(value: Any) -> str:
        if np.isfinite(value):
            return digits(value)
        return nan if np.isnan(value) else inf if value > 0 else f"-{inf}"

    return np.array2string(
        array,
        max_line_width=width,
        threshold=threshold,
        separator=", ",
        prefix=prefix,
        formatter={
            "float_kind": real,
            "complex_kind": lambda z: f"complex({real(z.real)}, {real(z.imag)})",
            "bool": str,
            "int": str,
        },
    )


def digits(value: np.floating[Any] | float) -> str:
    """The fewest decimal digits that give ``value`` back when read as a float of its dtype."""
    if not isinstance(value, np.floating) or value.dtype.itemsize > 8:
        return repr(float(value))
    text = str(value)
    # Read by way of a double, a short decimal can, once in a blue moon, round twice.
    return text if value.dtype.type(float(text)) == value else repr(float(value))
