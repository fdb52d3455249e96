"""Valid bodies for each path of the API."""

import random
import re
from collections.abc import Sequence

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2992)
DATE = "2026-01-02T03:04:05.000-04:00"

PERSON = {"user_id": 1, "name": "Ana"}
MESSAGE = {
    "id": "m1", "site_id": "MLM", "from": PERSON, "to": {"user_id": 9}, "text": "Hola",
    "status": "available", "subject": None, "message_date": {"created": DATE, "read": None},
    "message_moderation": {"status": "clean", "reason": None, "moderation_date": DATE},
    "message_attachments": [
        {"filename": "a.png", "original_filename": "á.png", "size": 3000, "type": "image/png",
         "creation_date": DATE, "potential_security_threat": False},
        {"filename": "b.png", "size": 3000, "type": "image/png"},
    ],
    "message_resources": [{"id": "1", "name": "packs"}, {"id": "9", "name": "sellers"}],
}  # fmt: skip
FLAT = {
    "message_id": "m2", "date": DATE, "from": PERSON, "to": [{"user_id": 9}], "site_id": "MLM",
    "text": {"plain": "Hola"}, "attachments": [{"filename": "a.png"}], "resource": "packs",
    "resource_id": "1", "moderation": {"status": "clean", "date_moderated": DATE},
}  # fmt: skip
STATUS = {"status": "blocked", "substatus": "blocked_by_time", "path": "/packs/1/sellers/9",
          "claim_ids": [5], "status_date": DATE, "shipping_id": 3}  # fmt: skip
PAGE = {"paging": {"limit": 50, "offset": 0, "total": 2}, "conversation_status": STATUS,
        "messages": [MESSAGE, FLAT], "seller_max_message_length": 350}  # fmt: skip
PLAYER = {"role": "respondent", "type": "seller", "user_id": 9, "available_actions": [
    {"action": "send_message_to_complainant", "mandatory": True, "due_date": DATE}]}  # fmt: skip
CLAIM = {"id": 5, "resource": "order", "resource_id": 6, "players": [PLAYER], "status": "opened",
         "stage": "claim", "claim_version": 2.0,
         "resolution": {"reason": "x", "date_created": DATE},
         "related_entities": ["return"], "date_created": DATE, "last_updated": DATE}  # fmt: skip
CLAIM_FILE = {"filename": "a.png", "original_filename": "á.png", "size": 3000,
              "date_created": DATE, "type": "image/png"}  # fmt: skip
CLAIM_MESSAGE = {
    "sender_role": "complainant", "receiver_role": "respondent", "message": "Hola", "hash": "h",
    "date_created": DATE, "attachments": [CLAIM_FILE], "stage": "claim", "status": "available",
    "message_moderation": {"status": "clean", "date_moderated": None},
}  # fmt: skip
ORDER = {"id": 6, "pack_id": 1, "last_updated": DATE, "status": "paid", "seller": {"id": 9}}
OPTIONS = {"options": [
    {"id": "OTHER", "enabled": True, "actionable": True, "type": "free_text", "char_limit": 350,
     "cap_available": 1, "templates": None, "child_options": None},
    {"id": "DELIVERY_PROMISE", "enabled": True, "actionable": True, "type": "template",
     "templates": [{"id": "T", "vars": [{"id": "V", "type": "NUMBER"}]}], "child_options": []},
]}  # fmt: skip
NOTIFICATION = {"_id": "n1", "resource": "/messages/m1", "user_id": 9, "topic": "messages",
                "application_id": 7, "attempts": 1, "sent": DATE, "received": DATE}  # fmt: skip
FEED = NOTIFICATION | {"request": {"data": '{"_id": "n1", "resource": "m1", "topic": "messages"}'}}
TOKEN = {"access_token": "fresh-token", "refresh_token": "next-token", "expires_in": 10800,
         "token_type": "bearer", "user_id": 9, "scope": "offline_access read write"}  # fmt: skip
SELLER = {"user_id": 9, "site_id": "MLM", "logistic_type": "remote"}
PAGING = {"total": 1, "offset": 0, "limit": 50}
STORED_TOKEN = {"access_token": "kept-token", "refresh_token": "kept", "expires_at": 4e9}
MANIFEST = {"version": 1, "kind": "pack", "id": "1", "files": [
    {"filename": "a.png", "path": "packs/1/a.png", "size": 3000, "sha256": "0" * 64,
     "downloaded_at": DATE, "message": "m1", "sender": "1", "date": DATE, "listed_size": 3000},
]}  # fmt: skip
STATE = {"since": DATE, "started": DATE, "version": 1, "failed_claims": ["5"],
         "open_threads": {"1": {"newest": DATE, "site_id": "MLM"}}}  # fmt: skip

ERRORS: Sequence[object] = (
    {"message": '{"message":"inside","status":400}', "error": "bad_request", "cause": []},
    {"code": "PA_UNAUTHORIZED", "blocked_by": "PolicyAgent", "message": "no", "status": 403},
    {"message": "Malformed access_token: access-token-of-the-fuzz", "error": None, "status": 400},
    {"error_description": "expired", "error": "invalid_grant", "status": 400, "cause": []},
    {"cause": [{"code": "x", "message": "y"}], "status_code": 403, "message": "blocked_by_time"},
    {"message": "Claims 1.0", "error": "unauthorized", "status": 401},
    {"message": "Another request is locking", "error": "conflict", "status_code": 409},
)

BODIES: Sequence[tuple[str, object]] = (
    (r"POST /oauth/token", TOKEN),
    (r"GET /users/me", {"id": 9, "nickname": "x", "site_id": "MLB", "tags": ["normal"]}),
    (r"GET /marketplace/users/", {"user_id": 9, "site_id": "CBT", "marketplaces": [SELLER]}),
    (r"GET /missed_feeds", {"messages": [FEED]}),
    (r"GET \S*/caps_available", [{"option_id": "OTHER", "cap_available": 1}]),
    (r"GET \S*/action_guide/", OPTIONS),
    (r"POST \S*/action_guide/", MESSAGE),
    (r"GET \S*/claims/search", {"paging": PAGING, "data": [CLAIM]}),
    (r"GET \S*/claims/\S*/download", PNG),
    (r"GET \S*/claims/\S*/detail", {"title": "x", "due_date": DATE, "problem": "y"}),
    (r"GET \S*/claims/\S*/messages", [CLAIM_MESSAGE, CLAIM_MESSAGE]),
    (r"GET \S*/claims/\S*/attachments/", CLAIM_FILE),
    (r"POST \S*/claims/\S*/attachments", {"user_id": 9, "file_name": "a.png"}),
    (r"POST \S*/claims/", {"id": 5}),
    (r"GET \S*/claims/", CLAIM),
    (r"GET \S*/orders/search", {"paging": PAGING, "results": [ORDER | {"orders": [ORDER]}]}),
    (r"GET \S*/orders/", ORDER),
    (r"GET /messages/unread", {"user_id": 9, "results": [{"resource": "/packs/1/sellers/9",
                                                          "count": 1}]}),
    (r"POST \S*/messages/attachments", {"id": "9_a.png"}),
    (r"GET \S*/messages/attachments/", PNG),
    (r"POST \S*/messages/packs/", MESSAGE),
    (r"GET \S*/messages/packs/", PAGE),
    (r"GET \S*/messages/", {"messages": [MESSAGE], "paging": None}),
    (r"", PNG),  # the target of a redirect
)  # fmt: skip
"""The body of each request line, the first that matches."""


EMPTY_LISTS = 0.3
"""The share of empty lists of unread conversations, and of missed notifications."""


def body_of(request_line: str, chance: random.Random) -> object:
    """Return the valid body of a response: bytes, or the value of a JSON document."""
    is_empty = chance.random() < EMPTY_LISTS
    if is_empty and request_line.startswith("GET /messages/unread"):
        return {"user_id": "9", "results": []}
    if is_empty and request_line.startswith("GET /missed_feeds"):
        return {"messages": []}
    return next(body for pattern, body in BODIES if re.match(pattern, request_line))
