"""The threads of packs, and single messages (Post-sale messages)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import TypeAlias

from mlmsg import _operations
from mlmsg._arguments import check_callback, check_id, check_sequence
from mlmsg._characters import unsupported_characters
from mlmsg._date_walk import Moment, as_moment, ignore_total
from mlmsg._misuse import explain_misuse
from mlmsg._reconcile import SendReconciler, pack_fingerprint
from mlmsg._session import Session
from mlmsg._wire import Request
from mlmsg.errors import (
    ApiError,
    BadRequest,
    NotFound,
    PermissionDenied,
    RecipientUnknown,
    RuleError,
)
from mlmsg.models import (
    Conversation,
    ConversationStatus,
    Message,
    PackRef,
    Sent,
    ThreadPage,
    Upload,
)
from mlmsg.paging import walk
from mlmsg.rules import (
    check_attachment_count,
    check_page,
    check_site_id,
    check_text,
    check_text_length,
)
from mlmsg.uploads import SourceLike

from ._orders import OrderSearch
from ._recipient import blocked_hint, newest_counterpart, recipient_without_counterpart
from ._seller import Seller, check_user_id
from ._shared import SOURCES
from .attachments import Attachments

__all__ = ["Messages", "Packs"]

AttachmentLike: TypeAlias = str | Upload
"""The id of an uploaded file, or the result of its upload."""

UPLOADS = "a list of Uploads or their ids"
"""The words of an error for the `attachments` that a message takes."""

_PAGE = 50
"""Messages requested at a time to find the recipient."""


@explain_misuse("client.packs")
class Packs:
    """The threads of packs (Post-sale messages).

    The same methods serve both families of sellers. For a domestic seller they use the seller
    thread, always with `mark_as_read=false`.
    """

    def __init__(
        self,
        session: Session,
        seller: Seller,
        attachments: Attachments,
        reconciler: SendReconciler[Message],
    ) -> None:
        self._session = session
        self._seller = seller
        self._attachments = attachments
        self._orders = OrderSearch(session, seller)
        self._reconciler = reconciler

    async def page(self, pack_id: int | str, limit: int = 50, offset: int = 0) -> ThreadPage:
        """Return one page of a thread. Reading marks nothing as read.

        Args:
            pack_id: The pack, or the order if it belongs to no pack.
            limit: Messages to return, 1 or more. The server may return fewer: `paging.limit` says
                how many it allows.
            offset: Messages to skip, 0 or more.

        Raises:
            RuleError: An argument is out of range. Nothing was sent.
            NotFound: There is no such pack.
        """
        limit, offset = check_page(limit, offset)
        if not self._seller.is_domestic:
            return await self._session.send(_operations.pack_page(pack_id, limit, offset))
        check_id("pack_id", pack_id)
        seller_id = await self._seller.user_id()
        request = _operations.seller_thread(
            pack_id, seller_id, limit, offset, mark_as_read=False, operation="packs.page"
        )
        return await self._session.send(request)

    def messages(
        self, pack_id: int | str, *, page_size: int = 50, concurrency: int = 8
    ) -> AsyncGenerator[Message, None]:
        """Yield every message of a thread, in the server's order. Reading marks nothing as read.

        Each message comes once, also if messages come and go meanwhile. A message that exists
        during the whole walk is never missed. After the first page, pages are fetched ahead of the
        loop; leaving the loop stops that at once. See `mlmsg.paging`.

        Args:
            pack_id: The pack.
            page_size: Messages requested at a time. A server that returns fewer is followed.
            concurrency: Pages that are requested, or wait for the loop, at the same time.

        Raises:
            RuleError: An argument is out of range. Nothing was sent.
            NotFound: There is no such pack.
        """
        fetch = partial(self._fetch, pack_id)
        return walk(fetch, _message_id, limit=page_size, concurrency=concurrency)

    def all(
        self,
        *,
        since: Moment,
        until: Moment | None = None,
        on_total: Callable[[int], object] | None = None,
    ) -> AsyncGenerator[PackRef, None]:
        """Yield every pack whose orders were updated in a span of time, each once.

        The time of the updates is cut into slices, which are walked from old to new. Within a
        slice the order is that of the search: first all other orders, then the cancelled ones. At
        last come the orders that are updated during the walk. Of a domestic seller, the API knows
        orders of the last twelve months. Not verified: whether of Global Selling too.

        In Global Selling, each order is read to learn its pack, and the search allows 100 requests
        a minute, which all walks of a client share.

        Args:
            since: The first moment of the last update: an aware datetime, or a date (its first
                moment in UTC). `date.min` stands for everything.
            until: The moment after the last one, or None: until the end of the walk.
            on_total: Called with the number of packs that is expected, as far as the search tells
                it: first the number of orders, then corrected, and at the end the true number.

        Raises:
            RuleError: A datetime has no zone. Nothing was sent.
            OrdersUnreadable: Some orders could not be read. It is raised at the end, after all
                other packs. If 20 orders in a row cannot be read, the error of the last one is
                raised at once.
            TransportError: More orders than one query returns have the same hour of update.
        """
        begin = as_moment("since", since)
        end = None if until is None else as_moment("until", until)
        check_callback("`on_total`", on_total, "one int")
        return self._orders.walk(begin, end, on_total or ignore_total)

    async def of_order(self, order_id: int | str) -> PackRef:
        """Return the pack of an order. The order itself is read ("Orders", get an order).

        Raises:
            RuleError: `order_id` is not the id of an order. Nothing was sent.
            NotFound: There is no such order.
        """
        return await self._orders.pack_of(order_id)

    async def conversation(
        self, pack_id: int | str, *, page_size: int = 50, concurrency: int = 8
    ) -> Conversation:
        """Return a whole thread: its messages and its state. Reading marks nothing as read.

        Args:
            pack_id: The pack.
            page_size: Messages requested at a time. A server that returns fewer is followed.
            concurrency: Pages that are requested at the same time.

        Raises:
            RuleError: An argument is out of range. Nothing was sent.
            NotFound: There is no such pack.
        """
        states: list[ConversationStatus | None] = []

        async def fetch(offset: int, limit: int) -> ThreadPage:
            page = await self.page(pack_id, limit, offset)
            states.append(page.conversation_status)
            return page

        pages = walk(fetch, _message_id, limit=page_size, concurrency=concurrency)
        messages = [message async for message in pages]
        return Conversation(messages=messages, status=states[0])  # the first is fetched alone

    async def send(
        self,
        pack_id: int | str,
        text: str,
        *,
        text_translated: str | None = None,
        to: int | str | None = None,
        attachments: Sequence[AttachmentLike] = (),
        files: Sequence[SourceLike] = (),
        site_id: str | None = None,
    ) -> Sent:
        """Send a message to the buyer, at most once.

        All rules are checked first. A domestic seller's thread is then read to find the recipient,
        unless `to` is given. Then `files` are uploaded side by side, and the message is sent. An
        accepted message is not yet delivered: moderation may reject it, see `Sent`.

        Args:
            pack_id: The pack, or the order if it belongs to no pack.
            text: The text; not empty. In a domestic thread that was read, its
                `seller_max_message_length` is the limit.
            text_translated: The same text in the buyer's language. Global Selling only.
            to: The user id of the recipient. Domestic only. By default the newest counterpart of
                the thread.
            attachments: Files that were uploaded before; 25 at most together with `files`.
            files: Files to upload now: paths, bytes, open files, … as `attachments.upload` takes.
            site_id: The order's site, such as `"MLM"`. Needed for `files`.

        Raises:
            RuleError: A rule is broken. Nothing was sent.
            RecipientUnknown: The thread of a domestic seller does not show the recipient. Nothing
                was sent: pass `to=`. If the thread is blocked, the hint says what to do.
            PermissionDenied: The conversation is blocked; the hint says what to do. A blocked
                thread of a domestic seller raises this if its recipient is known, otherwise
                `RecipientUnknown`.
            OutcomeUnknown: The message may or may not have been delivered. `await
                error.reconcile()` returns the delivered `Message`, or None.
            asyncio.CancelledError: The send was cancelled, for example by `asyncio.timeout`. If the
                message may have been delivered, it has a note, and `OutcomeUnknown.find_in`
                returns the error to reconcile.
        """
        check_text(text)
        self._check_family_arguments(text_translated, to)
        check_sequence("`attachments`", attachments, UPLOADS)
        ids = [_attachment_id(item) for item in attachments]
        check_attachment_count(len(ids) + len(check_sequence("`files`", files, SOURCES)))
        if files:
            check_site_id(site_id)
        check_id("pack_id", pack_id)
        recipient, status = await self._recipient(pack_id, text, to, site_id)
        if files:
            ids += [upload.id for upload in await self._attachments.upload_all(files, site_id)]
        request = await self._send_request(pack_id, text, text_translated, recipient, ids)
        sending, thread = self._session.send(request), partial(self.messages, pack_id)
        try:
            return await self._reconciler.track(
                sending, str(pack_id), text, ids, thread, pack_fingerprint
            )
        except (BadRequest, PermissionDenied) as error:
            _explain_refusal(error, text, status)
            raise

    def _check_family_arguments(self, text_translated: str | None, to: int | str | None) -> None:
        if text_translated is not None:
            check_text(text_translated, "text_translated")
            if self._seller.is_domestic:
                hint = "Only Global Selling takes a translation: leave it out"
                raise RuleError("`text_translated` of a domestic seller", "a text", "None", hint)
        if to is not None:
            check_user_id("to", to)
            if not self._seller.is_domestic:
                hint = "A Global Selling message has no recipient field: leave it out"
                raise RuleError("`to` of a Global Selling seller", repr(to), "None", hint)

    async def _recipient(
        self, pack_id: int | str, text: str, to: int | str | None, site_id: str | None
    ) -> tuple[int | None, ConversationStatus | None]:
        """Return the recipient of a domestic message, and the thread's state if it was read."""
        if not self._seller.is_domestic:
            return None, None
        if to is not None:
            return check_user_id("to", to), None
        seller_id = await self._seller.user_id()
        first = page = await self._page_or_unknown(pack_id, 0)
        check_text_length(text, first.seller_max_message_length)
        seen: dict[str, Message] = {}
        while True:
            count = len(seen)
            seen |= {message.id: message for message in page.messages}
            is_complete = len(seen) == count or (page.total is not None and len(seen) >= page.total)
            messages = list(seen.values())
            recipient = newest_counterpart(messages, seller_id, is_complete=is_complete)
            if recipient is None and is_complete:
                site = site_id or next((m.site_id for m in messages if m.site_id), None)
                recipient = recipient_without_counterpart(
                    first.conversation_status, site, len(messages)
                )
            if recipient is not None:
                return recipient, first.conversation_status
            page = await self._page_or_unknown(pack_id, len(seen))

    async def _page_or_unknown(self, pack_id: int | str, offset: int) -> ThreadPage:
        try:
            return await self.page(pack_id, _PAGE, offset)
        except NotFound as error:
            raise RecipientUnknown("no thread (404)") from error

    async def _send_request(
        self,
        pack_id: int | str,
        text: str,
        text_translated: str | None,
        recipient: int | None,
        ids: list[str],
    ) -> Request[Sent]:
        if recipient is None:
            return _operations.send_to_pack(pack_id, text, text_translated, ids)
        seller_id = await self._seller.user_id()
        return _operations.send_as_seller(pack_id, seller_id, recipient, text, ids)

    async def _fetch(self, pack_id: int | str, offset: int, limit: int) -> ThreadPage:
        return await self.page(pack_id, limit, offset)


@explain_misuse("client.messages")
class Messages:
    """Single messages (Post-sale messages)."""

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._seller = seller

    async def get(self, message_id: int | str) -> Message:
        """Return one message by its id. Reading marks nothing as read.

        Raises:
            NotFound: There is no such message. The documents advise to try again after a few
                seconds: a new message may not be stored yet.
        """
        request = _operations.message(message_id, family=self._seller.family)
        return await self._session.send(request)


def _message_id(message: Message) -> str:
    return message.id


def _attachment_id(item: AttachmentLike) -> str:
    if isinstance(item, Upload):
        return item.id
    return check_id("attachments", item, "an Upload, or the id of one")


def _explain_refusal(error: ApiError, text: str, status: ConversationStatus | None) -> None:
    """Add a hint that needs to know the text, or the state of the thread."""
    if isinstance(error, BadRequest) and "not supported" in error.message:
        names = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in unsupported_characters(text))
        if names:
            error.add_hint(f"Outside of ISO-8859-1 and emoji: {names}")
    if isinstance(error, PermissionDenied) and status is not None and status.status == "blocked":
        error.add_hint(blocked_hint(status), replace=True)
