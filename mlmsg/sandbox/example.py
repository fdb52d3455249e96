"""The market a Sandbox starts with: small, believable, and the same each time."""

from importlib import resources

from mlmsg.sandbox._dates import moment_of, zulu
from mlmsg.sandbox._example_claims import CASES, Case, ClaimLine
from mlmsg.sandbox._example_threads import THREADS, Line, Thread
from mlmsg.sandbox.market import Market

__all__ = ["example_market"]

_SELLER_ID = 700100200

# Read while the module is imported, which reads files anyway: later, on the event loop, it
# would block.
_SHIPPED = {
    file.shipped: (resources.files(__package__) / "files" / file.shipped).read_bytes()
    for told in (*THREADS, *CASES)
    for line in told.lines
    for file in line.files
}


def example_market() -> Market:
    """Make the example market anew: 4 packs, 30 messages, 9 files, 3 claims, all of it invented.

    | pack | site | buyer | messages | files |
    |---|---|---|---|---|
    | 2000007001000011 | MLM | Mariana | 14: a delayed, then a broken mug | 2 JPEG, 1 PNG, 1 PDF |
    | 2000007001000022 | MLB | Beatriz | 8, in Portuguese: a dead coffee maker | 1 JPEG, 1 PDF |
    | 2000007001000033 | MCO | Camila | 5: a size to change | 1 PNG, 1 PDF flagged as a threat |
    | 2000007001000044 | MLA | Lucía | 3: a lamp on its way | 1 PDF |

    Only the newest message of each is unread: for the seller that is one in the last two packs.

    | claim | stage | messages | files |
    |---|---|---|---|
    | 5204000011 | claim | 5: a broken mug again | 2 JPEG, 1 PNG, 1 PDF |
    | 5204000022 | dispute | 6, in Portuguese, some with a mediator | 1 JPEG, 1 PDF |
    | 5204000033 | claim, of "Claims 1.0" | 2: shoes not yet changed | 1 PDF |

    The files are real ones of 1 to 30 KB. All ids and dates are fixed; nothing is read or awaited.
    """
    market = Market(user_id=_SELLER_ID)
    for thread in THREADS:
        _add_thread(market, thread)
    for case in CASES:
        _add_case(market, case)
    return market


def _add_thread(market: Market, thread: Thread) -> None:
    pack = market.add_pack(
        thread.pack_id,
        site_id=thread.site_id,
        buyer_id=thread.buyer_id,
        buyer_name=thread.buyer_name,
        seller_name=thread.seller_name,
        shipping_id=thread.shipping_id,
        status_date=thread.lines[0].at,
    )
    # Everybody has read what they answered to: only the newest message is still unread.
    read_at = [line.at for line in thread.lines[1:]] + [None]
    for line, read in zip(thread.lines, read_at, strict=True):
        market.add_message(
            pack.id,
            line.text,
            author=line.author,
            text_translated=line.translated,
            attachments=_upload(market, line, pack.person(line.author).user_id),
            at=line.at,
            read=read,
        )


def _upload(market: Market, line: Line, user_id: int) -> list[str]:
    return [
        market.add_file(
            _SHIPPED[file.shipped],
            file.original_filename,
            file.content_type,
            user_id=user_id,
            potential_security_threat=file.potential_security_threat,
            creation_date=line.at,
        ).id
        for file in line.files
    ]


def _add_case(market: Market, case: Case) -> None:
    claim = market.add_claim(
        case.claim_id,
        stage=case.stage,
        site_id=case.site_id,
        complainant_id=case.complainant_id,
        mediator_id=case.mediator_id,
        version_1=case.version_1,
        at=case.lines[0].at,
    )
    read_at = [zulu(moment_of(line.at)) for line in case.lines[1:]] + [None]
    for line, read in zip(case.lines, read_at, strict=True):
        market.add_claim_message(
            claim.id,
            line.message,
            sender=line.sender,
            receiver=line.receiver,
            translated_message=line.translated,
            attachments=_attach(market, claim.id, line),
            at=line.at,
            read=read,
            stage=line.stage,
        )


def _attach(market: Market, claim_id: str, line: ClaimLine) -> list[str]:
    return [
        market.add_claim_file(
            claim_id,
            _SHIPPED[file.shipped],
            file.original_filename,
            file.content_type,
            at=line.at,
        ).file_name
        for file in line.files
    ]
