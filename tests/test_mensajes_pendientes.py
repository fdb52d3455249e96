"""The document "Mensajes pendientes" (003), from its first heading to its last."""

import json
from typing import Final

import pytest
from calls import PACK_ID, SELLER_ID
from seeds import assert_holds, request_lines, sample_fault, sample_value

from mlmsg import ApiError, BadRequest, Client, NotFound, notifications
from mlmsg.sandbox import Fault, Sandbox

# "Flujo desde notificaciones" ---------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "/messages/{}"], ids=["bare id", "path"])
async def test_a_notification_leads_to_its_message(
    client: Client, sandbox: Sandbox, form: str
) -> None:
    """El flujo indicado: las notificaciones de /messages, y hacer el GET directamente."""
    message = sandbox.market.add_message(PACK_ID, "¿Hola?", author="buyer")
    body = {"topic": "messages", "resource": form.format(message.id), "user_id": SELLER_ID}
    notification = notifications.parse(json.dumps(body))
    found = await client.messages.get(notification.id)
    assert (notification.kind, found.text) == ("message", "¿Hola?")
    assert request_lines(sandbox) == [f"GET /marketplace/messages/{message.id}"]


# "Mensajes pendientes de leer filtrado por resource" ----------------------------------------


async def test_one_conversation_is_requested_as_in_the_example(
    client: Client, sandbox: Sandbox
) -> None:
    name = "mensajes_pendientes.mensajes_pendientes_de_leer_filtrado_por_resource"
    sandbox.inject(sample_fault(name))
    unread = await client.unread.get("packs/1234/sellers/2345")
    assert request_lines(sandbox) == ["GET /messages/unread/packs/1234/sellers/2345?tag=post_sale"]
    assert_holds(unread, sample_value(name), "unread")


# "Modos de uso" -----------------------------------------------------------------------------


async def test_all_sales_with_pending_messages_are_requested_as_in_the_example(
    client: Client, sandbox: Sandbox
) -> None:
    """Todas las ordenes con mensajes pendientes de leer como vendedor."""
    sandbox.inject(sample_fault("mensajes_pendientes.modos_de_uso"))
    unread = await client.unread.list(role="seller")
    assert request_lines(sandbox) == ["GET /messages/unread?role=seller&tag=post_sale"]
    assert_holds(unread, sample_value("mensajes_pendientes.modos_de_uso"), "unread")


async def test_nothing_pending_is_an_empty_list(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(sample_fault("mensajes_pendientes.modos_de_uso_sin_pendientes"))
    unread = await client.unread.list(role="buyer")
    assert (unread.user_id, unread.results) == (1234512314, [])


# "Marcar mensajes como leídos" --------------------------------------------------------------


async def test_marking_is_the_get_of_the_example(client: Client, sandbox: Sandbox) -> None:
    name = "mensajes_pendientes.marcar_mensajes_como_leidos"
    sandbox.inject(sample_fault(name))
    page = await client.unread.mark_as_read("2000000089077943", 415458330)
    target = "/messages/packs/2000000089077943/sellers/415458330?tag=post_sale"
    assert request_lines(sandbox) == [f"GET {target}"]
    assert_holds(page, sample_value(name), "page")


async def test_reading_without_marking_says_so(client: Client, sandbox: Sandbox) -> None:
    """En caso que no quieras marcarlos: el GET con el parámetro mark_as_read=false."""
    name = "mensajes_pendientes.marcar_mensajes_como_leidos"
    sandbox.inject(sample_fault(name))
    page = await client.unread.page(2000000089077943, 415458330, limit=2, offset=1)
    path = "/messages/packs/2000000089077943/sellers/415458330"
    query = "tag=post_sale&mark_as_read=false&limit=2&offset=1"
    assert request_lines(sandbox) == [f"GET {path}?{query}"]
    assert_holds(page, sample_value(name), "page")


async def test_a_page_marks_on_request(client: Client, sandbox: Sandbox) -> None:
    await client.unread.page(PACK_ID, SELLER_ID, mark_as_read=True)
    assert sandbox.requests[0].query == {"tag": "post_sale", "limit": "50", "offset": "0"}
    found = [one.pack_id for one in (await client.unread.list()).results]
    assert PACK_ID not in found


@pytest.mark.parametrize("cap", [None, 1, 5])
@pytest.mark.parametrize("mark", [False, True], ids=["reading", "marking"])
async def test_a_whole_thread_is_walked_however_the_server_caps_its_pages(
    client: Client, sandbox: Sandbox, cap: int | None, mark: bool
) -> None:
    sandbox.max_limit = cap
    expected = [one.id for one in sandbox.market.packs[str(PACK_ID)].messages]
    walk = client.unread.messages(PACK_ID, SELLER_ID, page_size=5, mark_as_read=mark)
    assert [message.id async for message in walk] == expected
    asked_to_keep = {one.query.get("mark_as_read") for one in sandbox.requests}
    assert asked_to_keep == {None if mark else "false"}


# "Mensajes pendientes de leer" --------------------------------------------------------------


async def test_the_redundancy_check_finds_messages_without_a_notification(
    client: Client, sandbox: Sandbox
) -> None:
    """Sólo para validación si no hubo pérdidas en la integración desde las notificaciones."""
    sandbox.market.add_message(PACK_ID, "¿Hola?", author="buyer")
    unread = await client.unread.list(role=None)
    assert request_lines(sandbox) == ["GET /messages/unread?tag=post_sale"]
    assert PACK_ID in [one.pack_id for one in unread.results]


# "Errores" ----------------------------------------------------------------------------------

ERRORS: Final = [
    (400, "Messages id empty or invalid", BadRequest),
    (400, "The specified message id: a does not exists", BadRequest),
    (400, "Not allowed messages from multiple orders", BadRequest),
    (404, "The message with id: a could not be retrieved from storage", NotFound),
]


@pytest.mark.parametrize(("status", "said", "kind"), ERRORS, ids=[one[1] for one in ERRORS])
async def test_each_error_has_its_class_and_its_solution(
    client: Client, sandbox: Sandbox, status: int, said: str, kind: type[ApiError]
) -> None:
    sandbox.inject(Fault(status=status, body={"message": said, "error": said, "status": status}))
    with pytest.raises(kind) as caught:
        await client.unread.mark_as_read(PACK_ID, SELLER_ID)
    assert (caught.value.status, caught.value.message) == (status, said)
    assert caught.value.hint
    assert len(sandbox.requests) == 1
