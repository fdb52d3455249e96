"""Read responses value by value if msgspec rejects them.

msgspec rejects a whole page for one invalid value. This module converts each value separately. It
keeps a value in another form than documented if the form is plain: one object in place of a list, a
list of one in place of an object, a text in place of an object that has one main text, a number in
place of a text, a date in another spelling. Any other invalid optional value is replaced by its
default. An invalid required value is an error.
"""

import json
import math
import re
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar, Union, get_args, get_origin

import msgspec

from ._numbers import whole_number
from ._patterns import LazyPattern
from ._text_encoding import decode_text

__all__ = ["convert", "parse"]

T = TypeVar("T")

_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes that could not be decoded. An identifier with it is not the API's."""


def parse(body: bytes) -> object:
    """Decode JSON, also with the faults that servers make.

    A byte order mark and raw control characters, in a text or around the whole, are accepted. Bytes
    that are not UTF-8 become U+FFFD, halves of surrogate pairs become `?`. An unknown escape stands
    for its own characters. NaN, Infinity and numbers that Python cannot represent become None.
    Faults that no JSON library makes, such as trailing commas, are errors.

    Raises:
        msgspec.DecodeError: The body is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = str(error)
    text = decode_text(body).strip(_AROUND)
    for candidate in (text, _ESCAPE.sub(_escape, text)):
        try:
            value = _TOLERANT.decode(candidate)
            plain = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            return msgspec.json.decode(plain)
        except (ValueError, RecursionError, msgspec.DecodeError):
            continue
    raise msgspec.DecodeError(problem)


_AROUND = "".join(map(chr, range(0x21))) + "\x7f\ufeff"
"""Characters before and after a document that are ignored: controls, blanks, a byte order mark."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # more digits than Python converts
        return None


_TOLERANT = json.JSONDecoder(
    strict=False, parse_constant=_finite, parse_float=_finite, parse_int=_int
)

_ESCAPE = LazyPattern(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])?')
"""A backslash, with the escape that it begins."""


def _escape(match: re.Match[str]) -> str:
    """Return an escape unchanged. A backslash that begins none becomes an escaped backslash."""
    return match[0] if match[1] else r"\\"


def convert(value: object, target: type[T]) -> T:
    """Return decoded JSON as a `target`.

    Raises:
        msgspec.ValidationError: A required value is missing or invalid.
    """
    return msgspec.convert(_read(value, target), target)


def _read(value: object, target: object, strict: bool = True) -> object:
    choices = _choices(target)
    if strict and isinstance(value, str) and _REPLACED in value:
        raise msgspec.ValidationError("a character is not UTF-8")  # another thing would be read
    for choice in choices:
        if isinstance(choice, type) and issubclass(choice, msgspec.Struct):
            row = _row(value, choice)
            if row is not None:
                return _struct(row, choice)
        elif get_origin(choice) is list and isinstance(value, list):
            return _list(value, get_args(choice)[0], strict)
    try:
        return msgspec.convert(value, target, strict=False)
    except msgspec.ValidationError:
        return _read_other_form(value, choices, strict)


def _row(value: object, target: type[msgspec.Struct]) -> Mapping[str, object] | None:
    """Return the object that a value stands for, or None if it stands for none."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0]
    if isinstance(value, Mapping):
        return value
    # The field that a text alone stands for, if the struct names one.
    field: str | None = getattr(target, "_text_field", None)
    return {field: value} if field is not None and isinstance(value, str) and value else None


def _read_other_form(value: object, choices: tuple[object, ...], strict: bool) -> object:
    """Return a value that does not have the type of its field, but says the same.

    Raises:
        msgspec.ValidationError: It does not.
    """
    number_types = (int,) if strict else (int, float)  # an id is a whole number
    if str in choices and value.__class__ in number_types:
        return str(value)
    if datetime in choices and (date := _date(value)) is not None:
        return date
    for choice in choices:
        if get_origin(choice) is list and not strict:
            item = get_args(choice)[0]
            if _may_be(value, item) and (items := _list([value], item, strict)):
                return items
    raise msgspec.ValidationError(f"{type(value).__name__} in place of another type")


def _may_be(value: object, target: object) -> bool:
    """Return False for an object that has none of the target's fields."""
    for choice in _choices(target):
        if isinstance(choice, type) and issubclass(choice, msgspec.Struct):
            names = {field.encode_name for field in _fields(choice)}
            return not isinstance(value, Mapping) or not names.isdisjoint(value)
    return True


MAX_SECONDS = 10**11
"""A greater number is a time in milliseconds, as JavaScript and Java count."""


def _date(value: object) -> datetime | None:
    """Return a date that msgspec does not read: a day alone, `+00`, seconds left out, or a number.

    A number is read as milliseconds since the epoch; msgspec itself reads seconds.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    number = whole_number(text)
    try:
        if number is not None and number > MAX_SECONDS:
            return datetime.fromtimestamp(number / 1000, UTC)
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None


@cache  # msgspec resolves all annotations anew each time
def _fields(target: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(target)


def _choices(target: object) -> tuple[object, ...]:
    return get_args(target) if get_origin(target) in (Union, types.UnionType) else (target,)


def _struct(value: Mapping[str, object], target: type[msgspec.Struct]) -> msgspec.Struct:
    # A struct that occurs in other shapes brings a function that returns the documented one.
    reshape = getattr(target, "_reshape", None)
    value = value if reshape is None else reshape(value)
    fields: dict[str, object] = {}
    for field in _fields(target):
        if field.encode_name in value:
            try:
                fields[field.name] = _read(value[field.encode_name], field.type, field.required)
            except msgspec.ValidationError as error:
                if field.required:
                    message = f"{error}, in `{field.encode_name}`"
                    raise msgspec.ValidationError(message) from None
        elif field.required:
            raise msgspec.ValidationError(f"`{field.encode_name}` is missing")
    try:
        return target(**fields)
    except ValueError as error:  # as msgspec does with an error of `__post_init__`
        raise msgspec.ValidationError(str(error)) from None


def _list(value: list[object], item: object, strict: bool) -> list[object]:
    """Return the elements. Skip an invalid element of an optional list."""
    items: list[object] = []
    for element in value:
        try:
            items.append(_read(element, item))
        except msgspec.ValidationError:
            if strict:
                raise
    return items
