"""Explain the errors of obstore: the problem in plain words, and what to set.

obstore gives one text: the store, the request and its duration, the answer, and below it a dump of
its own values (obstore 0.12). Its exceptions do not tell these cases apart.
"""

import re
from typing import NamedTuple

__all__ = ["explain_store_error"]


class _Variables(NamedTuple):
    prefix: str
    credentials: str


_VARIABLES = {
    "S3": _Variables("AWS", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    "GCS": _Variables("GOOGLE", "GOOGLE_APPLICATION_CREDENTIALS, the path of a key file"),
    "Azure": _Variables("AZURE", "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
}
"""The variables of each kind of store."""

_STATUS = re.compile(r"non-2xx status code: (\d+ ?[\w ]*)")
_CODE = re.compile(r"<Code>\s*([\w.]+)\s*</Code>")
_HOST = re.compile(r"Error performing \w+ (https?://[^/\s]+)")

_PROBLEMS = (
    (
        r"source: BadScheme",
        (
            "{host} is plain http, which is refused. For a store in your own network, set"
            " {prefix}_ALLOW_HTTP=true"
        ),
    ),
    # Without credentials, obstore asks the metadata service that machines of a cloud have.
    (r"//(169\.254\.169\.254|metadata)\b", "there are no credentials. Set {credentials}"),
    (r"Account must be specified", "the storage account is missing. Set {credentials}"),
    (
        r"InvalidCertificate\(\s*(?P<why>\w+)",
        (
            "the certificate of {host} cannot be verified: {why}. For a private CA, set"
            " SSL_CERT_FILE to the file of its certificate"
        ),
    ),
    (r"BareRedirect", "the bucket is in another region. Set {prefix}_REGION"),
    (r"NoSuchBucket|ContainerNotFound", "the bucket does not exist. Check its name"),
    (
        (
            r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken"
            r"|AuthenticationFailed|status code: 401"
        ),
        "the store rejects the credentials ({answer}). Check {credentials}",
    ),
    (
        r"status code: 403",
        "access is denied ({answer}). The credentials must allow to list, read, write and delete",
    ),
    (r"non-2xx status code", "the store answered {answer}"),
    (r"dns error", "no connection to {host}: the name of the host is unknown"),
    (r'kind: Connect.*message: "(?P<why>[^"]+)"', "no connection to {host}: {why}"),
    (r"kind: Connect", "no connection to {host}"),
    (r"kind: Timeout|TimedOut", "no answer from {host} in time"),
    (r"HTTP error: ", "the connection to {host} was lost"),
)
"""Patterns of obstore's text, and what they mean; the first one that matches counts."""


def explain_store_error(text: str, store: str = "") -> str:
    """Return the meaning of an error of obstore, or the first line of another text.

    Args:
        text: The text of the error.
        store: The name of the class of the store, such as `S3Store`. Without it, the store is the
            one that the text names.
    """
    first_line = text.partition("\n")[0]
    if not first_line.startswith("Generic ") and "Error performing " not in first_line:
        return first_line
    for pattern, words in _PROBLEMS:
        found = re.search(pattern, text, re.DOTALL)
        if found is not None:
            return words.format_map(_values(store or first_line, text) | found.groupdict())
    # The query of an address may contain a signature.
    return re.sub(r"\?\S+", "", first_line.partition(" error: ")[2] or first_line)


def _values(name: str, text: str) -> dict[str, str]:
    kind = re.search("|".join(_VARIABLES), name)
    prefix, credentials = _VARIABLES[kind[0] if kind else "S3"]
    host, status, code = _HOST.search(text), _STATUS.search(text), _CODE.search(text)
    words = [status[1].strip() if status else "", code[1] if code else ""]
    return {
        "prefix": prefix,
        "credentials": credentials,
        "host": host[1] if host else "the store",
        "answer": " ".join(words).strip(),
    }
