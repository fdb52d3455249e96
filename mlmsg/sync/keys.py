"""Where things are kept in the target: pure names, safe on every file system and in every bucket.

A key never leaves its thread, and no two attachments of a thread share one.
"""

import hashlib
import re

from mlmsg.rules import safe_filename

__all__ = ["MANIFEST", "QUARANTINE", "segment"]

MANIFEST = "manifest.json"
QUARANTINE = "quarantine"

_HASHED = re.compile(r"[0-9a-f]{10}-")


def segment(name: str) -> str:
    """An id or a file name as one segment of a key.

    A safe name stays as it is. Any other is made safe, which may give two names the same result,
    and so gets the beginning of its own SHA-256 before it; as does a safe one that looks like
    that, or like a manifest.
    """
    safe = safe_filename(name)
    if safe == name and safe.lower() != MANIFEST and not _HASHED.match(safe):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{digest}-{safe}"
