"""Read responses value by value if msgspec rejects them.

msgspec rejects a whole page for one invalid value. This module converts each value separately. It
keeps a value in another form than documented if the form is plain: one object in place of a list, a
list of one in place of an object, a text in place of an object that has one main text, a number in
place of a text, a date in another spelling. Any other invalid optional value is replaced by its
default. An invalid required value is an error.

An invalid element of an optional list is left out. So is an element of a required list that is not
an object, if its struct allows that by `_can_be_left_out`. Messages do not: a thread without one of
them would let a send be repeated that was delivered, or a file be missing in a mirror.
"""

import json
import math
import re
import types
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec

from ._numbers import whole_number
from ._patterns import LazyPattern
from ._text_encoding import decode_text, decode_unmarked_utf_16

__all__ = ["Place", "convert", "parse"]

T = TypeVar("T")

Place: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value of a document."""

_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes that could not be decoded. An identifier with it is not the API's."""


def parse(body: bytes) -> object:
    """Decode JSON, also with the faults that servers make.

    A byte order mark and raw control characters, in a text or around the whole, are accepted, and
    UTF-16 with or without such a mark. Bytes that are not UTF-8 become U+FFFD, halves of surrogate
    pairs become `?`. An unknown escape stands for its own characters. NaN, Infinity and numbers
    that Python cannot represent become None. Faults that no JSON library makes, such as trailing
    commas, are errors.

    Raises:
        msgspec.DecodeError: The body is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = str(error)
    for candidate in _texts(body):
        try:
            value = _TOLERANT.decode(candidate)
            plain = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            return msgspec.json.decode(plain)
        except (ValueError, RecursionError, msgspec.DecodeError):
            continue
    raise msgspec.DecodeError(problem)


def _texts(body: bytes) -> Iterator[str]:
    """Yield the texts that a body may stand for, the likeliest first."""
    text = decode_text(body).strip(_AROUND)
    yield text
    yield _ESCAPE.sub(_escape, text)
    yield decode_unmarked_utf_16(body).strip(_AROUND)


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


def convert(value: object, target: type[T], left_out: list[Place] | None = None) -> T:
    """Return decoded JSON as a `target`. Append the places of skipped elements to `left_out`.

    Raises:
        msgspec.ValidationError: A required value is missing or invalid. Nothing is appended.
    """
    places: list[Place] = []
    result = msgspec.convert(_Reader(places).read(value, target), target)
    if left_out is not None:
        left_out += places
    return result


class _Reader:
    """Read one document.

    A method that reads a value appends the places of what it leaves out, as seen from that value.
    Its caller then puts the key or index of the value before them.
    """

    def __init__(self, left_out: list[Place]) -> None:
        self._left_out = left_out

    def read(self, value: object, target: object, strict: bool = True) -> object:
        """Return a value as msgspec converts it to its target, or a struct, or a list of these."""
        choices = _choices(target)
        if strict and isinstance(value, str) and _REPLACED in value:
            # An id with another character may be the id of something else.
            raise msgspec.ValidationError("a character is not UTF-8")
        for choice in choices:
            if isinstance(choice, type) and issubclass(choice, msgspec.Struct):
                row = _row(value, choice)
                if row is not None:
                    return self._struct(row, choice)
            elif get_origin(choice) is list and isinstance(value, list):
                return self._list(value, get_args(choice)[0], strict)
        try:
            return msgspec.convert(value, target, strict=False)
        except msgspec.ValidationError:
            return self._read_other_form(value, choices, strict)

    def _read_other_form(self, value: object, choices: tuple[object, ...], strict: bool) -> object:
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
                if _may_be(value, item):
                    return [self.read(value, item)]
        raise msgspec.ValidationError(f"{type(value).__name__} in place of another type")

    def _struct(self, value: Mapping[str, object], target: type[msgspec.Struct]) -> msgspec.Struct:
        # A struct that occurs in other shapes brings a function that returns the documented one.
        reshape = getattr(target, "_reshape", None)
        value = value if reshape is None else reshape(value)
        fields: dict[str, object] = {}
        for field in _fields(target):
            name = field.encode_name
            if name in value:
                begin = len(self._left_out)
                try:
                    fields[field.name] = self.read(value[name], field.type, field.required)
                    self._move_into(name, begin)
                except msgspec.ValidationError as error:
                    del self._left_out[begin:]
                    if field.required:
                        raise msgspec.ValidationError(f"{error}, in `{name}`") from None
            elif field.required:
                raise msgspec.ValidationError(f"`{name}` is missing")
        try:
            return target(**fields)
        except ValueError as error:  # as msgspec does with an error of `__post_init__`
            raise msgspec.ValidationError(str(error)) from None

    def _list(self, value: list[object], item: object, strict: bool) -> list[object]:
        """Return the elements. Leave out an invalid one if the list allows it."""
        items: list[object] = []
        for index, element in enumerate(value):
            begin = len(self._left_out)
            try:
                items.append(self.read(element, item))
                self._move_into(index, begin)
            except msgspec.ValidationError:
                if strict and not _can_be_left_out(element, item):
                    raise
                self._left_out[begin:] = [(index,)]
        return items

    def _move_into(self, part: str | int, begin: int) -> None:
        """Put a part before the places that were added since `begin`."""
        if len(self._left_out) > begin:
            self._left_out[begin:] = [(part, *place) for place in self._left_out[begin:]]


def _can_be_left_out(element: object, item: object) -> bool:
    """Return True for an element of a required list that is no object, if its struct allows it."""
    return bool(getattr(item, "_can_be_left_out", False)) and not isinstance(element, Mapping)


def _row(value: object, target: type[msgspec.Struct]) -> Mapping[str, object] | None:
    """Return the object that a value stands for, or None if it stands for none."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0]
    if isinstance(value, Mapping):
        return value
    # The field that a text alone stands for, if the struct names one.
    field: str | None = getattr(target, "_text_field", None)
    return {field: value} if field is not None and isinstance(value, str) and value else None


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
