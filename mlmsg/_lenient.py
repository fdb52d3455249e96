"""The second, forgiving reading of an answer that does not fit its struct.

msgspec refuses a whole page for one odd value. Here each value is read on its own: an optional one
that does not fit is left at its default, a required one still fails.
"""

import json
import types
from collections.abc import Mapping
from typing import TypeVar, Union, get_args, get_origin

import msgspec

__all__ = ["convert", "parse"]

T = TypeVar("T")


def parse(body: bytes) -> object:
    """`body` decoded from JSON; what is left of a character that was cut in two becomes `?`.

    Raises:
        msgspec.DecodeError: It is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        # The standard library lets half a surrogate pair pass, msgspec does not.
        try:
            text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = ""
        if not text:
            raise
        return msgspec.json.decode(text.encode("utf-8", "replace"))


def convert(value: object, target: type[T]) -> T:
    """`value`, as decoded from JSON, as a `target`.

    Raises:
        msgspec.ValidationError: Something required is missing or of another kind.
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
    except ValueError as error:  # what msgspec itself makes of a struct's own check
        raise msgspec.ValidationError(str(error)) from None


def _list(value: list[object], item: object, strict: bool) -> list[object]:
    """The elements; what cannot be read of an optional list costs only that element."""
    items: list[object] = []
    for element in value:
        try:
            items.append(_read(element, item))
        except msgspec.ValidationError:
            if strict:
                raise
    return items
