"""Turn a flat message into the documented shape.

Other editions of the documentation, and the API itself, also answer with a message without nested
objects. It names its id `message_id`, its times `date_…` and its pack `resource` and `resource_id`.
"""

from collections.abc import Mapping

from mlmsg._patterns import LazyPattern

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
    for name in ("subject", "text", "text_translated"):
        message[name] = _plain_text(message.get(name))
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


_TEXT_KEYS = ("plain", "text", "html")
"""Keys under which a text of several forms may stand, best first."""


def _plain_text(value: object) -> object:
    """Return the text of `{"plain": …}`, and any other value unchanged."""
    if not isinstance(value, Mapping):
        return value
    return next((value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str)), None)


def _dates(value: Mapping[str, object]) -> dict[str, object]:
    found = {
        name: next((value[key] for key in keys if value.get(key)), None)
        for name, keys in _DATES.items()
    }
    return {name: date for name, date in found.items() if date}


def _rows(value: object) -> list[object]:
    """Return the attachments. An empty object stands for none."""
    rows = [row for row in value if row] if isinstance(value, list) else []
    return [_renamed(row, "date_created", "creation_date") for row in rows]


def _moderation(value: object) -> object:
    if not isinstance(value, Mapping):
        return None
    return _renamed(value, "date_moderated", "moderation_date")


def _renamed(value: object, old: str, new: str) -> object:
    """Return an object with the value of `old` under `new`, unless `new` is there."""
    if not isinstance(value, Mapping):
        return value
    return {**value, new: value.get(old)} if value.get(new) is None else value


_PATH_PART = LazyPattern(r"([a-z]{1,20})/([0-9]{1,20})(?=/|\Z)")
"""A kind and an id in a path. The bounds keep a long text from being read again at each letter."""


def _resources(value: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the resource of a message: a name and an id, or a path `/packs/1/sellers/2`."""
    name, found = value.get("resource"), value.get("resource_id")
    if not isinstance(name, str):
        return []
    if parts := _PATH_PART.findall(name):
        return [{"id": number, "name": kind} for kind, number in parts]
    is_id = isinstance(found, int | str) and not isinstance(found, bool)
    return [{"id": str(found), "name": name.strip("/ ")}] if is_id else []
