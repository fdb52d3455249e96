"""Turn a flat message into the documented shape.

Other editions of the documentation, and the API itself, also answer with a message without nested
objects. It names its id `message_id`, its times `date_…` and its pack `resource` and `resource_id`.
"""

from collections.abc import Mapping

__all__ = ["unflatten"]

_DATES = {
    "created": ("date_created", "date"),
    "received": ("date_received",),
    "available": ("date_available",),
    "notified": ("date_notified",),
    "read": ("date_read",),
}


def unflatten(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return a message in the documented shape. Keys of that shape are never overwritten."""
    message = dict(value)
    if not message.get("id"):
        message["id"] = message.get("message_id")
    for name in ("from", "to"):
        message[name] = _first(message.get(name))
    text = message.get("text")
    if isinstance(text, Mapping):
        message["text"] = text.get("plain")
    _add(message, "message_date", _dates(value))
    _add(message, "message_attachments", _rows(value.get("attachments")))
    _add(message, "message_moderation", _moderation(value.get("moderation")))
    _add(message, "message_resources", _resources(value))
    return {name: found for name, found in message.items() if found is not None}


def _add(message: dict[str, object], name: str, found: object) -> None:
    if not message.get(name) and found:
        message[name] = found


def _first(value: object) -> object:
    """Return the first element of a list of users, and any other value unchanged."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _dates(value: Mapping[str, object]) -> dict[str, object]:
    found = {
        name: next((value[key] for key in keys if value.get(key)), None)
        for name, keys in _DATES.items()
    }
    return {name: date for name, date in found.items() if date}


def _rows(value: object) -> list[object]:
    """Return the attachments. An empty object stands for none."""
    return [row for row in value if row] if isinstance(value, list) else []


def _moderation(value: object) -> object:
    if not isinstance(value, Mapping):
        return None
    moderation = dict(value)
    if moderation.get("moderation_date") is None:
        moderation["moderation_date"] = moderation.pop("date_moderated", None)
    return moderation


def _resources(value: Mapping[str, object]) -> list[dict[str, object]]:
    name, found = value.get("resource"), value.get("resource_id")
    is_id = isinstance(found, int | str) and not isinstance(found, bool)
    return [{"id": str(found), "name": name}] if isinstance(name, str) and is_id else []
