"""The text of a lost send is found again however the server stored it, and no other one is."""

import html
import json
import time
import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmsg import Client, OutcomeUnknown, RetryPolicy
from mlmsg._stored_text import Likeness, comparable, compare_texts
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
    "line ends of HTML": TEXT.replace("\n", "<br>"),
    "line ends of XHTML": TEXT.replace("\n", "<br />\n"),
    "line ends of HTML, escaped": TEXT.replace("\n", "&lt;BR/&gt;"),
    "paragraphs": f'<p class="x">{TEXT}</p>',
    "escapes that were escaped": TEXT.replace("\n", "\\n").replace("\t", "\\t"),
}


@pytest.mark.parametrize("name", STORED)
def test_what_a_server_changes_does_not_count(name: str) -> None:
    assert comparable(STORED[name]) == comparable(TEXT)


LOSSY: Final = {
    "emoji as marks": TEXT.replace("👩‍👩‍👧", "?").replace("❤️", "??"),
    "each byte as a mark": TEXT.encode("ascii", "replace").decode(),
    "each byte of UTF-8 as a mark": "".join(
        c if c.isascii() else "?" * len(c.encode()) for c in TEXT
    ),
    "replacement characters": TEXT.encode().decode("ascii", "replace"),
    "emoji left out": TEXT.replace("👩‍👩‍👧", "").replace("❤️", ""),
    "what Latin-1 has": TEXT.encode("latin-1", "replace").decode("latin-1"),
    "only ASCII": TEXT.encode("ascii", "ignore").decode(),
}


@pytest.mark.parametrize("name", LOSSY)
def test_a_text_is_known_though_characters_were_replaced(name: str) -> None:
    assert compare_texts(LOSSY[name], TEXT) is Likeness.SAME


UNSURE: Final = {
    "without accents": ("El envio sale manana", "El envío sale mañana"),
    "in capitals": ("GRACIAS", "Gracias"),
    "other quotes": ('"ok", gracias', "“ok”, gracias"),
    "another dash": ("ok - gracias", "ok \u2013 gracias"),
    "in a wrong character set": ("maÃ±ana sale", "mañana sale"),
    "a short one with an emoji": ("Ok ?", "Ok 👍"),
    "only emoji": ("??", "👍👍"),
    "in another script": ("????", "你好"),
    "another emoji": ("Gracias por tu compra ❌", "Gracias por tu compra ✅"),
    "cut": ("Tu pedido sale mañana por la", "Tu pedido sale mañana por la mañana"),
    "cut, with an ellipsis": ("Tu pedido sale mañana por…", "Tu pedido sale mañana por la mañana"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_a_text_that_may_be_the_sent_one_is_doubtful(name: str) -> None:
    assert compare_texts(*UNSURE[name]) is Likeness.DOUBTFUL


NOT_IT: Final = {
    "another text": ("No tenemos stock", "Tu pedido sale mañana"),
    "another number": ("Pedido 6 listo", "Pedido 5 listo"),
    "another emoji": ("❌", "✅"),
    "letters where marks were": ("Listo si", "Listo ??"),
    "nothing": ("", "Listo"),
    "a short beginning": ("Tu", "Tu pedido sale mañana"),
}


@pytest.mark.parametrize("name", NOT_IT)
def test_a_text_that_cannot_be_the_sent_one_is_another(name: str) -> None:
    assert compare_texts(*NOT_IT[name]) is Likeness.OTHER


@pytest.mark.slow
@given(st.text(max_size=60), st.sampled_from(["latin-1", "ascii", "cp1252"]))
def test_no_character_set_makes_a_text_another_one(text: str, charset: str) -> None:
    """At worst it is doubtful: `None` would make the caller send twice."""
    stored = text.encode(charset, "replace").decode(charset)
    assert compare_texts(stored, text) is not Likeness.OTHER


@pytest.mark.parametrize("piece", ["é?", "a", "<br", "&amp;", "\\", "👍", "?"])
def test_long_texts_are_compared_at_once(piece: str) -> None:
    text = piece * 5000
    started = time.process_time()
    compare_texts(text, text + "é")
    assert time.process_time() - started < 2


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
