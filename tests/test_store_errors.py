"""The errors of object stores say what is wrong and what to set, in plain words."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from obstore.store import AzureStore, S3Store
from rawserver import answers, each, raw_server
from tls import server_context

from mlmsg import RuleError
from mlmsg.sync import TargetError
from mlmsg.sync.bucket import Bucket
from mlmsg.sync.store_errors import explain_store_error

AWS: Final = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
AZURE: Final = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"

# Before version 0.11, obstore says nothing of the body that came with a 503.
_OBSTORE = tuple(map(int, version("obstore").split(".")[:2]))
CODE_OF_503: Final = " SlowDown" if _OBSTORE >= (0, 11) else ""


def s3(url: str, *, allow_http: bool = True) -> Bucket:
    return Bucket(
        S3Store(
            "archive",
            endpoint=url,
            region="us-east-1",
            access_key_id="a",
            secret_access_key="b",
            virtual_hosted_style_request=False,
            client_options={"allow_http": allow_http},
            retry_config={"max_retries": 0},
        )
    )


def error(code: str) -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code></Error>'.encode()


ANSWERS: Final = {
    "no bucket": (404, error("NoSuchBucket"), "the bucket does not exist. Check its name"),
    "another region": (301, b"", "the bucket is in another region. Set AWS_REGION"),
    "a wrong key": (
        403, error("InvalidAccessKeyId"),
        f"the store rejects the credentials (403 Forbidden InvalidAccessKeyId). Check {AWS}",
    ),
    "no permission": (
        403, error("AccessDenied"),
        (
            "access is denied (403 Forbidden AccessDenied). The credentials must allow to list,"
            " read, write and delete"
        ),
    ),
    "a busy store": (
        503, error("SlowDown"), f"the store answered 503 Service Unavailable{CODE_OF_503}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answers_of_a_store(name: str) -> None:
    status, body, words = ANSWERS[name]
    async with store_server(status, body) as url:
        for call in calls(s3(url)):
            assert await message(call) == f"packs/1: {words}"


async def test_a_store_at_a_plain_http_address() -> None:
    async with raw_server(each(answers(200))) as server:
        problem = await message(calls(s3(server.url, allow_http=False))[0])
    assert problem == (
        f"packs/1: {server.url} is plain http, which is refused. For a store in your own network,"
        " set AWS_ALLOW_HTTP=true"
    )
    assert not server.requests


async def test_nothing_listens_there() -> None:
    async with raw_server(each(answers(200))) as server:
        url = server.url
    for call in calls(s3(url)):
        assert await message(call) == f"packs/1: no connection to {url}: Connection refused"


@pytest.mark.slow
async def test_a_certificate_that_nobody_knows() -> None:
    async with raw_server(each(answers(200)), tls=server_context()) as server:
        problem = await message(calls(s3(server.url))[0])
    assert problem == (
        f"packs/1: the certificate of {server.url} cannot be verified: UnknownIssuer. For a private"
        " CA, set SSL_CERT_FILE to the file of its certificate"
    )


async def test_another_store_names_its_own_variables() -> None:
    async with store_server(403, error("AuthenticationFailed")) as url:
        store = AzureStore(
            "archive",
            account_name="a",
            account_key="Yg==",
            endpoint=url,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        assert (await message(calls(Bucket(store))[0])).endswith(f"Check {AZURE}")


def test_a_missing_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(RuleError) as caught:
        Bucket.open("az://archive/mirror")
    assert caught.value.hint == f"the storage account is missing. Set {AZURE}"


METADATA: Final = "Error performing PUT http://169.254.169.254/latest/api/token in 1 ms - "
TEXTS: Final = {
    f"Generic S3 error: {METADATA}Server returned non-2xx status code: 403 Forbidden: x": (
        f"there are no credentials. Set {AWS}"
    ),
    f"Generic GCS error: {METADATA}HTTP error: error sending request": (
        "there are no credentials. Set GOOGLE_APPLICATION_CREDENTIALS, the path of a key file"
    ),
    "Generic S3 error: something new at https://a/b?signature=s3cret today\n\nDebug source: X": (
        "something new at https://a/b today"
    ),
    "Generic S3 error: Error performing PUT http://a:1/b in 1 ms - HTTP error: error sending": (
        "the connection to http://a:1 was lost"
    ),
    "[Errno 28] No space left on device": "[Errno 28] No space left on device",
    "Object at location a not found: b\n\nDebug source:": "Object at location a not found: b",
}
"""The metadata service of a cloud is not on this machine: its errors are texts here."""


@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_of_obstore(text: str) -> None:
    assert explain_store_error(text) == TEXTS[text]


@asynccontextmanager
async def store_server(status: int, body: bytes) -> AsyncIterator[str]:
    """Run a store that gives every request this answer, and yield its address."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body)

    async with RawTestServer(answer) as server:
        yield str(server.make_url("")).rstrip("/")


Step = Callable[[], Awaitable[object]]


def calls(bucket: Bucket) -> list[Step]:
    """Return a read and a write of the bucket."""

    def write() -> Awaitable[object]:
        return bucket.update("packs/1", (), lambda _: b"")

    return [lambda: bucket.load("packs/1/manifest.json", ["packs/1"]), write]


async def message(call: Step) -> str:
    with pytest.raises(TargetError) as caught:
        await call()
    return str(caught.value)
