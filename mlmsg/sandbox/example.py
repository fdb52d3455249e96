"""The market a Sandbox starts with: small, believable, and the same each time."""

from importlib import resources

from mlmsg.sandbox._example_threads import THREADS, Line, Thread
from mlmsg.sandbox.market import Market

__all__ = ["example_market"]

_SELLER_ID = 700100200

# Read while the module is imported, which reads files anyway: later, on the event loop, it
# would block.
_SHIPPED = {
    file.shipped: (resources.files(__package__) / "files" / file.shipped).read_bytes()
    for thread in THREADS
    for line in thread.lines
    for file in line.files
}


def example_market() -> Market:
    """Make the example market anew: 4 packs, 30 messages, 9 files, all of them invented.

    | pack | site | buyer | messages | files |
    |---|---|---|---|---|
    | 2000007001000011 | MLM | Mariana | 14: a delayed, then a broken mug | 2 JPEG, 1 PNG, 1 PDF |
    | 2000007001000022 | MLB | Beatriz | 8, in Portuguese: a dead coffee maker | 1 JPEG, 1 PDF |
    | 2000007001000033 | MCO | Camila | 5: a size to change | 1 PNG, 1 PDF flagged as a threat |
    | 2000007001000044 | MLA | Lucía | 3: a lamp on its way | 1 PDF |

    The files are real ones of 1 to 30 KB. All ids and dates are fixed; nothing is read or awaited.
    """
    market = Market(user_id=_SELLER_ID)
    for thread in THREADS:
        _add(market, thread)
    return market


def _add(market: Market, thread: Thread) -> None:
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
