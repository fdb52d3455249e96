"""The example market: it agrees with its docstring, and its files are real ones."""

import re
import struct
import zlib
from datetime import datetime
from itertools import pairwise

import pytest
from blockbuster import blockbuster_ctx
from sandboxes import EXAMPLE, MUGS, SEED_FILE

from mlmsg.sandbox import Claim, Market, Message, Sandbox, StoredFile, example_market

MARKET = example_market()


FILES = {file.original_filename: file for file in MARKET.files.values()}


MESSAGES = [message for pack in MARKET.packs.values() for message in pack.messages]


DATE = re.compile(r"2024-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def of_type(content_type: str) -> list[StoredFile]:
    return [file for file in FILES.values() if file.content_type == content_type]


def test_the_packs_are_those_of_the_docstring() -> None:
    text = example_market.__doc__ or ""
    assert (len(MARKET.packs), len(MESSAGES), len(FILES)) == (4, 30, 9)
    assert "4 packs, 30 messages, 9 files" in text
    rows = re.findall(r"\| (\d+) \| (M\w\w) \| (\w+) \| (\d+)\b[^|]*\| ([^|]*) \|", text)
    assert [
        (pack.id, pack.site_id, pack.buyer_name, str(len(pack.messages)))
        for pack in MARKET.packs.values()
    ] == [row[:4] for row in rows]
    for pack, row in zip(MARKET.packs.values(), rows, strict=True):
        kinds = [
            attachment.type.partition("/")[2].upper()
            for message in pack.messages
            for attachment in message.message_attachments or []
        ]
        told = {kind: int(count) for count, kind in re.findall(r"(\d) (\w+)", row[4])}
        assert {kind: kinds.count(kind) for kind in kinds} == told


def test_one_thread_is_longer_than_the_default_page() -> None:
    lengths = sorted(len(pack.messages) for pack in MARKET.packs.values())
    assert lengths[0] >= 3
    assert [length > 10 for length in lengths] == [False, False, False, True]


def test_it_is_the_same_each_time_but_not_shared() -> None:
    other = example_market()
    assert other.files == MARKET.files
    assert other.packs == MARKET.packs
    other.packs.clear()
    other.files.clear()
    assert example_market().packs == MARKET.packs


async def test_a_sandbox_has_the_example_market_by_default() -> None:
    with blockbuster_ctx():
        assert Sandbox().market.packs == MARKET.packs
        assert Sandbox(market=Market()).market.packs == {}


def test_threads_are_newest_first_and_belong_together() -> None:
    for pack in MARKET.packs.values():
        created = [message.message_date.created for message in pack.messages]
        assert all(DATE.fullmatch(date) for date in created)
        assert all(newer > older for newer, older in pairwise(created))
        firsts = [message.conversation_first_message for message in pack.messages]
        assert firsts == [False] * (len(firsts) - 1) + [True]
        for message in pack.messages:
            people = {message.sender.user_id, message.recipient.user_id}
            assert people == {pack.seller_id, pack.buyer_id}
            assert [resource.id for resource in message.message_resources] == [
                pack.id,
                str(pack.seller_id),
            ]


def test_only_the_newest_message_of_a_thread_is_unread() -> None:
    for pack in MARKET.packs.values():
        newest, *others = pack.messages
        assert newest.message_date.read is None
        for message in others:
            assert (message.message_date.read or "") > message.message_date.created


def test_both_sides_write_and_only_the_buyers_words_are_translated() -> None:
    for pack in MARKET.packs.values():
        assert {message.sender.user_id for message in pack.messages} == {
            pack.seller_id,
            pack.buyer_id,
        }
    translated = [message for message in MESSAGES if message.text_translated]
    bought = [message for message in MESSAGES if message.sender.user_id != MARKET.user_id]
    assert translated == bought
    assert all(message.text != message.text_translated for message in MESSAGES)


def test_ids_are_unique() -> None:
    assert len({message.id for message in MESSAGES}) == 30
    assert all(re.fullmatch(r"[0-9a-f]{32}", message.id) for message in MESSAGES)


def sender_of(file: StoredFile) -> Message:
    (message,) = [
        message
        for message in MESSAGES
        for attachment in message.message_attachments or []
        if attachment.filename == file.id
    ]
    return message


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_every_file_was_uploaded_by_the_sender_of_one_message(file: StoredFile) -> None:
    message = sender_of(file)
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    extension = re.escape(file.original_filename[-4:])
    assert re.fullmatch(rf"{message.sender.user_id}_{uuid}{extension}", file.id)
    assert file.creation_date == message.message_date.created
    assert file.attachment() in (message.message_attachments or [])
    assert 1000 < file.size <= 30_000


def test_names_are_as_people_give_them() -> None:
    assert "Captura de pantalla 2024-08-22 a la(s) 4.12.28 p.m..png" in FILES
    assert "nota fiscal nº 1042.pdf" in FILES
    assert sum(" " in name for name in FILES) >= 5
    assert sum(not name.isascii() for name in FILES) >= 4


def test_one_file_is_flagged_as_a_threat() -> None:
    (flagged,) = [file for file in FILES.values() if file.potential_security_threat]
    (attachment,) = sender_of(flagged).message_attachments or []
    assert attachment.potential_security_threat


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file, their checksums checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, position = [], 8
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        content = png[position + 4 : position + 8 + length]
        assert struct.unpack_from(">I", png, position + 8 + length) == (zlib.crc32(content),)
        found.append((content[:4], content[4:]))
        position += 12 + length
    return found


def test_png_files_are_real() -> None:
    files = of_type("image/png")
    assert len(files) == 2
    for file in files:
        found = chunks(file.data)
        assert (found[0][0], found[-1]) == (b"IHDR", (b"IEND", b""))
        # No text, time or profile in there: nothing tells where they were made.
        assert {name for name, _ in found} == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
        width, height, depth, color, *_, interlaced = struct.unpack(">IIBBBBB", found[0][1])
        assert (color, interlaced) == (3, 0)
        pixels = zlib.decompress(b"".join(data for name, data in found if name == b"IDAT"))
        assert len(pixels) == height * (1 + (width * depth + 7) // 8)


def test_jpeg_files_are_real() -> None:
    files = of_type("image/jpeg")
    assert len(files) == 3
    for file in files:
        assert file.data.startswith(b"\xff\xd8\xff\xe0")
        assert file.data[6:11] == b"JFIF\0"
        assert file.data.endswith(b"\xff\xd9")
        frame = file.data.index(b"\xff\xc0")
        height, width = struct.unpack_from(">HH", file.data, frame + 5)
        assert min(height, width) >= 480
        # Neither Exif nor a comment.
        assert b"Exif" not in file.data
        assert b"\xff\xfe" not in file.data


def test_pdf_files_are_real() -> None:
    files = of_type("application/pdf")
    assert len(files) == 4
    for file in files:
        assert file.data.startswith(b"%PDF-1.")
        assert file.data.rstrip().endswith(b"%%EOF")
        start = re.search(rb"startxref\s+(\d+)\s+%%EOF", file.data)
        assert start is not None
        table = file.data[int(start[1]) :]
        assert table.startswith(b"xref")
        entries = re.findall(rb"(\d{10}) 00000 n", table)
        assert len(entries) >= 5
        for number, entry in enumerate(entries, start=1):
            assert file.data[int(entry) :].startswith(b"%d 0 obj" % number)
        assert b"/CreationDate (D:20000101000000+00'00')" in file.data


def test_the_claims_are_those_of_the_docstring() -> None:
    text = example_market.__doc__ or ""
    assert f"{len(EXAMPLE.claims)} claims" in text
    rows = re.findall(r"\| (\d{10}) \| (claim|dispute)([^|]*)\| (\d+)\b[^|]*\| ([^|]*) \|", text)
    assert [row[0] for row in rows] == list(EXAMPLE.claims)
    for claim, (_, stage, version, count, files) in zip(EXAMPLE.claims.values(), rows, strict=True):
        kinds = [file.content_type.partition("/")[2].upper() for file in claim.files.values()]
        assert (claim.stage, len(claim.messages)) == (stage, int(count))
        assert claim.version_1 == ("Claims 1.0" in version)
        told = {kind: int(number) for number, kind in re.findall(r"(\d) (\w+)", files)}
        assert {kind: kinds.count(kind) for kind in kinds} == told
    unread = {count.resource.split("/")[2]: count.count for count in EXAMPLE.unread("seller")}
    assert unread == dict.fromkeys(list(EXAMPLE.packs)[-2:], 1)


def test_the_example_is_the_same_each_time_but_not_shared() -> None:
    other = example_market()
    assert other.claims == EXAMPLE.claims
    other.claims[MUGS].messages.clear()
    other.claims[MUGS].player("respondent").available_actions.clear()
    other.denied.add(MUGS)
    again = example_market()
    assert again.claims == EXAMPLE.claims
    assert again.denied == set()


@pytest.mark.parametrize("claim", EXAMPLE.claims.values(), ids=EXAMPLE.claims)
def test_claims_of_the_example_belong_together(claim: Claim) -> None:
    newest, *others = claim.messages
    assert newest.date_read is None
    assert all(message.date_read for message in others)
    for newer, older in pairwise(claim.messages):
        assert datetime.fromisoformat(newer.date_created) > datetime.fromisoformat(
            older.date_created
        )
        assert newer.stage == older.stage or (older.stage, newer.stage) == ("claim", "dispute")
        assert datetime.fromisoformat(older.date_read or "") == datetime.fromisoformat(
            newer.date_created
        )
    roles = {player.role for player in claim.players}
    for message in claim.messages:
        assert {message.sender_role, message.receiver_role} <= roles
        # What the seller wrote needs no translation, what came to the seller has one.
        assert (message.translated_message is None) == (message.sender_role == "respondent")
    listed = [file for message in reversed(claim.messages) for file in message.attachments]
    assert listed == [file.attachment() for file in claim.files.values()]
    assert all(1000 < file.size <= 30_000 for file in claim.files.values())


def test_the_example_names_a_file_as_the_seed_does() -> None:
    names = [file.original_filename for file in EXAMPLE.claims[MUGS].files.values()]
    assert SEED_FILE["original_filename"] in names
