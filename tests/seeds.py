"""The JSON examples of the four documents, as the files in `samples/`, and how to compare them.

A sample is named after its document and the heading that it stands under. Where the JSON of a
document is broken, the sample is repaired, and `REPAIRED` says what was broken.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from mlmsg.sandbox import Fault, Sandbox

SAMPLES = Path(__file__).parent / "samples"
SEEDS = Path(__file__).parents[2] / "shared" / "seeds"
"""The documents themselves; a fresh clone has none."""

EXAMPLES = {
    "000": (
        "post_sale_messages.get_messages_by_pack",
        "post_sale_messages.get_message_by_id",
        "post_sale_messages.upload_attachment",
        "post_sale_messages.create_message_request",
        "post_sale_messages.create_message",
        "post_sale_messages.create_message_without_attachments",
        "post_sale_messages.get_attachment_not_accessible",
        "post_sale_messages.get_attachment_without_token",
    ),
    "001": (
        "claim_messages.retrieve_all_messages_of_a_claim",
        "claim_messages.uploading_attachments_call",
        "claim_messages.uploading_attachments_example",
        "claim_messages.uploading_attachments",
        "claim_messages.create_a_message_call",
        "claim_messages.create_a_message_with_attachment",
        "claim_messages.create_a_message_with_attachment_response",
        "claim_messages.create_a_message_without_attachment",
        "claim_messages.create_a_message_without_attachment_response",
        "claim_messages.get_file_information",
        "claim_messages.error_401_missing_authorization_header",
        "claim_messages.error_400_malformed_access_token",
        "claim_messages.error_403_policy_agent_denied_access",
        "claim_messages.error_404_claim_not_found",
    ),
    "002": (
        "pending_messages.pending_messages_filtered_by_resource",
        "pending_messages.use_modes",
        "pending_messages.use_modes_nothing_pending",
        "pending_messages.mark_messages_as_read",
    ),
    "003": (
        "mensajes_pendientes.mensajes_pendientes_de_leer_filtrado_por_resource",
        "mensajes_pendientes.modos_de_uso",
        "mensajes_pendientes.modos_de_uso_sin_pendientes",
        "mensajes_pendientes.marcar_mensajes_como_leidos",
    ),
}
"""Every JSON example of each document, in the document's order."""

REPAIRED = {
    "claim_messages.uploading_attachments_call": (
        '{\n"file"=$FILE_PATH\n}',
        "`=` in place of `:`, the value without quotes; and it is a form field, no JSON body",
    ),
    "claim_messages.uploading_attachments_example": (
        '{\n"file"=@/Users/user/Desktop/file.jpg\n}',
        "`=` in place of `:`, the value without quotes; and it is a form field, no JSON body",
    ),
}
"""The broken text of each repaired sample in its document, and the error in it."""

SOLUTIONS = (
    (400, "Attachment empty or null", "Attach a valid file to the request"),
    (
        400,
        "File name cannot include characters such as: /, \\",
        "Remove special characters (/ and \\) from the filename",
    ),
    (400, "File size exceeds 25 Mb", "Reduce the file size to under 25 MB"),
    (
        400,
        "Message exceeds allowed number of attachments: 25",
        "Reduce the number of attachments to 25 or fewer",
    ),
    (400, "Messages id empty or invalid", "Provide a valid message ID in the request"),
    (
        400,
        "The specified message id: {id} does not exists",
        "Verify the message ID exists using Get Messages by Pack",
    ),
    (
        400,
        "Not allowed messages from multiple orders",
        "Ensure all message IDs belong to the same order",
    ),
    (
        400,
        "The limit param must be greater than 0",
        "Set the limit query parameter to a value greater than 0",
    ),
    (
        400,
        "Invalid offset or limit param",
        "Verify offset and limit are valid positive integers",
    ),
    (
        400,
        "Access token is required",
        "Include a valid access token in the Authorization header",
    ),
    (400, "Text is required", "Include a non-empty text field when creating a message"),
    (
        403,
        "User access token invalid for resource {resource_id}",
        "Use an access token that has permission to access this resource",
    ),
    (
        403,
        "Can not identify the user",
        "Ensure the access token belongs to the seller of this order",
    ),
    (
        403,
        "You are not allowed to execute the option OTHER again",
        (
            "The seller has reached the messaging limit. "
            "Wait for buyer response or check Blocked messages"
        ),
    ),
    (
        404,
        "The message with id: {id} could not be retrieved from storage",
        "The message was not found. Try again in a few seconds or verify the ID",
    ),
    (404, "Order do not exists", "Verify the pack_id is correct and the order exists"),
    (
        500,
        "Requested file could not be obtained",
        "The file cannot be accessed. Try again later",
    ),
    (
        500,
        "File can not be saved, try it later",
        "Server error when saving the file. Retry the upload",
    ),
    (
        500,
        "File can not be accessed, try it later",
        "The attachment is temporarily unavailable. Retry after a few seconds",
    ),
)
"""The table of errors of Post-sale messages: status, message, solution; in its order."""


def read_sample(name: str) -> bytes:
    """Return the bytes of a sample's file."""
    return (SAMPLES / f"{name}.json").read_bytes()


def sample_value(name: str) -> object:
    """Return the value of a sample."""
    value: object = json.loads(read_sample(name))
    return value


def sample_object(name: str) -> dict[str, object]:
    """Return the value of a sample that is one object."""
    return msgspec.json.decode(read_sample(name), type=dict[str, object])


def sample_fault(name: str, status: int = 200) -> Fault:
    """Return a fault that makes a sample the sandbox's next response."""
    return Fault(
        status=status, body=read_sample(name), headers={"Content-Type": "application/json"}
    )


def request_lines(sandbox: Sandbox) -> list[str]:
    """Return the methods, paths and queries of the sandbox's requests as they were sent."""
    return [f"{request.method} {request.target}" for request in sandbox.requests]


def json_examples(seed: str) -> Iterator[str]:
    """Yield the text of every JSON example of a document; of a broken one up to its brace."""
    begins = re.compile(r"(?m)^(?:-d ')?(?=[{\[\"])")
    decoder, end = json.JSONDecoder(), 0
    while begin := begins.search(seed, end):
        try:
            _, end = decoder.raw_decode(seed, begin.end())
        except ValueError:
            end = seed.index("}", begin.end()) + 1
        yield seed[begin.end() : end]


def assert_holds(found: object, value: object, path: str) -> None:
    """Check that a struct holds every value of the JSON that it was read from."""
    if isinstance(value, dict):
        assert isinstance(found, msgspec.Struct), path
        names = {field.encode_name: field.name for field in msgspec.structs.fields(found)}
        for key, inner in value.items():
            assert key in names, f"{path}.{key} is not read"
            assert_holds(getattr(found, names[key]), inner, f"{path}.{key}")
    elif isinstance(value, list):
        assert isinstance(found, list), path
        assert len(found) == len(value), path
        for index, (one, inner) in enumerate(zip(found, value, strict=True)):
            assert_holds(one, inner, f"{path}[{index}]")
    elif isinstance(found, datetime):
        assert isinstance(value, str), path
        assert found.tzinfo is not None, path
        assert found == datetime.fromisoformat(value), path
    elif path.endswith(".user_id"):
        assert found == int(f"{value}"), path
    else:
        assert (type(found), found) == (type(value), value), path


Place = tuple[str | int, ...]
MISSING = object()


def places(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield the place and the value of every key in `value`, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key), inner
            yield from places(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*place, index))


def replace_at(value: object, place: Place, new: object) -> object:
    """Return a copy of `value` with `new` at `place`, or with nothing there (`MISSING`)."""
    if not place:
        return new
    key, rest = place[0], place[1:]
    if isinstance(value, dict):
        pairs = ((k, replace_at(v, rest, new) if k == key else v) for k, v in value.items())
        return {k: v for k, v in pairs if v is not MISSING}
    assert isinstance(value, list)
    return [replace_at(v, rest, new) if i == key else v for i, v in enumerate(value)]
