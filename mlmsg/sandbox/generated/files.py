"""Small valid files of an exact size, derived from a key: JPEG, PNG and PDF."""

from hashlib import shake_128
from struct import pack
from zlib import compress, crc32

__all__ = ["KINDS", "MIN_BYTES", "make_file"]

MIN_BYTES = 1024
"""The smallest size of a file."""

KINDS = (("jpg", "image/jpeg"), ("png", "image/png"), ("pdf", "application/pdf"))
"""The extension and the MIME type of each kind."""

# A larger file repeats its noise, which costs less than more of it.
_NOISE_BYTES = 8192
# The longest comment of a JPEG, without its length.
_MAX_COMMENT_BYTES = 65_533


def make_file(extension: str, key: str, size: int) -> bytes:
    """Return a file of exactly `size` bytes; the same key gives the same bytes.

    Args:
        extension: The extension of one of `KINDS`.
        key: Any text; files with other keys have other bytes.
        size: The number of bytes, `MIN_BYTES` at least.
    """
    block = shake_128(key.encode()).digest(min(size, _NOISE_BYTES))
    noise = block * (size // len(block) + 1)
    make = {"jpg": _make_jpeg, "png": _make_png, "pdf": _make_pdf}[extension]
    return make(noise, size)


def _make_png(noise: bytes, size: int) -> bytes:
    """Return a picture of 8 x 8 pixels of one color; a private chunk fills it up."""
    header = pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    pixels = compress((b"\x00" + noise[:3] * 8) * 8)
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    end = _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    filler = size - len(start) - len(end) - len(_chunk(b"prVt", b""))
    return start + _chunk(b"prVt", noise[:filler]) + end


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))


def _make_jpeg(noise: bytes, size: int) -> bytes:
    """Return a gray picture of 8 x 8 pixels; comments fill it up."""
    # A shade is coded as "category 6" (110) and six bits, then the end of the block (0), then
    # ones up to the next whole byte.
    shade = (0b110 << 13) | ((noise[0] & 0b111111) << 7) | 0b0111111
    scan = _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + shade.to_bytes(2, "big")
    end = (
        _segment(0xDB, b"\x00" + b"\x01" * 64)
        + _segment(0xC0, b"\x08\x00\x08\x00\x08\x01\x01\x11\x00")
        # Codes of three bits for seven categories, and of one bit for the end of a block.
        + _segment(0xC4, b"\x00" + bytes([0, 0, 7] + [0] * 13) + bytes(range(7)))
        + _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\x00")
        + scan
        + b"\xff\xd9"
    )
    start = b"\xff\xd8" + _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
    return start + _comments(noise, size - len(start) - len(end)) + end


def _comments(noise: bytes, size: int) -> bytes:
    """Return comments of `size` bytes together, at least 4."""
    comments = []
    while size:
        # Four bytes stay for the frame of the last comment.
        length = min(size - 4, _MAX_COMMENT_BYTES)
        if 0 < size - 4 - length < 4:
            length -= 4
        comments.append(_segment(0xFE, noise[:length]))
        size -= length + 4
    return b"".join(comments)


def _segment(marker: int, data: bytes) -> bytes:
    return pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _make_pdf(noise: bytes, size: int) -> bytes:
    """Return a document of one empty page; an unused stream fills it up."""
    return _write_pdf(noise[: size - len(_write_pdf(b""))])


def _write_pdf(filler: bytes) -> bytes:
    # Numbers of a constant width, so that the size of the rest does not depend on the filler.
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
        b"<</Length %08d>>\nstream\n%s\nendstream" % (len(filler), filler),
    )
    document = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(document)
    count = len(objects) + 1
    document += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return document + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%010d\n%%%%EOF\n" % (
        count,
        start,
    )
