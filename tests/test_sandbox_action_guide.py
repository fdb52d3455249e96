"""The action guide of the sandbox: the list, the caps, sends, and every documented error."""

import pytest
from aiohttp import ClientSession
from sandboxes import error_body

from mlmsg.sandbox import Market, RateLimit, Sandbox, Template, Variable

OPEN = "2000007002000011"
REASON = "2000007002000044"
PROMISE = "TEMPLATE___DELIVERY_PROMISE___1"
VARIANTS = {
    "option_id": "REQUEST_VARIANTS",
    "template_id": "TEMPLATE___REQUEST_VARIANTS___1",
}
OTHER = {"option_id": "OTHER", "text": "Oi"}
DELIVERY = {
    "option_id": "DELIVERY_PROMISE",
    "template_id": PROMISE,
    "vars": [
        {"id": f"{PROMISE}___VAR___INIT", "value": 12},
        {"id": f"{PROMISE}___VAR___LIMIT", "value": 48},
    ],
}


@pytest.fixture
def sandbox(domestic: Sandbox) -> Sandbox:
    """The sandbox of the shared session."""
    return domestic


@pytest.fixture(params=["/messages", "/marketplace/messages"], ids=["domestic", "global"])
def base(request: pytest.FixtureRequest) -> str:
    """The base path of each family."""
    return f"{request.param}/action_guide/packs/"


async def get(http: ClientSession, target: str) -> object:
    async with http.get(target) as response:
        assert response.status == 200, await response.text()
        body: object = await response.json()
        return body


async def send(http: ClientSession, target: str, body: object) -> tuple[int, dict[str, object]]:
    async with http.post(f"{target}/option?tag=post_sale", json=body) as response:
        return response.status, await response.json()


def guide_error(status: int, error: str, message: str, cause: str = "") -> dict[str, object]:
    return {"cause": cause, "error": error, "message": message, "status_code": status}


def option(option_id: str, kind: str, **others: object) -> dict[str, object]:
    described = {
        "REQUEST_VARIANTS": "Request variants of the product",
        "REQUEST_BILLING_INFO": "Request billing information",
        "SEND_INVOICE_LINK": "Send the link of the invoice",
        "OTHER": "Other",
        "DELIVERY_PROMISE": "Promise a delivery",
    }
    return {
        "id": option_id,
        "internal_description": described[option_id],
        "enabled": True,
        "actionable": True,
        "type": kind,
        "templates": None,
        "char_limit": None,
        "child_options": None,
        "cap_available": 1,
    } | others


def template(option_id: str) -> list[dict[str, object]]:
    return [{"id": f"TEMPLATE___{option_id}___1", "vars": None}]


async def test_the_list_has_the_documented_options(http: ClientSession, base: str) -> None:
    promise = {
        "id": PROMISE,
        "vars": [
            {"id": f"{PROMISE}___VAR___INIT", "type": "NUMBER"},
            {"id": f"{PROMISE}___VAR___LIMIT", "type": "NUMBER"},
        ],
        "texts": {"mlb": {"html": "<p>Tu compra llega en %d a %d horas.</p>"}},
    }
    assert await get(http, base + REASON) == {
        "options": [
            option("REQUEST_VARIANTS", "template", templates=template("REQUEST_VARIANTS")),
            option("REQUEST_BILLING_INFO", "template", templates=template("REQUEST_BILLING_INFO")),
            option("SEND_INVOICE_LINK", "free_text", char_limit=350),
            option("DELIVERY_PROMISE", "template", templates=[promise]),
            option("OTHER", "free_text", char_limit=350),
        ]
    }


def test_global_selling_has_no_delivery_promise() -> None:
    pack = Market().add_pack()
    assert [option.id for option in pack.guide.options] == [
        "REQUEST_VARIANTS",
        "REQUEST_BILLING_INFO",
        "SEND_INVOICE_LINK",
        "OTHER",
    ]


async def test_the_caps_are_a_bare_array(http: ClientSession, base: str) -> None:
    assert await get(http, f"{base}{REASON}/caps_available?tag=post_sale") == [
        {"option_id": name, "cap_available": 1}
        for name in (
            *("REQUEST_VARIANTS", "REQUEST_BILLING_INFO", "SEND_INVOICE_LINK"),
            *("DELIVERY_PROMISE", "OTHER"),
        )
    ]


TEXTS = {
    "a template": (VARIANTS, "¿Qué variante del producto prefieres?"),
    "a template whose custom text is ignored": (
        VARIANTS | {"text": "Oi"},
        "¿Qué variante del producto prefieres?",
    ),
    "variables": (DELIVERY, "<p>Tu compra llega en 12 a 48 horas.</p>"),
    "a free text": (OTHER, "Oi"),
    "another free text": ({"option_id": "SEND_INVOICE_LINK", "text": "x" * 350}, "x" * 350),
}


@pytest.mark.parametrize(("body", "text"), TEXTS.values(), ids=TEXTS)
async def test_a_send_uses_up_its_option(
    http: ClientSession, domestic: Sandbox, *, base: str, body: dict[str, object], text: str
) -> None:
    status, sent = await send(http, base + REASON, body)
    assert status == 200
    (newest,) = domestic.market.packs[REASON].messages
    assert list(sent) == ["id", "to", "status", "text", "message_date", "message_moderation"]
    assert (sent["id"], sent["text"], sent["status"]) == (newest.id, text, "available")
    assert sent["to"] == {"user_id": 700500044, "name": "Daniela"}
    caps = await get(http, f"{base}{REASON}/caps_available")
    assert isinstance(caps, list)
    assert {"option_id": body["option_id"], "cap_available": 0} in caps
    status, error = await send(http, base + REASON, body)
    message = f"You are not allowed to execute the option {body['option_id']} again"
    assert (status, error) == (403, guide_error(403, "bad_request", message))
    assert len(domestic.market.packs[REASON].messages) == 1


def promise_template(texts: dict[str, dict[str, str]]) -> Template:
    variables = [Variable(f"{PROMISE}___VAR___{name}") for name in ("INIT", "LIMIT")]
    return Template(PROMISE, variables, texts)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>De %d a %d horas.</p>", "<p>De 12 a 48 horas.</p>"),
        ("<p>De %s a %s horas, 100% certo.</p>", "<p>De 12 a 48 horas, 100% certo.</p>"),
        ("<style>p {top: 0}</style>{0}{} %d a %s", "<style>p {top: 0}</style>{0}{} 12 a 48"),
        ("De %d", "De 12"),
        ("De %d a %d ou %d", "De 12 a 48 ou %d"),
    ],
)
async def test_a_template_is_filled_with_the_text_of_the_site(
    http: ClientSession, domestic: Sandbox, *, base: str, html: str, text: str
) -> None:
    texts = {"mla": {"html": "De %d a %d en Argentina"}, "mlb": {"html": html}}
    option = domestic.market.packs[REASON].guide.option("DELIVERY_PROMISE")
    option.templates = [promise_template(texts)]
    status, sent = await send(http, base + REASON, DELIVERY)
    assert (status, sent["text"]) == (200, text)


@pytest.mark.parametrize("texts", [{}, {"mla": {"html": "De %d a %d"}}, {"mlb": {"plain": "%d"}}])
async def test_a_template_without_a_text_of_the_site_is_invalid(
    http: ClientSession, domestic: Sandbox, base: str, texts: dict[str, dict[str, str]]
) -> None:
    option = domestic.market.packs[REASON].guide.option("DELIVERY_PROMISE")
    option.templates = [promise_template(texts)]
    error = guide_error(400, "bad_request", f"The template id {PROMISE} is invalid")
    assert await send(http, base + REASON, DELIVERY) == (400, error)
    assert option.cap_available == 1
    assert domestic.market.packs[REASON].messages == []


async def test_a_child_option_can_be_sent(http: ClientSession, domestic: Sandbox) -> None:
    guide = domestic.market.packs[REASON].guide
    child = guide.options.pop()
    guide.option("SEND_INVOICE_LINK").child_options = [child]
    assert guide.option("OTHER") is guide.find("OTHER") is child
    assert guide.find("NOPE") is None
    base = "/messages/action_guide/packs/"
    assert (await send(http, base + REASON, OTHER))[0] == 200
    assert child.cap_available == 0
    with pytest.raises(KeyError):
        guide.option("NOPE")


BAD_BODIES = {
    "a text over the limit": (
        OTHER | {"text": "x" * 351},
        guide_error(400, "limit_exceeded", "The text is invalid"),
    ),
    "no text": (
        {"option_id": "OTHER"},
        guide_error(400, "limit_exceeded", "The text is invalid"),
    ),
    "another template": (
        VARIANTS | {"template_id": "X"},
        guide_error(400, "bad_request", "The template id X is invalid"),
    ),
    "no template": (
        {"option_id": "REQUEST_VARIANTS"},
        guide_error(400, "bad_request", "The template id None is invalid"),
    ),
    "no variables": (
        DELIVERY | {"vars": None},
        guide_error(400, "bad_request", "The vars are invalid"),
    ),
    "an unknown variable": (
        VARIANTS | {"vars": [{"id": "X", "value": 1}]},
        guide_error(400, "bad_request", "The vars are invalid"),
    ),
    "a promise before today": (
        DELIVERY
        | {
            "vars": [
                {"id": f"{PROMISE}___VAR___INIT", "value": -12},
                {"id": f"{PROMISE}___VAR___LIMIT", "value": 48},
            ]
        },
        guide_error(400, "bad_request", "The promise of delivery is before today"),
    ),
    "an unknown option": (
        {"option_id": "NOPE", "text": "Oi"},
        guide_error(404, "not_found", "The option is not valid"),
    ),
}


@pytest.mark.parametrize(("body", "error"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_refused_bodies(
    http: ClientSession,
    domestic: Sandbox,
    base: str,
    body: dict[str, object],
    error: dict[str, object],
) -> None:
    assert await send(http, base + REASON, body) == (error["status_code"], error)
    assert domestic.market.packs[REASON].messages == []
    assert {option.cap_available for option in domestic.market.packs[REASON].guide.walk()} == {1}


@pytest.mark.parametrize(
    "body", [{}, {"option_id": 1}, {"option_id": "OTHER", "text": 1}, DELIVERY | {"vars": [1]}]
)
async def test_bodies_that_are_not_the_documented_json(
    http: ClientSession, base: str, body: dict[str, object]
) -> None:
    status, error = await send(http, base + REASON, body)
    assert status == 400
    assert str(error["message"]).startswith("Invalid body: ")


@pytest.mark.parametrize("switched_off", ["enabled", "actionable"])
async def test_an_option_that_is_not_offered(
    http: ClientSession, domestic: Sandbox, base: str, switched_off: str
) -> None:
    setattr(domestic.market.packs[REASON].guide.option("OTHER"), switched_off, False)
    error = guide_error(404, "not_found", "The option is not valid")
    assert await send(http, base + REASON, OTHER) == (404, error)


async def test_an_excepted_case(http: ClientSession, domestic: Sandbox, base: str) -> None:
    domestic.market.packs[REASON].guide.is_excepted = True
    message = f"The pack {REASON} is an excepted case, use messaging"
    error = guide_error(400, "bad_request", message, "blocked_by_excepted_case")
    assert await send(http, base + REASON, OTHER) == (400, error)
    for suffix in ("", "/caps_available"):
        async with http.get(f"{base}{REASON}{suffix}") as response:
            assert response.status == 400
            assert await response.json() == error


async def test_an_open_conversation(http: ClientSession, base: str) -> None:
    message = "The package has the conversation blocked, check blocked messages"
    assert await send(http, base + OPEN, OTHER) == (403, guide_error(403, "forbidden", message))
    assert await get(http, base + OPEN)


async def test_a_new_thread_without_messages(
    http: ClientSession, domestic: Sandbox, base: str
) -> None:
    pack = domestic.market.add_pack(site_id="MLB")
    assert (await send(http, base + pack.id, OTHER))[0] == 200


@pytest.mark.parametrize(
    "pack", ["2000007002000055", "2000007002000066", "2000007002000077", "2000007002000088"]
)
async def test_a_blocked_conversation(http: ClientSession, base: str, pack: str) -> None:
    error = guide_error(403, "forbidden", "The conversation is blocked")
    assert await send(http, base + pack, OTHER) == (403, error)


async def test_a_pack_of_another_seller(http: ClientSession, domestic: Sandbox, base: str) -> None:
    domestic.market.add_pack(7, seller_id=5)
    error = guide_error(403, "forbidden", "You are not allowed to access the pack")
    assert await send(http, base + "7", OTHER) == (403, error)
    async with http.get(f"{base}7") as response:
        assert (response.status, await response.json()) == (403, error)


async def test_an_unknown_pack(http: ClientSession, base: str) -> None:
    error = guide_error(404, "not_found", "The pack 404 does not exist")
    assert await send(http, base + "404", OTHER) == (404, error)


async def test_another_request_is_locking(
    http: ClientSession, domestic: Sandbox, base: str
) -> None:
    domestic.market.packs[REASON].guide.locked_sends = 1
    error = guide_error(409, "conflict", "Another request is locking")
    assert await send(http, base + REASON, OTHER) == (409, error)
    assert (await send(http, base + REASON, OTHER))[0] == 200


async def test_too_many_requests(http: ClientSession, domestic: Sandbox, base: str) -> None:
    domestic.rate = RateLimit(writes=0)
    assert (await send(http, base + REASON, OTHER))[0] == 429


async def test_the_buyer_closed_the_account(
    http: ClientSession, domestic: Sandbox, base: str
) -> None:
    domestic.market.block(REASON, "blocked_by_deactivated_account")
    error = guide_error(451, "Unavailable", "The buyer closed the account")
    assert await send(http, base + REASON, OTHER) == (451, error)


async def test_a_closed_account_comes_before_a_lock(
    http: ClientSession, domestic: Sandbox, base: str
) -> None:
    domestic.market.block(REASON, "blocked_by_deactivated_account")
    guide = domestic.market.packs[REASON].guide
    guide.locked_sends = 1
    assert (await send(http, base + REASON, OTHER))[0] == 451
    assert guide.locked_sends == 1


async def test_an_old_promise_is_a_500(http: ClientSession, domestic: Sandbox, base: str) -> None:
    domestic.market.packs[REASON].guide.promise_has_passed = True
    status, error = await send(http, base + REASON, DELIVERY)
    assert status == 500
    assert error == {"status_code": 500, "message": "The delivery date is before today"}
    assert domestic.market.packs[REASON].messages == []
    assert (await send(http, base + REASON, OTHER))[0] == 200


async def test_the_errors_exist_in_portuguese(
    http: ClientSession, domestic: Sandbox, base: str
) -> None:
    domestic.language = "pt"
    _, blocked = await send(http, base + "2000007002000088", OTHER)
    assert blocked == guide_error(403, "forbidden", "A conversa está bloqueada")
    _, opened = await send(http, base + OPEN, OTHER)
    message = "O pacote está com a conversa bloqueada, consulte mensagens bloqueadas"
    assert opened == guide_error(403, "forbidden", message)
    domestic.market.packs[REASON].guide.promise_has_passed = True
    status, error = await send(http, base + REASON, DELIVERY)
    assert (status, error["message"]) == (500, "A data de entrega é anterior a hoje")


async def test_a_rejected_message(http: ClientSession, domestic: Sandbox, base: str) -> None:
    domestic.send_rejection = "OUT_OF_PLACE_LANGUAGE"
    status, sent = await send(http, base + REASON, OTHER)
    assert (status, sent["status"]) == (200, "moderated")
    (newest,) = domestic.market.packs[REASON].messages
    assert newest.message_moderation.reason == "out_of_place_language"
    assert newest.message_moderation.status == "rejected"
    assert newest.message_date.available is None


@pytest.mark.parametrize("suffix", ["", "/caps_available"])
async def test_the_tag_is_optional_but_not_free(
    http: ClientSession, base: str, suffix: str
) -> None:
    assert await get(http, f"{base}{REASON}{suffix}?tag=post_sale")
    async with http.get(f"{base}{REASON}{suffix}?tag=x") as response:
        assert response.status == 400
        assert await response.json() == error_body(400, "The tag param must be post_sale")


async def test_the_option_opens_the_thread_once_the_buyer_answers(
    http: ClientSession, domestic: Sandbox
) -> None:
    path = f"/messages/packs/{REASON}/sellers/700400300?tag=post_sale"
    body = {"from": {"user_id": 700400300}, "to": {"user_id": 700500044}, "text": "Oi"}
    assert (await send(http, f"/messages/action_guide/packs/{REASON}", OTHER))[0] == 200
    async with http.post(path, json=body) as response:
        assert response.status == 403
        message = "blocked_by_conversation_started_by_seller"
        assert (await response.json())["message"] == message
    domestic.market.add_message(REASON, "Oi", author="buyer")
    async with http.post(path, json=body) as response:
        assert response.status == 201
    message = "The package has the conversation blocked, check blocked messages"
    _, error = await send(http, f"/messages/action_guide/packs/{REASON}", VARIANTS)
    assert error["message"] == message
