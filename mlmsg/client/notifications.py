"""Notifications that could not be delivered ("Missed feeds")."""

from collections.abc import AsyncGenerator
from hashlib import sha256

from mlmsg import _operations
from mlmsg._arguments import check_id, check_int
from mlmsg._misuse import explain_misuse
from mlmsg._session import Session
from mlmsg.errors import NotificationError
from mlmsg.notifications import Notification, parse

__all__ = ["Notifications"]

MAX_PAGES_WITHOUT_OBJECTS = 10
"""Pages in a row without any object, such as pages of `null`, after which the walk ends."""


@explain_misuse("client.notifications")
class Notifications:
    """Notifications that could not be delivered ("Missed feeds")."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def missed(
        self, app_id: int | str, topic: str | None = None, *, page_size: int = 50
    ) -> AsyncGenerator[Notification, None]:
        """Yield the notifications of the last two days that were not delivered, each once.

        The API keeps a notification after its eighth failed delivery, and returns it again until
        two days are over: there is no way to acknowledge it. It keeps none of a time in which the
        topic was switched off. Elements that are not about messages or claims are left out.

        The answers carry no total, and their largest size is not documented. So a short page is
        not taken for the last one: the walk ends with an empty page, or with one that has nothing
        new. This is inferred.

        Args:
            app_id: The application's id.
            topic: `messages`, `post_purchase`, `marketplace_messages`, `marketplace_claims`, or
                None for all.
            page_size: Elements requested at a time. Not verified: the largest number. A server
                that returns fewer is followed.

        Raises:
            PermissionDenied: The application belongs to somebody else.
        """
        check_id("app_id", app_id)
        page_size = check_int("`page_size` of missed notifications", page_size, 1)
        seen: set[object] = set()
        offset = stale_pages = 0
        while True:
            request = _operations.missed_feeds(app_id, topic, page_size, offset)
            elements = list(map(bytes, await self._session.send(request)))
            objects = [element for element in elements if element.startswith(b"{")]
            count = len(seen)
            for element in objects:
                notification = _parse_or_none(element)
                identity = _identity(element, notification)
                if identity not in seen:
                    seen.add(identity)
                    if notification is not None:
                        yield notification
            # A server that ignores the offset repeats itself for ever. A page without any object
            # does not show whether it does.
            stale_pages = 0 if len(seen) > count else stale_pages + 1
            if stale_pages and (objects or not elements or stale_pages > MAX_PAGES_WITHOUT_OBJECTS):
                return
            offset += len(elements)


def _parse_or_none(element: bytes) -> Notification | None:
    try:
        return parse(element)
    except NotificationError:
        return None


def _identity(element: bytes, notification: Notification | None) -> object:
    if notification is None:
        return sha256(element).digest()  # an application may have many that are large
    if notification.notification_id is not None:
        return notification.topic, notification.notification_id
    return notification.topic, notification.resource, notification.sent
