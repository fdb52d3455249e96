"""Name the keys of the target: pure, and safe on every file system and in every bucket.

A key never leaves its thread, and no two attachments of a thread share one, not even on a file
system that folds names: by case, by Unicode form, or by dropping dots and spaces at the end.
"""

import hashlib
import re
from functools import lru_cache

from mlmsg.rules import safe_filename

__all__ = ["MANIFEST", "QUARANTINE", "segment"]

MANIFEST = "manifest.json"
QUARANTINE = "quarantine"

_HASHED = re.compile(r"[0-9a-f]{16}-")


@lru_cache(4096)
def segment(name: str) -> str:
    """Return an id or a file name as one segment of a key.

    A safe name in lower case stays as it is. Any other name is made safe and gets the beginning of
    its SHA-256 as a prefix, because two such names may become the same one, here or on a file
    system that ignores case. A name that looks like such a result, or like a manifest, gets the
    prefix too.
    """
    safe = safe_filename(name)
    if safe == name == name.lower() and name != MANIFEST and not _HASHED.match(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{digest}-{safe}"
