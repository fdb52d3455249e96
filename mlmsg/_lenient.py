"""Read responses value by value if msgspec rejects them.

msgspec rejects a whole page for one invalid value. This module converts each value separately: an
invalid optional value is replaced by its default, an invalid required value is an error.
"""

import json
import types
from collections.abc import Mapping
from typing import TypeVar, Union, get_args, get_origin

import msgspec

__all__ = ["convert", "parse"]

T = TypeVar("T")


def parse(body: bytes) -> object:
    """Return the decoded JSON. Half of a surrogate pair becomes `?`.

    Raises:
        msgspec.DecodeError: The body is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        # The standard library accepts half of a surrogate pair, msgspec does not.
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = ""
        if not text:
            raise
        return msgspec.json.decode(text.encode("utf-8", "replace"))


def convert(value: object, target: type[T]) -> T:
    """Return decoded JSON as a `target`.

    Raises:
        msgspec.ValidationError: A required value is missing or invalid.
    """
    return msgspec.convert(_read(value, target), target)


def _read(value: object, target: object, strict: bool = True) -> object:
    choices = _choices(target)
    for choice in choices:
        if isinstance(choice, type) and issubclass(choice, msgspec.Struct):
            if isinstance(value, Mapping):
                return _struct(value, choice)
        elif get_origin(choice) is list and isinstance(value, list):
            return _list(value, get_args(choice)[0], strict)
    try:
        return msgspec.convert(value, target, strict=False)
    except msgspec.ValidationError:
        if str in choices and value.__class__ is int:
            return str(value)
        raise


def _choices(target: object) -> tuple[object, ...]:
    return get_args(target) if get_origin(target) in (Union, types.UnionType) else (target,)


def _struct(value: Mapping[str, object], target: type[msgspec.Struct]) -> msgspec.Struct:
    fields: dict[str, object] = {}
    for field in msgspec.structs.fields(target):
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
