"""The API on one screen: one pure function per endpoint, from arguments to a `Request`.

Paths, queries and bodies are those of the document "Post-sale messages".
"""

from urllib.parse import urlencode

import msgspec

from . import _lenient
from ._wire import JsonAnswer, Reply, Request, fill
from .models import Message, Sent, ThreadPage, Upload
from .policy import Effect
from .uploads import Multipart

__all__ = ["download", "message", "pack_page", "send_to_pack", "upload"]

PACK = "/marketplace/messages/packs/{pack_id}"
MESSAGE = "/marketplace/messages/{message_id}"
ATTACHMENTS = "/marketplace/messages/attachments"
ATTACHMENT = "/marketplace/messages/attachments/{attachment_id}"


def pack_page(pack_id: int | str, limit: int, offset: int) -> Request[ThreadPage]:
    """A page of a pack's thread ("Get messages by pack")."""
    return Request(
        operation="packs.page",
        method="GET",
        template=PACK,
        path=fill(PACK, pack_id=pack_id),
        query=f"limit={limit}&offset={offset}",
        answer=_thread_page,
    )


def message(message_id: int | str) -> Request[Message]:
    """One message ("Get message by ID")."""
    return Request(
        operation="messages.get",
        method="GET",
        template=MESSAGE,
        path=fill(MESSAGE, message_id=message_id),
        answer=_one_message,
    )


def send_to_pack(
    pack_id: int | str, text: str, text_translated: str | None, attachments: list[str]
) -> Request[Sent]:
    """A message to the buyer ("Create message")."""
    body: dict[str, object] = {"text": text}
    if text_translated is not None:
        body["text_translated"] = text_translated
    if attachments:
        body["attachments"] = attachments
    return Request(
        operation="packs.send",
        method="POST",
        template=PACK,
        path=fill(PACK, pack_id=pack_id),
        answer=_sent,
        effect=Effect.SEND,
        json=msgspec.json.encode(body),
    )


def upload(site_id: str, file: Multipart) -> Request[Upload]:
    """A file for a later message ("Upload attachment")."""
    return Request(
        operation="attachments.upload",
        method="POST",
        template=ATTACHMENTS,
        path=ATTACHMENTS,
        query=urlencode({"site_id": site_id}),
        answer=_upload,
        effect=Effect.UPLOAD,
        upload=file,
    )


def download(attachment_id: int | str, site_id: str) -> Request[Reply]:
    """The bytes of a file ("Get attachment")."""
    return Request(
        operation="attachments.download",
        method="GET",
        template=ATTACHMENT,
        path=fill(ATTACHMENT, attachment_id=attachment_id),
        query=urlencode({"tag": "post_sale", "site_id": site_id}),
        answer=_as_it_is,
        streamed=True,
    )


_thread_page = JsonAnswer(ThreadPage)
_envelope = JsonAnswer(ThreadPage)
_flat_message = JsonAnswer(Message)
_upload = JsonAnswer(Upload)


def _as_it_is(reply: Reply) -> Reply:
    return reply


def _one_message(reply: Reply) -> Message:
    """From an envelope with one message, or from the message alone."""
    try:
        messages = _envelope(reply).messages
    except msgspec.ValidationError:
        return _flat_message(reply)
    if not messages:
        raise msgspec.ValidationError("the answer holds no message")
    return messages[0]


def _sent(reply: Reply) -> Sent:
    """Whatever the API answers to a send; a success is never an error for its body."""
    try:
        value = _lenient.parse(reply.body)
        if isinstance(value, dict) and isinstance(value.get("messages"), list):
            value = value["messages"]
        if isinstance(value, list):
            value = value[0]
        message = _lenient.convert(value, Message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError):
        message = None
    return Sent(status_code=reply.status, message=message)
