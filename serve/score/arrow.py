"""Arrow columns as plain values, and one type for columns that several files hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.types as pt


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings."""
    if pt.is_dictionary(kind):
        kind = kind.value_type
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def column_text(column: pa.Array) -> list[Any]:
    """Values of a column: strings where it holds strings (bytes where these are no UTF-8), else as they are."""
    if not is_text(column.type):
        return plain_column(column)
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    out: list[Any] = []
    for value in column.cast(pa.large_binary()).to_pylist():
        try:
            out.append(value if value is None else value.decode("utf-8"))
        except UnicodeDecodeError:
            out.append(value)
    return out


def plain_column(column: pa.Array) -> list[Any]:
    """Values that JSON can hold: times and decimals as text, NaN as null, odd bytes as escapes."""
    kind = column.type
    if is_text(kind) or pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind):
        values = column_text(column) if is_text(kind) else column.to_pylist()
        return [v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else v for v in values]
    if pt.is_temporal(kind) or pt.is_decimal(kind):
        try:
            text: list[Any] = column.cast(pa.string()).to_pylist()
        except pa.ArrowException:
            text = [None if not item.is_valid else str(item) for item in column]
        return text
    try:
        values = column.to_pylist()
    except (ValueError, UnicodeDecodeError, pa.ArrowException):  # such as nanoseconds inside a list
        return [None if not item.is_valid else str(item) for item in column]
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def json_type(values: Iterable[Any]) -> pa.DataType:
    """The column type for JSON values: null, boolean, integer or floating-point if all agree, else string."""
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) > 1:
        return pa.float64() if kinds == {"int", "float"} else pa.string()
    simple = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    return simple.get(kinds.pop(), pa.string()) if kinds else pa.null()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "text"
    return "float" if isinstance(value, float) else "text"


def merged_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """One schema for all: columns in order of first sight, a type that holds every file's, string if none does."""
    merged: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = merged.get(field.name)
            merged[field.name] = field.type if known is None else _merged_type(known, field.type)
    return pa.schema([(name, pa.string() if pt.is_null(kind) else kind) for name, kind in merged.items()])


def _merged_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pt.is_null(other):
        return one
    if pt.is_null(one):
        return other
    if all(pt.is_signed_integer(kind) for kind in (one, other)):
        return max(one, other, key=lambda kind: kind.bit_width)
    if pt.is_integer(one) and pt.is_integer(other):
        if pt.is_unsigned_integer(one) and pt.is_unsigned_integer(other):
            return max(one, other, key=lambda kind: kind.bit_width)
        # no integer holds uint64 beside signed ones, and a float would change long numbers, such as ids
        return pa.string() if pa.uint64() in (one, other) else pa.int64()
    if all(pt.is_integer(kind) or pt.is_floating(kind) for kind in (one, other)):
        return pa.float64()
    return pa.string()
