"""A bucket of S3: the same mirror, and no upload in parts is left behind."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import obstore
import pytest
import requests
from aiohttp import web
from anyio import to_thread
from mirrors import expected, fill, without_manifests
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from mlmsg import Client
from mlmsg.sandbox import Sandbox
from mlmsg.sync import TargetError, plan_shards, run_shard, sync_attachments
from mlmsg.sync.bucket import Bucket

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
NAME = "archive"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class S3:
    """The bucket, seen by its own client."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._get("PUT", f"/{NAME}")

    def files(self) -> dict[str, bytes]:
        bucket = store(self._endpoint)
        listed = obstore.list(bucket).collect()
        return {one["path"]: bytes(obstore.get(bucket, one["path"]).bytes()) for one in listed}

    def uploads(self) -> list[str]:
        return re.findall(r"<Key>(.*?)</Key>", self._get("GET", f"/{NAME}?uploads").decode())

    def clear(self) -> None:
        self._get("POST", "/moto-api/reset")

    def _get(self, method: str, path: str) -> bytes:
        response = requests.request(method, self._endpoint + path, timeout=10)
        response.raise_for_status()
        return response.content


@pytest.fixture
async def s3(endpoint: str) -> AsyncIterator[S3]:
    bucket = await to_thread.run_sync(S3, endpoint)
    yield bucket
    await to_thread.run_sync(bucket.clear)


def store(endpoint: str) -> S3Store:
    return S3Store(
        NAME,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="a",
        secret_access_key="b",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


async def mebibytes(
    count: int, *, failure: Exception | None = None, sent: asyncio.Event | None = None
) -> AsyncGenerator[bytes, None]:
    for number in range(count):
        yield bytes([number]) * MIB
    if sent is not None:
        sent.set()
        await asyncio.Event().wait()
    if failure is not None:
        raise failure


async def test_a_bucket_holds_the_same_as_a_folder(
    sandbox: Sandbox, client: Client, s3: S3, endpoint: str
) -> None:
    fill(sandbox.market, 2, files=2, size=7_000_000)
    for run in range(2):
        report = await sync_attachments(
            client,
            packs=sandbox.market.packs,
            claims=sandbox.market.claims,
            to=store(endpoint),
            site_id="MLM",
            verify=run == 1,
        )
        count = len(expected(sandbox.market))
        assert (report.downloaded, report.skipped) == ((count, 0) if run == 0 else (0, count))
    files = await to_thread.run_sync(s3.files)
    assert without_manifests(files) == expected(sandbox.market)
    assert await to_thread.run_sync(s3.uploads) == []


async def test_a_shard_into_a_bucket_named_by_a_url(
    sandbox: Sandbox, s3: S3, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT": endpoint}
    for name, value in {**settings, "REGION": "us-east-1", "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    packs = list(sandbox.market.packs)
    (shard,) = plan_shards(
        token=sandbox.token, packs=packs, to=f"s3://{NAME}/x", site_id="MLM", base_url=sandbox.url
    )
    report = await to_thread.run_sync(run_shard, shard)
    assert (report.threads, report.failed) == (len(packs), [])
    assert all(key.startswith("x/") for key in await to_thread.run_sync(s3.files))


async def test_an_upload_whose_source_fails_is_aborted(s3: S3, endpoint: str) -> None:
    with pytest.raises(ValueError, match="mine"):
        await Bucket(store(endpoint)).put("a", mebibytes(12, failure=ValueError("mine")))
    assert await to_thread.run_sync(s3.uploads) == []
    assert await to_thread.run_sync(s3.files) == {}


async def test_a_cancelled_upload_is_aborted(s3: S3, endpoint: str) -> None:
    sent = asyncio.Event()
    task = asyncio.create_task(Bucket(store(endpoint)).put("a", mebibytes(12, sent=sent)))
    await sent.wait()
    assert await to_thread.run_sync(s3.uploads) == ["a"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await to_thread.run_sync(s3.uploads) == []
    assert await to_thread.run_sync(s3.files) == {}


class Refusing:
    """A server that begins an upload in parts and then refuses it, or never answers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.part = asyncio.Event()
        self.is_over = asyncio.Event()

    async def post(self, request: web.Request) -> web.Response:
        self.calls.append("begin" if "uploads" in request.query else "complete")
        body = (
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        )
        return web.Response(text=body, status=200 if self.calls[-1] == "begin" else 403)

    async def put(self, request: web.Request) -> web.Response:
        await request.read()
        self.calls.append("part")
        self.part.set()
        if request.path.endswith("/silent"):
            await self.is_over.wait()
        is_refused = request.query["partNumber"] == "2" and request.path.endswith("/part")
        return web.Response(status=403 if is_refused else 200, headers={"ETag": '"e"'})

    async def delete(self, request: web.Request) -> web.Response:
        self.calls.append("abort")
        return web.Response(status=204)


@asynccontextmanager
async def refusing() -> AsyncIterator[tuple[Refusing, Bucket]]:
    server = Refusing()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_post("/{key:.*}", server.post)
    app.router.add_put("/{key:.*}", server.put)
    app.router.add_delete("/{key:.*}", server.delete)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield server, Bucket(store(f"http://{host}:{port}"))
    finally:
        server.is_over.set()
        await runner.cleanup()


@pytest.mark.parametrize("refused", ["part", "complete"])
async def test_an_upload_that_the_bucket_refuses_is_aborted(refused: str) -> None:
    async with refusing() as (server, bucket):
        with pytest.raises(TargetError, match=f"^{refused}: "):
            await bucket.put(refused, mebibytes(17))
        assert server.calls[0] == "begin"
        assert server.calls[-1] == "abort"


async def test_an_upload_that_is_cancelled_within_a_part_is_aborted() -> None:
    async with asyncio.timeout(10), refusing() as (server, bucket):
        task = asyncio.create_task(bucket.put("silent", mebibytes(17)))
        await server.part.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.calls[-1] == "abort"


async def test_a_bucket_that_does_not_exist_ends_the_job(
    sandbox: Sandbox, client: Client, s3: S3, endpoint: str
) -> None:
    other = S3Store(
        "other", endpoint=endpoint, region="us-east-1", access_key_id="a", secret_access_key="b",
        client_options={"allow_http": True},
    )  # fmt: skip
    with pytest.raises(TargetError):
        await sync_attachments(client, packs=sandbox.market.packs, to=other, site_id="MLM")
