"""What a client and its answers say of themselves: short, and never a token."""

from collections.abc import Callable

import pytest
from calls import TOKEN

from mlmsg import Client
from mlmsg.models import Claim, ClaimPage, Paging, Unread, UnreadResult
from mlmsg.sync import Failure, SyncReport, ThreadId

URL = "http://127.0.0.1:9"
GROUPS = (
    "account", "attachments", "claims", "messages", "notifications", "packs", "reasons", "unread"
)  # fmt: skip


@pytest.mark.parametrize("family", ["Global Selling", "domestic"])
async def test_a_client_and_its_groups_say_whose_they_are(family: str) -> None:
    client = Client(TOKEN, base_url=URL, global_selling=family == "Global Selling")
    for state in ("open", "closed"):
        assert repr(client) == f"<mlmsg.Client {URL}, {family}, {state}>"
        for group in GROUPS:
            shown = repr(getattr(client, group))
            assert shown == f"<client.{group} of {URL}, {family}, {state}>"
        await client.aclose()


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_is_not_initialized_has_a_repr(group: str) -> None:
    kind = type(getattr(Client(TOKEN, base_url=URL), group))
    assert repr(object.__new__(kind)) == f"<client.{group} of a client that is not initialized>"


FAILURE = Failure(ThreadId("pack", "1"), "a.jpg", ValueError("x" * 1000))
LONG: dict[str, tuple[Callable[[], object], str]] = {
    "unread": (
        lambda: Unread(results=[UnreadResult(resource="/packs/1/sellers/2", count=1)] * 1000),
        "<Unread: 1000 conversations>",
    ),
    "claims": (
        lambda: ClaimPage(claims=[Claim(players=[])] * 100, paging=Paging(total=250)),
        "<ClaimPage: 100 of 250 claims>",
    ),
    "report": (
        lambda: SyncReport(threads=7, downloaded=2, bytes=1_500_000, failed=[FAILURE] * 10_000),
        "<SyncReport: 7 threads, 2 files downloaded (1.5 MB), 0 already there, 10000 failed>",
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_the_repr_of_a_long_answer_is_short(name: str) -> None:
    make, shown = LONG[name]
    assert repr(make()) == shown
