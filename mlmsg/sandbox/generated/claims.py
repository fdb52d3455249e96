"""The claims of a generated market with their messages and files."""

from collections.abc import Iterator

from mlmsg.sandbox.claims import Claim, ClaimFile
from mlmsg.sandbox.generated.claim_facts import ClaimFacts, claim_facts
from mlmsg.sandbox.generated.files import KINDS, make_file
from mlmsg.sandbox.generated.plan import FIRST_CLAIM_ID, Plan
from mlmsg.sandbox.generated.texts import message_text
from mlmsg.sandbox.packs import Author
from mlmsg.sandbox.records import Records
from mlmsg.sandbox.schemas.claims import (
    ClaimAction,
    ClaimAttachment,
    ClaimMessage,
    ClaimModeration,
    ClaimStatus,
)
from mlmsg.sandbox.schemas.dates import format_claim_date, format_utc, from_milliseconds

__all__ = ["GeneratedClaims"]


class GeneratedClaims:
    """The claims of a plan, the oldest one first."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __len__(self) -> int:
        return self._plan.claims

    def __iter__(self) -> Iterator[str]:
        return (str(FIRST_CLAIM_ID + number) for number in range(self._plan.claims))

    def __contains__(self, key: object) -> bool:
        return self._number(str(key)) is not None

    def find(self, key: str) -> Claim | None:
        """Return the claim with this id, or None."""
        claim, number = self.outline(key), self._number(key)
        if claim is None or number is None:
            return None
        facts = claim_facts(self._plan, number)
        files = _ClaimFiles(self._plan, facts)
        claim.files = Records(files, keeps=False)
        for part in range(self._plan.messages):
            message = self._make_message(facts, files, part)
            claim.messages.insert(0, message)
            claim.actions.append(_action(message))
        return claim

    def outline(self, key: str) -> Claim | None:
        """Return the claim with this id without its messages and files, or None."""
        number = self._number(key)
        if number is None:
            return None
        facts = claim_facts(self._plan, number)
        created, updated = _date(facts.created), _date(facts.updated)
        claim = Claim(
            id=key,
            site_id=facts.site_id,
            status=facts.status,
            date_created=created,
            last_updated=updated,
            stage=facts.stage,
            type=facts.type,
            resource_id=facts.resource_id,
            order_id=facts.resource_id,
            pack_id=facts.pack_id or None,
            reason_id=facts.reason_id,
        )
        is_own = facts.type == "cancel_sale"
        claim.add_player("complainant", facts.complainant_id, "seller" if is_own else None)
        claim.add_player("respondent", facts.respondent_id, "buyer" if is_own else None)
        if facts.mediator_id:
            claim.add_player("mediator", facts.mediator_id)
        claim.statuses.append(ClaimStatus("claim", "opened", created, "complainant"))
        if facts.status == "closed":
            claim.statuses.append(ClaimStatus(facts.stage, "closed", updated, "mediator"))
        return claim

    def _number(self, key: str) -> int | None:
        number = int(key) - FIRST_CLAIM_ID if key.isdecimal() and key.isascii() else -1
        return number if 0 <= number < self._plan.claims else None

    def _make_message(self, facts: ClaimFacts, files: "_ClaimFiles", part: int) -> ClaimMessage:
        """Return a message by its place in the claim, of which 0 is the oldest."""
        is_newest = part == self._plan.messages - 1
        at = facts.message_date(self._plan, part)
        next_at = at if is_newest else facts.message_date(self._plan, part + 1)
        author: Author = "buyer" if self._plan.is_from_buyer(part) else "seller"
        text, english = message_text(
            author, facts.site_id, self._plan.bits("claim text", facts.number, part)
        )
        roles = (facts.other_role, facts.seller_role)
        sender, receiver = roles if author == "buyer" else roles[::-1]
        return ClaimMessage(
            sender_role=sender,
            receiver_role=receiver,
            message=text,
            translated_message=english if author == "buyer" else None,
            date_created=_date(at),
            last_updated=_date(at),
            message_date=_date(at),
            date_read=format_utc(from_milliseconds(next_at)),
            attachments=files.attachments(part),
            status="available",
            stage=facts.stage,
            message_moderation=ClaimModeration(
                "clean", "", "online", format_utc(from_milliseconds(at))
            ),
            repeated=False,
        )


class _ClaimFiles:
    """The files of one claim; their bytes are made when they are asked for."""

    def __init__(self, plan: Plan, facts: ClaimFacts) -> None:
        self._plan = plan
        self._facts = facts

    def __len__(self) -> int:
        return self._plan.files

    def __iter__(self) -> Iterator[str]:
        return map(self._name, range(self._plan.files))

    def __contains__(self, key: object) -> bool:
        return key in list(self)

    def find(self, key: str) -> ClaimFile | None:
        """Return the file with this name, or None."""
        for part in range(self._plan.files):
            if self._name(part) == key:
                attachment = self._attachment(part)
                return ClaimFile(
                    file_name=key,
                    data=make_file(key.rpartition(".")[2], key, self._plan.file_bytes),
                    original_filename=attachment.original_filename,
                    content_type=attachment.type,
                    date_created=attachment.date_created,
                )
        return None

    def attachments(self, message: int) -> list[ClaimAttachment]:
        """Return the files of the message at this place of the claim, without their bytes."""
        return [self._attachment(part) for part in self._plan.files_of_message(message)]

    def _attachment(self, part: int) -> ClaimAttachment:
        extension, content_type = self._kind(part)
        return ClaimAttachment(
            filename=self._name(part),
            original_filename=f"archivo {part + 1}.{extension}",
            size=self._plan.file_bytes,
            date_created=_date(self._facts.message_date(self._plan, part % self._plan.messages)),
            type=content_type,
        )

    def _name(self, part: int) -> str:
        unique = self._plan.uuid("claim file", self._facts.number, part)
        return f"{unique}.{self._kind(part)[0]}"

    def _kind(self, part: int) -> tuple[str, str]:
        return KINDS[(self._facts.number + part) % len(KINDS)]


def _action(message: ClaimMessage) -> ClaimAction:
    return ClaimAction(
        action_name=f"send_message_to_{message.receiver_role}",
        player_role=message.sender_role,
        action_reason_id=None,
        claim_stage=message.stage,
        claim_status="opened",
        date_created=message.date_created,
    )


def _date(milliseconds: int) -> str:
    return format_claim_date(from_milliseconds(milliseconds))
