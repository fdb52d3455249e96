"""The claims of a market, their messages and files."""

from collections.abc import Sequence

from mlmsg.sandbox._market.base import MarketBase, Setup, extension
from mlmsg.sandbox.claim_rows import ClaimRow, claim_row
from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.records import Records
from mlmsg.sandbox.schemas.claims import (
    ClaimAction,
    ClaimDetails,
    ClaimMessage,
    ClaimModeration,
    ClaimStatus,
    Resolution,
    Role,
    Stage,
)
from mlmsg.sandbox.schemas.dates import format_claim_date, format_utc, parse_date
from mlmsg.sandbox.searching import Found, Index, Query


class Claims(MarketBase):
    """The claims of a market; see `Market`."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.claims: Records[Claim] = Records(setup.archive.claims)
        self.denied: set[int | str] = set()
        self._claim_index = Index(setup.archive.claim_rows)

    def search_claims(self, query: Query[ClaimRow]) -> Found[ClaimDetails]:
        """Return one page of the claims that a search finds."""
        found = self._claim_index.search(
            query,
            changed=map(claim_row, self.claims.kept.values()),
            replaced=[int(claim_id) for claim_id in self.claims.replaced],
        )
        return Found(found.total, [self._outline(str(row.id)).row() for row in found.rows])

    def _outline(self, claim_id: str) -> Claim:
        kept = self.claims.kept.get(claim_id)
        return kept or self._archive.outline(claim_id) or self.claims[claim_id]

    def add_claim(
        self,
        claim_id: int | str | None = None,
        *,
        stage: Stage = "claim",
        status: str = "opened",
        site_id: str = "MLM",
        complainant_id: int | None = None,
        respondent_id: int | None = None,
        mediator_id: int | None = None,
        version_1: bool = False,
        claim_type: str = "mediations",
        resource: str = "order",
        resource_id: int | str | None = None,
        order_id: int | str | None = None,
        pack_id: int | str | None = None,
        at: str | None = None,
        last_updated: str | None = None,
    ) -> Claim:
        """Add a claim without messages, and return it.

        Its other fields are attributes of `Claim`.

        Args:
            claim_id: The id, in digits; the JSON of the claim has an int.
            stage: A `dispute` has a mediator, a `claim` only with a `mediator_id`.
            status: The status, an open set; players have actions only in `opened`.
            site_id: The site of the sale.
            complainant_id: The complainant: usually the buyer, but the seller of a `cancel_sale`.
                With the market's `user_id`, its type is `seller`, and that of the respondent
                `buyer`.
            respondent_id: The respondent; the market's `user_id` by default.
            mediator_id: The mediator.
            version_1: The claim is of "Claims 1.0": the v2 paths refuse it.
            claim_type: The type, an open set, such as `cancel_sale`.
            resource: The kind of `resource_id`, such as `order` or `shipment`.
            resource_id: The id of the resource; by default the order, or else a new id.
            order_id: The order of the claim; by default the resource, if it is an order.
            pack_id: The pack of the claim.
            at: The date of the claim, such as `2024-08-22T17:31:37.000-04:00`; now by default.
            last_updated: The date of its last change; `at` by default.
        """
        serial = next(self._serial)
        if resource == "order":
            order_id = order_id or resource_id or 2000003000000000 + serial
            resource_id = resource_id or order_id
        claim = Claim(
            id=str(int(5200000000 + serial if claim_id is None else claim_id)),
            site_id=site_id,
            stage=stage,
            status=status,
            type=claim_type,
            resource=resource,
            resource_id=int(resource_id or 2000003000000000 + serial),
            order_id=None if order_id is None else int(order_id),
            pack_id=None if pack_id is None else int(pack_id),
            date_created=at or format_claim_date(self._now()),
            last_updated=last_updated or "",
            version_1=version_1,
        )
        self._add_parties(claim, complainant_id or 700900000 + serial, respondent_id)
        if mediator_id is not None or stage == "dispute":
            claim.add_player("mediator", mediator_id or 700800000 + serial)
        opened = ClaimStatus(stage, status, claim.date_created, "complainant")
        claim.statuses.append(opened)
        self.claims[claim.id] = claim
        return claim

    def _add_parties(self, claim: Claim, complainant_id: int, respondent_id: int | None) -> None:
        is_seller = complainant_id == self.user_id
        claim.add_player("complainant", complainant_id, "seller" if is_seller else None)
        claim.add_player(
            "respondent", respondent_id or self.user_id, "buyer" if is_seller else None
        )

    def update_claim(
        self,
        claim_id: int | str,
        *,
        status: str | None = None,
        stage: Stage | None = None,
        resolution: Resolution | None = None,
        changed_by: str = "mediator",
        at: str | None = None,
    ) -> Claim:
        """Change a claim, move its `last_updated`, and return it; None changes nothing.

        Args:
            claim_id: The id of a claim of this market.
            status: The new status; a claim that is not `opened` leaves its players no actions.
            stage: The new stage. A `dispute` does not add a mediator; `Claim.add_player` does.
            resolution: The resolution.
            changed_by: The role in the history of the status.
            at: The date of the change, such as `2024-08-22T17:31:37.000-04:00`; now by default.

        Raises:
            KeyError: The market has no such claim.
        """
        claim = self.claims[str(claim_id)]
        at = at or format_claim_date(self._now())
        claim.status = status or claim.status
        claim.stage = stage or claim.stage
        claim.resolution = resolution or claim.resolution
        if status is not None or stage is not None:
            claim.renew_actions()
            claim.statuses.append(ClaimStatus(claim.stage, claim.status, at, changed_by))
        claim.touch(at)
        return claim

    def add_claim_message(
        self,
        claim_id: int | str,
        message: str,
        *,
        sender: Role = "complainant",
        receiver: Role | None = None,
        translated_message: str | None = None,
        attachments: Sequence[str] = (),
        at: str | None = None,
        read: str | None = None,
        stage: Stage | None = None,
        status: str = "available",
    ) -> ClaimMessage:
        """Add the newest message of a claim, and return it; add the oldest message first.

        Args:
            claim_id: The id of a claim of this market.
            message: The text.
            sender: The role of the author. Its available actions are not checked.
            receiver: The role of the receiver: by default the respondent, or the complainant
                for a message of the respondent.
            translated_message: The text in the language of the receiver.
            attachments: The names of files of this claim.
            at: The date of the message, such as `2024-08-22T17:31:37.000-04:00`; now by
                default.
            read: The read date, such as `2024-08-22T21:32:21Z`.
            stage: The stage of the message; the claim's by default.
            status: The status, an open set; `available` by default.

        Raises:
            KeyError: The market has no such claim, or the claim no such file.
        """
        claim = self.claims[str(claim_id)]
        at = at or format_claim_date(self._now())
        added = ClaimMessage(
            sender_role=sender,
            receiver_role=receiver or ("complainant" if sender == "respondent" else "respondent"),
            message=message,
            translated_message=translated_message,
            date_created=at,
            last_updated=at,
            message_date=at,
            date_read=read,
            attachments=[claim.files[name].attachment() for name in attachments],
            status=status,
            stage=stage or claim.stage,
            message_moderation=ClaimModeration("clean", "", "online", format_utc(parse_date(at))),
            repeated=False,
        )
        claim.messages.insert(0, added)
        action = f"send_message_to_{added.receiver_role}"
        claim.actions.append(ClaimAction(action, sender, None, added.stage, claim.status, at))
        claim.touch(at)
        return added

    def add_claim_file(
        self,
        claim_id: int | str,
        data: bytes,
        original_filename: str,
        content_type: str = "application/octet-stream",
        *,
        file_name: str | None = None,
        at: str | None = None,
    ) -> ClaimFile:
        """Store a file of a claim under `<uuid>.<ext>`, or `file_name`, and return it.

        Raises:
            KeyError: The market has no such claim.
        """
        stored = ClaimFile(
            file_name=file_name or f"{self._uuid('claim file')}{extension(original_filename)}",
            data=data,
            original_filename=original_filename,
            content_type=content_type,
            date_created=at or format_claim_date(self._now()),
        )
        self.claims[str(claim_id)].files[stored.file_name] = stored
        return stored
