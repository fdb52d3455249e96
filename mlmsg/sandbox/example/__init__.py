"""The market of a default Sandbox: small, believable, and the same in every run."""

from importlib import resources

from mlmsg.sandbox.example.claims import CLAIMS, ClaimScript, ScriptedClaimMessage
from mlmsg.sandbox.example.threads import THREADS, ScriptedMessage, ThreadScript
from mlmsg.sandbox.market import Market
from mlmsg.sandbox.schemas.dates import format_utc, parse_date

__all__ = ["example_market"]

_SELLER_ID = 700100200

# Read on import, which reads files anyway: later, on the event loop, reading would block.
_FILES = {
    file.source: (resources.files(__package__) / "files" / file.source).read_bytes()
    for script in (*THREADS, *CLAIMS)
    for message in script.messages
    for file in message.files
}


def example_market() -> Market:
    """Return a new example market: 4 packs, 30 messages, 9 files, 3 claims, all invented.

    | pack | site | buyer | messages | files |
    |---|---|---|---|---|
    | 2000007001000011 | MLM | Mariana | 14: a delay, then a broken mug | 2 JPEG, 1 PNG, 1 PDF |
    | 2000007001000022 | MLB | Beatriz | 8, in Portuguese: a dead coffee maker | 1 JPEG, 1 PDF |
    | 2000007001000033 | MCO | Camila | 5: shoes of the wrong size | 1 PNG, 1 PDF with a threat |
    | 2000007001000044 | MLA | Lucía | 3: a lamp on its way | 1 PDF |

    Only the newest message of each pack is unread. In the last two packs it is one to the seller.

    | claim | stage | messages | files |
    |---|---|---|---|
    | 5204000011 | claim | 5: a broken mug again | 2 JPEG, 1 PNG, 1 PDF |
    | 5204000022 | dispute | 6, in Portuguese, some with a mediator | 1 JPEG, 1 PDF |
    | 5204000033 | claim, of "Claims 1.0" | 2: shoes not yet exchanged | 1 PDF |

    The files are real ones of 1 to 30 KB. All ids and dates are constant, and no file is read.
    """
    market = Market(user_id=_SELLER_ID)
    for thread in THREADS:
        _add_thread(market, thread)
    for claim in CLAIMS:
        _add_claim(market, claim)
    return market


def _add_thread(market: Market, script: ThreadScript) -> None:
    pack = market.add_pack(
        script.pack_id,
        site_id=script.site_id,
        buyer_id=script.buyer_id,
        buyer_name=script.buyer_name,
        seller_name=script.seller_name,
        shipping_id=script.shipping_id,
        status_date=script.messages[0].at,
    )
    # A message was read when the next one was written, so only the newest is unread.
    read_dates = [message.at for message in script.messages[1:]] + [None]
    for message, read in zip(script.messages, read_dates, strict=True):
        market.add_message(
            pack.id,
            message.text,
            author=message.author,
            text_translated=message.translated,
            attachments=_add_files(market, message, pack.person(message.author).user_id),
            at=message.at,
            read=read,
        )


def _add_files(market: Market, message: ScriptedMessage, user_id: int) -> list[str]:
    return [
        market.add_file(
            _FILES[file.source],
            file.original_filename,
            file.content_type,
            user_id=user_id,
            potential_security_threat=file.potential_security_threat,
            creation_date=message.at,
        ).id
        for file in message.files
    ]


def _add_claim(market: Market, script: ClaimScript) -> None:
    claim = market.add_claim(
        script.claim_id,
        stage=script.stage,
        site_id=script.site_id,
        complainant_id=script.complainant_id,
        mediator_id=script.mediator_id,
        version_1=script.version_1,
        at=script.messages[0].at,
    )
    read_dates = [format_utc(parse_date(message.at)) for message in script.messages[1:]] + [None]
    for message, read in zip(script.messages, read_dates, strict=True):
        market.add_claim_message(
            claim.id,
            message.text,
            sender=message.sender,
            receiver=message.receiver,
            translated_message=message.translated,
            attachments=_add_claim_files(market, claim.id, message),
            at=message.at,
            read=read,
            stage=message.stage,
        )


def _add_claim_files(market: Market, claim_id: str, message: ScriptedClaimMessage) -> list[str]:
    return [
        market.add_claim_file(
            claim_id,
            _FILES[file.source],
            file.original_filename,
            file.content_type,
            at=message.at,
        ).file_name
        for file in message.files
    ]
