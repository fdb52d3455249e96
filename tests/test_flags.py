"""Each bool parameter of a public method takes only True or False: `"false"` counts as true."""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import get_type_hints

import pytest
from calls import TOKEN

from mlmsg import Client, RuleError
from mlmsg.client import account, attachments, claims, notifications, packs, reasons, unread
from mlmsg.downloads import Download
from mlmsg.oauth import Authorization
from mlmsg.sandbox import Sandbox
from mlmsg.sync import plan_shards, sync_attachments, sync_seller

GROUPS: list[type] = [
    account.Account,
    attachments.Attachments,
    claims.Claims,
    notifications.Notifications,
    packs.Packs,
    packs.Messages,
    reasons.Reasons,
    unread.UnreadMessages,
    Download,
]
METHODS: list[Callable[..., object]] = [
    method
    for group in GROUPS
    for name, method in vars(group).items()
    if isinstance(method, FunctionType) and not name.startswith("_")
]
FUNCTIONS: list[Callable[..., object]] = [
    *METHODS,
    Client,
    Authorization,
    plan_shards,
    sync_attachments,
    sync_seller,
]
SEEDS: dict[str, object] = {"token": TOKEN, "to": Path("x"), "client_id": 1, "client_secret": "s"}
SEEDS |= {"redirect_uri": "https://example.com/back", "client": Client(TOKEN)}


def _flags(function: Callable[..., object]) -> list[str]:
    hints = get_type_hints(
        inspect.unwrap(
            function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
        )
    )
    return [name for name, kind in hints.items() if kind is bool and name != "return"]


FLAGS = [(function, flag) for function in FUNCTIONS for flag in _flags(function)]


def _call(function: Callable[..., object], flag: str, value: object) -> object:
    """Call a function with a value for the flag, and something for whatever it requires."""
    required = {
        parameter.name: SEEDS.get(parameter.name)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    }
    return function(**required, **{flag: value})


@pytest.mark.parametrize("value", ["false", 0, None], ids=["text", "int", "none"])
@pytest.mark.parametrize(
    ("function", "flag"), FLAGS, ids=[f"{call.__qualname__}-{flag}" for call, flag in FLAGS]
)
def test_a_flag_takes_only_true_or_false(
    function: Callable[..., object], flag: str, value: object
) -> None:
    async def attempt() -> None:
        result = _call(function, flag, value)
        if inspect.isawaitable(result):
            await result

    with pytest.raises(RuleError, match=f"`{flag}`: found .*, allowed: True or False"):
        asyncio.run(attempt())


def test_each_flag_of_the_documents_is_among_them() -> None:
    assert {"mark_as_read", "overwrite", "check", "full", "verify"} <= {flag for _, flag in FLAGS}


def test_each_flag_is_given_by_its_name() -> None:
    """So that the check of the keywords sees all of them."""
    for function, flag in FLAGS:
        parameter = inspect.signature(function).parameters[flag]
        assert parameter.kind is parameter.KEYWORD_ONLY, function


async def test_a_text_marks_nothing_as_read(client: Client, sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="`mark_as_read`"):
        await client.unread.page(1, 2, mark_as_read="false")  # type: ignore[arg-type]
    assert not sandbox.requests
