"""The text of a lost send is found again however the server stored it, and no other one is."""

import html
import json
import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg import Client, OutcomeUnknown, RetryPolicy
from mlmsg._reconcile import comparable
from mlmsg.sandbox import Fault, Sandbox

TEXT: Final = "¡Hola, José! <b>Envío</b> & «factura» nº 5 — ok 👩‍👩‍👧 ❤️\n\tgracias"

STORED: Final = {
    "as it is": TEXT,
    "NFD": unicodedata.normalize("NFD", TEXT),
    "NFKC": unicodedata.normalize("NFKC", TEXT),
    "NFKD": unicodedata.normalize("NFKD", TEXT),
    "HTML": html.escape(TEXT),
    "HTML, twice": html.escape(html.escape(TEXT)),
    "named entities": TEXT.replace("é", "&eacute;").replace("¡", "&iexcl;"),
    "numeric entities": "".join(f"&#{ord(c)};" if ord(c) > 127 else c for c in TEXT),
    "without zero-width characters": TEXT.replace("\u200d", ""),
    "with zero-width characters": "\u200b" + TEXT.replace("a", "a\u200c\ufeff"),
    "without variation selectors": TEXT.replace("\ufe0f", ""),
    "with control characters": TEXT.replace("H", "\x07H\x00"),
    "trimmed": TEXT.strip(),
    "with more white space": f"  {TEXT.replace(' ', '   ')}\r\n",
    "other line ends": TEXT.replace("\n", "\r\n"),
    "non-breaking spaces": TEXT.replace(" ", "\u00a0"),
    "in one line": TEXT.replace("\n", " "),
}


@pytest.mark.parametrize("name", STORED)
def test_what_a_server_changes_does_not_count(name: str) -> None:
    assert comparable(STORED[name]) == comparable(TEXT)


OTHERS: Final = {
    "another case": TEXT.upper(),
    "another number": TEXT.replace("5", "6"),
    "a word more": TEXT + " ya",
    "another accent": TEXT.replace("José", "Jose"),
    "nothing": "",
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_text_is_another_one(name: str) -> None:
    assert comparable(OTHERS[name]) != comparable(TEXT)


@given(st.text(max_size=60), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_any_text_is_found_in_any_form(text: str, form: str) -> None:
    stored = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    assert comparable(f" {stored}\n") == comparable(text)


@pytest.mark.parametrize("name", STORED)
async def test_a_lost_send_is_found_however_it_was_stored(
    name: str, sandbox: Sandbox, client: Client
) -> None:
    """The sandbox stores what the server made of the text."""
    pack_id = next(iter(sandbox.market.packs))
    sandbox.inject(Fault(action="drop", path="/packs/", method="POST"))
    with pytest.raises(OutcomeUnknown) as caught:
        await client.packs.send(pack_id, TEXT)
    assert await caught.value.reconcile() is None
    stored = sandbox.market.add_message(pack_id, STORED[name])
    found = await caught.value.reconcile()
    assert found is not None
    assert getattr(found, "id", None) == stored.id


LONG: Final = "Tu pedido sale mañana por la mañana, gracias por tu compra."

DOUBTFUL: Final[dict[str, dict[str, object]]] = {
    "cut": {"text": LONG[:30]},
    "hidden": {"text": "", "status": "moderated"},
    "replaced": {"text": "Este mensaje fue moderado", "status": "rejected"},
    "null": {"text": None},
}


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_where_it_cannot_know_it_says_so(name: str, sandbox: Sandbox) -> None:
    pack_id = next(iter(sandbox.market.packs))
    async with Client(sandbox.token, base_url=sandbox.url, retry=RetryPolicy(attempts=1)) as client:
        sandbox.inject(Fault(action="drop", path="/packs/", method="POST"))
        with pytest.raises(OutcomeUnknown) as caught:
            await client.packs.send(pack_id, LONG)
        stored = sandbox.market.add_message(pack_id, LONG)
        page = (await client.packs.page(pack_id, limit=1)).messages[0]
        assert page.id == stored.id
        date = page.message_date
        assert date is not None
        assert date.created is not None
        seller = {"user_id": sandbox.market.user_id}
        row: dict[str, object] = {"id": "m1", "from": seller}
        row["message_date"] = {"created": date.created.isoformat()}
        row["message_resources"] = [{"id": str(sandbox.market.user_id), "name": "sellers"}]
        body = json.dumps({"messages": [row | DOUBTFUL[name]], "paging": {"total": 1}}).encode()
        sandbox.inject(Fault(status=200, body=body, path="/packs/", times=2))
        with pytest.raises(OutcomeUnknown, match="changed, cut or hidden") as unsure:
            await caught.value.reconcile()
        with pytest.raises(OutcomeUnknown, match="changed, cut or hidden"):
            await unsure.value.reconcile()
