"""Claims, their messages and their files (Messages claims)."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import TypeAlias, TypeVar

from mlmsg import _operations
from mlmsg._arguments import check_callback, check_id, check_sequence
from mlmsg._date_walk import Moment, OnTotal, as_moment, ignore_total
from mlmsg._misuse import explain_misuse
from mlmsg._multipart import Multipart
from mlmsg._reconcile import SendReconciler, claim_fingerprint
from mlmsg._session import Session
from mlmsg.downloads import Download, Saved
from mlmsg.errors import ActionNotAvailable
from mlmsg.models import (
    Claim,
    ClaimAttachment,
    ClaimDetail,
    ClaimMessage,
    ClaimMessages,
    ClaimPage,
    ClaimSent,
    ClaimUpload,
)
from mlmsg.pictures import Picture
from mlmsg.rules import CLAIM_FILES, RECEIVERS, check_receiver, check_text
from mlmsg.uploads import Progress, Source, SourceLike, open_source

from ._searches import ClaimSearch
from ._seller import Seller
from ._shared import SOURCES, download_with, open_download, save_download, upload_all

__all__ = ["Claims", "walk_claims"]

R = TypeVar("R")

AttachmentLike: TypeAlias = str | ClaimUpload
"""The name of an uploaded file, or the result of its upload."""

UPLOADS = "a list of ClaimUploads or file names"
"""The words of an error for the `attachments` that a message takes."""


@explain_misuse("client.claims")
class Claims:
    """Claims, their messages and their files (Messages claims).

    The API serves some claims only under the v1 path; the client then repeats the request there.
    """

    def __init__(self, session: Session, seller: Seller) -> None:
        self._session = session
        self._family = seller.family
        self._search = ClaimSearch(session, seller)
        self._reconciler = SendReconciler[ClaimMessage](session.clock_offset)

    async def messages(self, claim_id: int | str) -> ClaimMessages:
        """Return all messages of a claim; the API has no paging here.

        Raises:
            NotFound: There is no such claim.
            PermissionDenied: The claim belongs to another seller. The API may also answer so for a
                claim that does not exist.
        """
        return await self._session.send(_operations.claim_messages(claim_id, family=self._family))

    async def get(self, claim_id: int | str) -> Claim:
        """Return a claim: its stage, its players, and the actions that each of them has now."""
        return await self._session.send(_operations.claim(claim_id, family=self._family))

    async def detail(self, claim_id: int | str) -> ClaimDetail:
        """Return a claim in words: title, description, problem, due date, and who must act.

        The texts are in the language of the account ("Claims", detail).
        """
        request = _operations.claim_detail(claim_id, family=self._family)
        return await self._session.send(request)

    async def search(
        self,
        *,
        status: str | None = None,
        limit: int = 30,
        offset: int = 0,
        role: str = "respondent",
        **filters: int | str | None,
    ) -> ClaimPage:
        """Return one page of the seller's claims ("Claims", search).

        The seller's own id and role are added to the query. For all claims of a seller ask both
        roles, or use `all`.

        Args:
            status: `"opened"`, `"closed"`, or None. A misspelling of these is rejected; any other
                word is sent, because the documents do not say that these are all.
            limit: Claims to return, 1 to 100.
            offset: Claims to skip. A domestic search allows `offset + limit` under 10,000.
            role: The seller's role: `"respondent"`, or `"complainant"` as in cancelled sales.
                Global Selling does not ask for it.
            filters: `id`, `type`, `stage`, `resource` with `resource_id`, `reason_id`, `site_id`,
                `order_id` or `pack_id`, `range`, `sort`; domestic also `payment_id`, `parent_id`.

        Raises:
            RuleError: A filter is unknown, or a pair of filters is not allowed. Nothing was sent.
        """
        return await self._search.page(limit, offset, role, {"status": status, **filters})

    def all(
        self,
        *,
        since: Moment,
        until: Moment | None = None,
        status: str | None = None,
        on_total: Callable[[int], object] | None = None,
    ) -> AsyncGenerator[Claim, None]:
        """Yield every claim that was updated in a span of time, each once.

        Both roles of the seller and all statuses are asked. The time of the updates is cut into
        slices, which are walked from old to new. Within a slice each role and status comes in the
        order of the updates, the respondent before the complainant, and `opened` before `closed`.
        At last come the claims that are updated during the walk. A row of the search that is not an
        object is left out, and the log has a warning.

        Args:
            since: The first moment of the last update: an aware datetime, or a date (its first
                moment in UTC). `date.min` stands for everything.
            until: The moment after the last one, or None: until the end of the walk.
            status: `"opened"`, `"closed"`, or None for both; checked as by `search`.
            on_total: Called with the number of claims that is expected, as far as the search tells
                it, and at the end with the true number.

        Raises:
            RuleError: A datetime has no zone, or the status is misspelled. Nothing was sent.
            TransportError: More claims than one query returns have the same millisecond of update.
        """
        begin = as_moment("since", since)
        end = None if until is None else as_moment("until", until)
        check_callback("`on_total`", on_total, "one int")
        return self._search.walk(begin, end, status, on_total or ignore_total)

    async def upload(
        self,
        claim_id: int | str,
        source: SourceLike,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        progress: Progress | None = None,
    ) -> ClaimUpload:
        """Upload a file for a later message of the claim.

        Args:
            claim_id: The claim.
            source: Any source that `attachments.upload` accepts. It must be a JPG, PNG or PDF of at
                most 5 MB; the first bytes are checked before anything is sent.
            filename: The name to store, at most 125 characters of `a-zA-Z0-9._-`. Default: the
                name of the source, if it has one.
            content_type: The MIME type. Default: guessed from the name.
            progress: Called with the bytes sent and the total. A retry starts from 0 again.

        Raises:
            RuleError: A rule is broken, or the content does not match the name. Nothing was sent.
        """
        check_id("claim_id", claim_id)
        async with open_source(
            source, CLAIM_FILES, filename=filename, content_type=content_type
        ) as file:
            return await self._upload(claim_id, file, progress)

    async def send(
        self,
        claim_id: int | str,
        text: str,
        *,
        receiver_role: str,
        attachments: Sequence[AttachmentLike] = (),
        files: Sequence[SourceLike] = (),
        check: bool = False,
        sender_role: str = "respondent",
    ) -> ClaimSent:
        """Send a message to another player of the claim, at most once.

        All rules are checked first. Then `files` are uploaded concurrently, and the message is
        sent. An accepted message is not yet delivered: moderation may reject it.

        Args:
            claim_id: The claim.
            text: The text; not empty.
            receiver_role: `"complainant"`, `"respondent"` or `"mediator"`.
            attachments: Files that were uploaded to this claim before.
            files: Files to upload now.
            check: True to read the claim first, and to send only if your role may do so now.
            sender_role: Your own role, for `check`. A seller is usually the respondent. A role that
                the claim does not have may take no action.

        Raises:
            RuleError: A rule is broken. Nothing was sent.
            ActionNotAvailable: With `check`: the claim accepts no message to that role now.
            OutcomeUnknown: The message may or may not have been delivered. `await
                error.reconcile()` returns the delivered `ClaimMessage`, or None.
            asyncio.CancelledError: The send was cancelled, for example by `asyncio.timeout`. If the
                message may have been delivered, it has a note, and `OutcomeUnknown.find_in`
                returns the error to reconcile.
        """
        check_text(text)
        check_receiver(receiver_role)
        check_receiver(sender_role, "sender_role")
        check_id("claim_id", claim_id)
        names = [_file_name(item) for item in check_sequence("`attachments`", attachments, UPLOADS)]
        check_sequence("`files`", files, SOURCES)
        if check:
            _check_action(await self.get(claim_id), receiver_role, sender_role)
        if files:
            uploads = await upload_all(
                files, CLAIM_FILES, lambda file: self._upload(claim_id, file)
            )
            names += [upload.file_name for upload in uploads]
        request = _operations.send_to_claim(
            claim_id, text, receiver_role, names, family=self._family
        )
        sending, thread = self._session.send(request), partial(self._each, claim_id)
        to = f"{claim_id} {receiver_role}"
        fingerprint = partial(claim_fingerprint, to=receiver_role)
        return await self._reconciler.track(sending, to, text, names, thread, fingerprint)

    async def attachment(self, claim_id: int | str, file_name: str) -> ClaimAttachment:
        """Return the names, the size, the date and the type of a file of the claim."""
        return await self._session.send(_operations.claim_file(claim_id, file_name))

    def open(self, claim_id: int | str, file_name: str) -> AbstractAsyncContextManager[Download]:
        """Open a file. Use it as `async with client.claims.open(...) as download:`.

        Args:
            claim_id: The claim.
            file_name: `filename` of one of a message's attachments, not `original_filename`.
        """
        request = _operations.claim_download(claim_id, file_name, family=self._family)
        return open_download(self._session, request, str(file_name))

    async def download_with(
        self, claim_id: int | str, file_name: str, handler: Callable[[Download], Awaitable[R]]
    ) -> R:
        """Return the result of `handler` for a file. Retried if the network fails meanwhile.

        Args:
            claim_id: The claim.
            file_name: `filename` of one of a message's attachments, not `original_filename`.
            handler: An async function that is called with the `Download`. Each attempt calls it
                again with a new one, so it must start from the beginning. Its own exceptions are
                raised unchanged and end the attempts.

        Raises:
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        request = _operations.claim_download(claim_id, file_name, family=self._family)
        return await download_with(self._session, request, str(file_name), handler)

    async def download(
        self,
        claim_id: int | str,
        file_name: str,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Saved:
        """Save a file, completely or not at all. Retried if the network fails meanwhile.

        Args:
            claim_id: The claim.
            file_name: `filename` of one of a message's attachments, not `original_filename`.
            to: A folder or a file path, as `Download.save` accepts it.
            overwrite: True to replace an existing file.
            progress: Called with the bytes received and the total (None: unknown). A retry starts
                from 0 again.

        Raises:
            TargetExists: The file exists, and `overwrite` is false.
            IncompleteDownload: The file was empty or truncated in every attempt.
            OSError: The file cannot be written.
        """
        request = _operations.claim_download(claim_id, file_name, family=self._family)
        return await save_download(
            self._session, request, str(file_name), to, overwrite=overwrite, progress=progress
        )

    async def read(self, claim_id: int | str, file_name: str) -> bytes:
        """Return a whole file in memory. Retried if the network fails meanwhile.

        Args:
            claim_id: The claim.
            file_name: `filename` of one of a message's attachments, not `original_filename`.

        Raises:
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        return await self.download_with(claim_id, file_name, Download.read)

    async def picture(self, claim_id: int | str, file_name: str) -> Picture:
        """Return an image that a notebook shows.

        Args:
            claim_id: The claim.
            file_name: `filename` of one of a message's attachments, not `original_filename`.

        Raises:
            RuleError: The file is not a PNG or JPEG image.
            IncompleteDownload: The file was empty or truncated in every attempt.
        """
        return Picture(await self.read(claim_id, file_name))

    async def _each(self, claim_id: int | str) -> AsyncGenerator[ClaimMessage, None]:
        for message in await self.messages(claim_id):
            yield message

    async def _upload(
        self, claim_id: int | str, source: Source, progress: Progress | None = None
    ) -> ClaimUpload:
        file = Multipart.from_source(source, progress)
        return await self._session.send(
            _operations.claim_upload(claim_id, file, family=self._family)
        )


def _check_action(claim: Claim, receiver: str, sender: str) -> None:
    """Raise `ActionNotAvailable` if the sender may not write to the receiver now."""
    available = {role: claim.actions_of({sender} - {role}) for role in RECEIVERS}
    if RECEIVERS[receiver] not in available[receiver]:
        found = tuple(sorted(available[receiver]))
        open_roles = tuple(role for role, needed in RECEIVERS.items() if needed in available[role])
        raise ActionNotAvailable(RECEIVERS[receiver], found, open_roles)


def _file_name(item: AttachmentLike) -> str:
    if isinstance(item, ClaimUpload):
        return item.file_name
    return check_id("attachments", item, "a ClaimUpload, or the file name of one")


def walk_claims(
    claims: Claims,
    since: datetime,
    on_gap: Callable[[], object],
    *,
    until: datetime | None = None,
    on_total: OnTotal = ignore_total,
) -> AsyncGenerator[Claim, None]:
    """Walk as `claims.all` does, and call `on_gap` for each page that has rows that are left out.

    A mirror must not be called complete without the files of these claims.
    """
    return claims._search.walk(since, until, None, on_total, on_gap)  # noqa: SLF001  (of this module)
