"""Ids: which ones are accepted, and when a wrong one is refused."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from mirrors import fill

from mlmsg import AuthenticationError, BadRequest, Client, PackRef, RuleError
from mlmsg.models import Claim
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sync import Id, Ids, plan_shards, sync_attachments


class Index:
    """An integer of another library."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


PACK = 1000
ACCEPTED: dict[str, Id] = {
    "int": PACK,
    "str": "1000",
    "index": Index(PACK),
    "PackRef": PackRef(pack_id=PACK),
}


@pytest.mark.parametrize("value", ACCEPTED.values(), ids=ACCEPTED)
async def test_every_kind_of_id(
    sandbox: Sandbox, client: Client, tmp_path: Path, value: Id
) -> None:
    fill(sandbox.market, 1)
    report = await sync_attachments(client, packs=[value], to=tmp_path, site_id="MLM")
    assert (report.threads, report.downloaded) == (1, 1)
    assert (tmp_path / "packs/1000/manifest.json").exists()


async def test_one_pack_in_every_kind_is_mirrored_once(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    fill(sandbox.market, 1)
    packs = list(ACCEPTED.values())
    report = await sync_attachments(client, packs=packs, to=tmp_path, site_id="MLM")
    assert report.downloaded == 1


async def test_a_claim_names_itself(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    claims = [await client.claims.get(claim) for claim in sandbox.market.claims]
    report = await sync_attachments(client, claims=claims, to=tmp_path)
    assert report.threads == len(claims) > 0


WRONG: dict[str, object] = {
    "float": 7.0,
    "None": None,
    "bool": True,
    "bytes": b"12",
    "negative": -1,
    "negative index": Index(-1),
    "tuple": (1,),
    "Claim": Claim(players=[], id=1),
}

Several = Callable[[list[object]], Ids]


async def asynchronous(values: list[object]) -> AsyncIterator[object]:
    for value in values:
        yield value


def lazily(values: list[object]) -> Iterator[object]:
    yield from values


LISTS: dict[str, Several] = {"list": list, "tuple": tuple, "dict": dict.fromkeys}  # type: ignore[dict-item]
LAZY: dict[str, Several] = {"generator": lazily, "asynchronous": asynchronous}  # type: ignore[dict-item]


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("several", [list, tuple], ids=["list", "tuple"])
async def test_a_wrong_id_in_a_list_is_refused_before_any_request(
    sandbox: Sandbox, client: Client, tmp_path: Path, several: Several, value: object
) -> None:
    packs = several([*range(50), value])
    with pytest.raises(RuleError, match="`packs`"):
        await sync_attachments(client, packs=packs, to=tmp_path / "new", site_id="MLM")
    with pytest.raises(RuleError, match="`packs`"):
        plan_shards(token="t", packs=packs, to="x", site_id="MLM")  # type: ignore[arg-type]
    assert sandbox.requests == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("several", LAZY.values(), ids=LAZY)
async def test_a_wrong_id_of_a_lazy_iterable_is_refused_when_it_is_drawn(
    sandbox: Sandbox, client: Client, tmp_path: Path, several: Several, value: object
) -> None:
    with pytest.raises(RuleError, match="`packs`"):
        await sync_attachments(client, packs=several([404, value]), to=tmp_path, site_id="MLM")


def test_a_wrong_id_of_a_lazy_plan_is_refused_where_the_shard_runs() -> None:
    plan = plan_shards(token="t", packs=iter([1, 2]), to="x", site_id="MLM")
    assert [shard.packs for shard in plan] == [(1, 2)]


@pytest.mark.parametrize("value", ["not/an id", "", " 7", "7\n", "..", "ñ\ud800"])
async def test_a_malformed_text_costs_only_its_own_thread(
    sandbox: Sandbox, client: Client, tmp_path: Path, value: str
) -> None:
    (pack,) = fill(sandbox.market, 1)
    report = await sync_attachments(client, packs=[value, pack], to=tmp_path, site_id="MLM")
    assert [type(failure.error) for failure in report.failed] == [RuleError]
    assert report.threads == 1


SITES = [
    # of the pack, of the job, the one that is asked for (None: the pack fails)
    ("MLB", None, "MLB"),
    ("MLB", "MLM", "MLB"),
    (None, "MLM", "MLM"),
    ("CBT", "MLM", "MLM"),
    ("CBT", None, None),
    (None, None, None),
]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("own", "given", "site"), SITES)
async def test_the_site_of_a_pack(
    sandbox: Sandbox, client: Client, tmp_path: Path,
    own: str | None, given: str | None, site: str | None, *, lazy: bool,
) -> None:  # fmt: skip
    market = sandbox.market
    market.add_pack(5, site_id="")
    market.add_file(b"x", "x.txt", file_id="x.txt")
    market.add_message(5, "x", attachments=["x.txt"])
    packs = [PackRef(pack_id=5, site_id=own)]
    job = sync_attachments(client, packs=iter(packs) if lazy else packs, to=tmp_path, site_id=given)
    if site is None and not lazy:
        with pytest.raises(RuleError, match="site"):
            await job
        assert sandbox.requests == []
    elif site is None:
        (failure,) = (await job).failed
        assert (failure.thread.id, failure.filename) == ("5", None)
        assert "PackRef" in str(failure.error)
    else:
        assert (await job).downloaded == 1
        assert sandbox.requests[-1].query["site_id"] == site


async def test_a_pack_of_an_unknown_site_costs_only_what_needs_it(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Its files whose messages name the site are mirrored, and so is every other pack."""
    market = sandbox.market
    market.add_pack(5, site_id="")
    market.add_pack(6, site_id="MLC")
    for pack_id, names in ((5, ("a", "b")), (6, ("c",))):
        for name in names:
            market.add_file(b"x", "x.txt", file_id=f"{name}.txt")
            market.add_message(pack_id, "x", attachments=[f"{name}.txt"])
    packs = (PackRef(pack_id=number, site_id="CBT") for number in (5, 6))
    report = await sync_attachments(client, packs=packs, to=tmp_path)
    assert [failure.thread.id for failure in report.failed] == ["5"]
    assert (report.threads, report.downloaded) == (1, 1)
    fetched = [request for request in sandbox.requests if "/attachments/" in request.path]
    assert [request.query["site_id"] for request in fetched] == ["MLC"]


async def test_the_bare_id_of_a_pack_needs_a_site(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(RuleError, match="site_id"):
        await sync_attachments(client, packs=iter([5]), to=tmp_path)
    assert sandbox.requests == []


async def test_a_generator_of_ids_is_closed_when_the_job_fails(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 5
        finally:
            closed.append(True)

    sandbox.expired = sandbox.tokens
    with pytest.raises(AuthenticationError):
        await sync_attachments(client, packs=endless(), to=tmp_path, site_id="MLM")
    assert closed == [True]


# Orders in the place of their packs -----------------------------------------------------------


@pytest.mark.parametrize("names_pack", [True, False])
async def test_an_order_is_followed_to_its_pack(
    sandbox: Sandbox, client: Client, tmp_path: Path, *, names_pack: bool
) -> None:
    sandbox.names_pack = names_pack
    (pack,) = fill(sandbox.market, 1)
    sandbox.market.add_order(77, pack_id=pack)
    report = await sync_attachments(client, packs=[77], to=tmp_path, site_id="MLM")
    assert (report.threads, report.downloaded, report.failed) == (1, 1, [])
    asked = [request.path for request in sandbox.requests if request.path.endswith("/orders/77")]
    assert len(asked) == (0 if names_pack else 1)


async def test_orders_that_name_each_other_are_no_loop(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    for order, named in ((1, "2"), (2, "1")):
        body = {"message": "x", "error": "order_belong_pack", "status": 400, "cause": [named]}
        sandbox.inject(Fault(status=400, body=body, path=f"/packs/{order}?", times=100))
    report = await sync_attachments(client, packs=[1], to=tmp_path, site_id="MLM")
    assert [type(failure.error) for failure in report.failed] == [BadRequest]
    assert len(sandbox.requests) == 2
