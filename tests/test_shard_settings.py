"""Shards carry the settings of the client: the network, the retries and the family."""

import pickle
import ssl
from pathlib import Path

import pytest
from anyio import to_thread
from mirrors import fill
from rawserver import Peer, each, raw_server, sends
from tls import authority, client_context, server_context

from mlmsg import CertificateError, RetryPolicy, RuleError, ServerError, TimedOut, Timeouts
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import Shard, SyncReport, plan_shards, run_shard

EMPTY_PAGE = b'{"paging": {"limit": 10, "offset": 0, "total": 0}, "messages": []}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(EMPTY_PAGE), EMPTY_PAGE)


async def travel(shard: Shard) -> SyncReport:
    """Run a shard after a pickle, in a thread, as an engine does."""
    again = pickle.loads(pickle.dumps(shard))  # noqa: S301
    return await to_thread.run_sync(run_shard, again)


def plan(to: Path, base_url: str, **settings: object) -> Shard:
    (shard,) = plan_shards(
        token="t", packs=[1], to=to, site_id="MLM", base_url=base_url, budget=None,
        **settings,  # type: ignore[arg-type]
    )  # fmt: skip
    return shard


async def test_timeouts_and_retries(tmp_path: Path) -> None:
    async def silent(peer: Peer) -> None:
        await peer.head()
        await peer.rest()

    retry = RetryPolicy(attempts=2, base=0)
    async with raw_server(silent) as server:
        report = await travel(plan(tmp_path, server.url, timeout=Timeouts(read=0.05), retry=retry))
        assert server.requests == 2
    assert [type(failure.error) for failure in report.failed] == [TimedOut]


async def test_a_policy_without_retries(sandbox: Sandbox, tmp_path: Path) -> None:
    (pack,) = fill(sandbox.market, 1)
    sandbox.inject(Fault(status=503))
    (shard,) = plan_shards(
        token=sandbox.token, packs=[pack], to=tmp_path, site_id="MLM", base_url=sandbox.url,
        retry=RetryPolicy(attempts=1),
    )  # fmt: skip
    assert [type(failure.error) for failure in (await travel(shard)).failed] == [ServerError]


async def test_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with raw_server(each(sends(OK))) as proxy, raw_server(each(sends(OK))) as server:
        report = await travel(plan(tmp_path, server.url, proxy=proxy.url))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await travel(plan(tmp_path, server.url, trust_env=True))
        assert (report.threads, proxy.requests, server.requests) == (1, 2, 0)
        await travel(plan(tmp_path, server.url))
        assert server.requests == 1
    assert "secret" not in repr(plan(tmp_path, server.url, proxy="http://u:secret@127.0.0.1:1"))


async def test_a_file_of_ca_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ca = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(ca)
    async with raw_server(each(sends(OK)), tls=server_context()) as server:
        for path in (ca, str(ca), "~/ca.pem"):
            report = await travel(plan(tmp_path / "to", server.url, ssl=path))
            assert (report.threads, report.failed) == (1, [])
        with pytest.raises(CertificateError):
            await travel(plan(tmp_path / "to", server.url))


@pytest.mark.parametrize("path", ["missing.pem", "."])
async def test_a_file_of_ca_certificates_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(RuleError, match="`ssl` of a shard"):
        await travel(plan(tmp_path, "http://127.0.0.1:9", ssl=tmp_path / path))


@pytest.mark.parametrize("value", [client_context(), True, 3], ids=["context", "bool", "int"])
def test_a_context_cannot_travel(tmp_path: Path, value: ssl.SSLContext | bool | int) -> None:
    with pytest.raises(RuleError, match="pass the path"):
        plan(tmp_path, "http://127.0.0.1:9", ssl=value)


WRONG: list[dict[str, object]] = [
    {"timeout": -1.0},
    {"retry": 3},
    {"proxy": "nonsense"},
    {"trust_env": "yes"},
    {"global_selling": None},
    {"user_id": 1.5},
    {"base_url": "http://example.com"},
]


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_a_wrong_setting_is_refused_by_the_plan(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(RuleError):
        plan(tmp_path, **{"base_url": "http://127.0.0.1:9", **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("user_id", [None, 700400300])
async def test_a_domestic_seller(domestic: Sandbox, tmp_path: Path, user_id: int | None) -> None:
    (shard,) = plan_shards(
        token=domestic.token, packs=list(domestic.market.packs), to=tmp_path, site_id="MLB",
        base_url=domestic.url, budget=None, global_selling=False, user_id=user_id,
    )  # fmt: skip
    report = await travel(shard)
    assert (report.threads, report.failed) == (len(domestic.market.packs), [])
    paths = {request.path.split("?")[0] for request in domestic.requests}
    assert ("/users/me" in paths) == (user_id is None)
    assert not [path for path in paths if path.startswith("/marketplace")]
