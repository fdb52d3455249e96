"""Arguments that cannot work are rejected at once, by their name."""

import asyncio
from collections.abc import Callable

import pytest
from calls import TOKEN

from mlmsg import Client, RefreshingToken, RetryPolicy, RuleError, Timeouts
from mlmsg.sandbox import Sandbox

SETTINGS: dict[str, Callable[[], object]] = {
    "`attempts`": lambda: RetryPolicy(attempts=0),
    "`base`": lambda: RetryPolicy(base=float("nan")),
    "`cap`": lambda: RetryPolicy(cap=float("inf")),
    "`deadline`": lambda: RetryPolicy(deadline=-1.0),
    "timeout `read`": lambda: Timeouts(read=0),
    "`max_connections`": lambda: Client(TOKEN, max_connections=0),
    "an empty path": lambda: asyncio.run(Client(TOKEN).attachments.upload("", site_id="MLM")),
}


@pytest.mark.parametrize("words", SETTINGS)
def test_a_setting_that_cannot_work_is_refused_by_name(words: str) -> None:
    with pytest.raises(RuleError) as caught:
        SETTINGS[words]()
    assert words in str(caught.value)


async def test_an_async_progress_is_refused_before_anything_is_sent(
    client: Client, sandbox: Sandbox
) -> None:
    async def progress(*_: object) -> None:
        raise AssertionError

    with pytest.raises(RuleError, match="an async function"):
        await client.attachments.upload(b"x", site_id="MLM", filename="a", progress=progress)
    assert not sandbox.requests


@pytest.mark.parametrize("client_id", [None, True, "", " ", 1.5, b"1"])
def test_an_invalid_client_id_is_refused(client_id: int) -> None:
    with pytest.raises(RuleError, match="`client_id`"):
        RefreshingToken(client_id, "secret", "refresh")


class Index:
    """A number of another library, such as NumPy's."""

    def __index__(self) -> int:
        return 12


@pytest.mark.parametrize("client_id", [12, "12", Index()])
def test_a_client_id_is_any_index_or_a_text(client_id: int) -> None:
    assert RefreshingToken(client_id, "secret", "refresh")._grant.client_id == "12"


@pytest.mark.parametrize("token", [Sandbox, Callable, 5])
def test_an_invalid_token_source_is_refused(token: str) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(token)


async def test_a_sandbox_is_no_token_source(sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="access token"):
        Client(sandbox)  # type: ignore[arg-type]
