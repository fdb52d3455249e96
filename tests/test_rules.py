"""The rules at their limits and one past them, and the names that `safe_filename` makes."""

import copy
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import pytest
from calls import MIB, TOKEN
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mlmsg import Client, RuleError, safe_filename
from mlmsg._arguments import (
    check_base_url,
    check_content_type,
    check_id,
    check_token,
    is_loopback,
)
from mlmsg.rules import (
    CLAIM_FILES,
    POST_SALE_FILES,
    FileRules,
    check_attachment_count,
    check_page,
    check_receiver,
    check_resource,
    check_role,
    check_site_id,
    check_text,
)

PERIODS = "Captura de pantalla 2024-08-22 a la(s) 4.12.28 p.m..png"

OBJECTS: Final[dict[str, object]] = {"none": None, "float": 1.5, "bytes": b"1", "list": [1]}
"""Values that a caller without a type checker may pass as an int or a text."""


class Refused(NamedTuple):
    """A call that a rule refuses, and what its error must say."""

    call: Callable[[], object]
    rule: str
    found: str
    limit: str
    hint: str = ""


AT_THE_LIMIT: Final[dict[str, Callable[[], object]]] = {
    "post-sale size 1": partial(POST_SALE_FILES.check_size, 1),
    "post-sale size 25 MB": partial(POST_SALE_FILES.check_size, 25 * MIB),
    "claim size 1": partial(CLAIM_FILES.check_size, 1),
    "claim size 5 MB": partial(CLAIM_FILES.check_size, 5 * MIB),
    "post-sale name 200": partial(POST_SALE_FILES.check_name, "ñ" * 200),
    "post-sale name of any characters": partial(POST_SALE_FILES.check_name, f'😀 "{PERIODS}" %20'),
    "claim name 125": partial(CLAIM_FILES.check_name, "a" * 125),
    "claim name of all that is allowed": partial(CLAIM_FILES.check_name, "aZ09._-"),
    "post-sale 25 files": partial(check_attachment_count, 25),
    "post-sale 0 files": partial(check_attachment_count, 0),
    "claim files, which no document limits": partial(check_attachment_count, 1000, CLAIM_FILES),
    "text of 1": partial(check_text, "a"),
    "text of a space": partial(check_text, " "),
    "text outside of the BMP": partial(check_text, "😀"),
    "limit 1, offset 0": partial(check_page, 1, 0),
    "limit and offset large": partial(check_page, 10**6, 10**9),
    "site": partial(check_site_id, "MLM"),
}

ONE_PAST: Final[dict[str, Refused]] = {
    "post-sale size 0": Refused(
        partial(POST_SALE_FILES.check_size, 0), "size of a post-sale file", "0 bytes", "26214400"
    ),
    "post-sale size negative": Refused(
        partial(POST_SALE_FILES.check_size, -1), "size of a post-sale file", "-1 bytes", "25 MB"
    ),
    "post-sale size over 25 MB": Refused(
        partial(POST_SALE_FILES.check_size, 25 * MIB + 1),
        "size of a post-sale file", "26214401 bytes", "1 to 26214400 bytes (25 MB)", "smaller",
    ),
    "claim size 0": Refused(partial(CLAIM_FILES.check_size, 0), "claim file", "0 bytes", "5242880"),
    "claim size over 5 MB": Refused(
        partial(CLAIM_FILES.check_size, 5 * MIB + 1),
        "size of a claim file", "5242881 bytes", "1 to 5242880 bytes (5 MB)", "smaller",
    ),
    "26 files": Refused(
        partial(check_attachment_count, 26), "files per post-sale message", "26", "at most 25"
    ),
    "text empty": Refused(partial(check_text, ""), "`text`", "empty", "at least one character"),
    "text of another name": Refused(
        partial(check_text, "", "text_translated"), "`text_translated`", "empty", "one character"
    ),
    "text with a lone surrogate": Refused(
        partial(check_text, "ab\ud83d"), "`text`", "character 2", "UTF-8"
    ),
    "limit 0": Refused(partial(check_page, 0, 0), "`limit`", "0", "1 or more"),
    "limit negative": Refused(partial(check_page, -1, 0), "`limit`", "-1", "1 or more"),
    "limit true": Refused(partial(check_page, True, 0), "`limit`", "True", "int"),
    "offset negative": Refused(partial(check_page, 1, -1), "`offset`", "-1", "0 or more"),
    "offset false": Refused(partial(check_page, 1, False), "`offset`", "False", "int"),
    "site CBT": Refused(partial(check_site_id, "CBT"), "`site_id`", "'CBT'", "MLM", "order"),
    "site cbt": Refused(partial(check_site_id, "cbt"), "`site_id`", "'cbt'", "MLM", "order"),
    "site missing": Refused(partial(check_site_id, None), "`site_id`", "None", "MLM", "site_id="),
    "site empty": Refused(partial(check_site_id, ""), "`site_id`", "''", "MLM"),
    "site unknown": Refused(partial(check_site_id, "MXL"), "`site_id`", "MXL", "MLM", "mean 'M"),
    "site with a space": Refused(partial(check_site_id, " MLB"), "site_id", "MLB", "", "'MLB'"),
    "site far away": Refused(partial(check_site_id, "ZZ"), "`site_id`", "'ZZ'", "MLM", "MBO, MCO"),
    "site with a line break": Refused(partial(check_site_id, "MLM\n"), "`site_id`", r"\n", "MLM"),
    "site with a query": Refused(partial(check_site_id, "MLM&x=1"), "`site_id`", "&", "MLM"),
}  # fmt: skip


@pytest.mark.parametrize("call", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_the_limit_itself_is_accepted(call: Callable[[], object]) -> None:
    call()


@pytest.mark.parametrize("row", ONE_PAST.values(), ids=ONE_PAST)
def test_one_past_the_limit_is_refused_by_name_value_and_limit(row: Refused) -> None:
    with pytest.raises(RuleError) as refused:
        row.call()
    error = refused.value
    assert isinstance(error, ValueError)
    assert row.rule in error.rule
    assert row.found in error.found
    assert row.limit in error.limit
    assert row.hint in error.hint
    assert all(part in str(error) for part in (error.rule, error.found, error.limit, error.hint))


CHECKS: Final = {
    "text": check_text,
    "site": check_site_id,
    "token": check_token,
    "content type": check_content_type,
    "base url": check_base_url,
    "id": partial(check_id, "pack_id"),
    "limit": partial(check_page, offset=0),
    "offset": partial(check_page, 1),
    "receiver": check_receiver,
    "resource": check_resource,
}


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_another_kind_of_object_is_a_rule_error(
    check: Callable[[object], object], value: object
) -> None:
    with pytest.raises(RuleError):
        check(value)


@pytest.mark.parametrize("value", [["seller"], {"seller"}, {}, b"seller", 1, "Seller", "", object])
def test_another_role_is_a_rule_error_whatever_its_type(value: object) -> None:
    check: Callable[[object], object] = check_role  # type: ignore[assignment]
    with pytest.raises(RuleError, match=r"`role` of unread messages.*'seller', 'buyer' or None"):
        check(value)


@pytest.mark.parametrize(
    ("rules", "name", "rule"),
    [
        pytest.param(POST_SALE_FILES, "a" * 197 + ".png", "length", id="post-sale 201"),
        pytest.param(CLAIM_FILES, "a" * 122 + ".png", "length", id="claim 126"),
        pytest.param(POST_SALE_FILES, "", "characters", id="post-sale empty"),
        pytest.param(CLAIM_FILES, "", "characters", id="claim empty"),
        *(
            pytest.param(POST_SALE_FILES, f"a{c}b.png", "characters", id=f"post-sale {c!a}")
            for c in "/\\\0\r\n\t\x1f\x7f\x85\x9f\ud800"
        ),
        *(
            pytest.param(CLAIM_FILES, f"a{c}b.png", "characters", id=f"claim {c!a}")
            for c in " ñ/\\\n()+%,😀\uff12\ud800"
        ),
        pytest.param(CLAIM_FILES, "a.png\n", "characters", id="claim line break at the end"),
        pytest.param(CLAIM_FILES, PERIODS, "characters", id="claim screenshot"),
    ],
)
def test_a_refused_name_comes_with_one_that_is_accepted(
    rules: FileRules, name: str, rule: str
) -> None:
    with pytest.raises(RuleError) as refused:
        rules.check_name(name)
    error = refused.value
    assert error.rule == f"{rule} of a {rules.family} file name"
    assert repr(safe_filename(name)) in error.hint
    assert repr(safe_filename(name)) in str(error)
    rules.check_name(safe_filename(name))


def test_a_long_refused_value_is_cut_in_its_error() -> None:
    with pytest.raises(RuleError) as refused:
        POST_SALE_FILES.check_name("a" * 100_000)
    assert "100000 characters" in refused.value.found
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2315686468, "2315686468"), (2**63, str(2**63)), ("2315686468", "2315686468"),
     ("a_b-c.png", "a_b-c.png"), ("...", "..."), ("a?b#c%2f", "a?b#c%2f"), ("ñ", "ñ")],
)  # fmt: skip
def test_an_id_is_an_int_or_a_text(value: int | str, text: str) -> None:
    assert check_id("pack_id", value) == text


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "/", "a/b", "../packs/1", "/packs/1", "1/", "a\\b", "1 ", " 1", "1\n", "\t1",
     "1\r\nX: y", "1\0", "\x7f", "a\x80", "\ud800", True, False, -1],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_id_or_leaves_its_segment_is_refused(value: int | str) -> None:
    with pytest.raises(RuleError) as refused:
        check_id("message_id", value)
    assert refused.value.rule == "`message_id`"
    assert refused.value.found == repr(value)
    assert "a str without" in refused.value.limit


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://api.mercadolibre.com", "https://api.mercadolibre.com"),
        ("https://api.mercadolibre.com/", "https://api.mercadolibre.com"),
        ("https://proxy.example:8443/ml//", "https://proxy.example:8443/ml"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_is_https_or_this_machine(value: str, url: str) -> None:
    assert check_base_url(value) == url


@pytest.mark.parametrize(
    "value",
    ["", "api.mercadolibre.com", "https://", "https:///path", "ftp://host", "file:///etc/passwd",
     "http://api.mercadolibre.com", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example",
     "http://127.0.0.1.example", "http://127.0.0.1@host", "http://user@127.0.0.1",
     "https://user:s3cret@host", "https://:s3cret@host", "https://user:s3cret@host:99999",
     "https://@host", "https://host?a=b",
     "https://host?", "https://host#part", "https://host#", "https://host:port",
     "https://host:99999", "https://[::1", "https://host\n", " https://host", "https://host ",
     "https://ho st", "https://host/a b", "https://host\t/x", "https://host\r\nX: y",
     "https://host\0", "https://host\x7f", "https://host/\x01", "https://\ud800", "https://host:0"],
    ids=ascii,
)  # fmt: skip
def test_any_other_base_url_is_refused(value: str) -> None:
    with pytest.raises(RuleError) as refused:
        check_base_url(value)
    assert refused.value.rule == "`base_url`"
    assert "s3cret" not in f"{refused.value} {refused.value!r}"


def test_plain_http_says_what_is_wrong_with_it() -> None:
    with pytest.raises(RuleError, match="unencrypted"):
        check_base_url("http://api.mercadolibre.com")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.255.255.254", True), ("::1", True),
     ("128.0.0.1", False), ("10.0.0.1", False), ("::", False), ("", False), ("example", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_token_of_printable_ascii_is_accepted() -> None:
    every = "".join(map(chr, range(0x21, 0x7F)))
    assert check_token(TOKEN) == TOKEN
    assert check_token(every) == every


@pytest.mark.parametrize(
    "token",
    ["", " ", f"Bearer {TOKEN}", f"bearer {TOKEN}", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN} {TOKEN}",
     f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}\0", f"{TOKEN}é", f"{TOKEN}\x7f", f"{TOKEN}\ud800"],
    ids=ascii,
)  # fmt: skip
def test_a_refused_token_is_never_repeated(token: str) -> None:
    for refuse in (check_token, Client):
        with pytest.raises(RuleError) as refused:
            refuse(token)
        error = refused.value
        assert "access token" in error.rule
        assert TOKEN not in f"{error!s} {error!r} {error.args} {vars(error)}"


@pytest.mark.parametrize(
    "value",
    ["image/png", "application/vnd.ms-excel.sheet+xml", "text/plain; charset=utf-8",
     "text/plain;charset=utf-8;a=b", 'text/plain; name="a; b/c"', "x-a/x-b"],
)  # fmt: skip
def test_a_mime_type_is_a_content_type(value: str) -> None:
    check_content_type(value)


@pytest.mark.parametrize(
    "value",
    ["", "image", "image/", "/png", "image/png/x", "image /png", " image/png", "image/png ",
     "image/png\n", "image/png\r\nX-Other: 1", "image/png;", "text/plain; charset",
     'text/plain; a="\r\n"', 'text/plain; a="', "text/plain\r\n;a=b", "text/plain;\r\n\r\na=b",
     "text/plain;\n a=b", "text/plain\u2028; a=b", 'text/plain; a="\ud800"',
     'text/plain; a="\x85"', "imagen/ñ"],
    ids=ascii,
)  # fmt: skip
def test_what_would_leave_its_header_line_is_no_content_type(value: str) -> None:
    with pytest.raises(RuleError) as refused:
        check_content_type(value)
    assert refused.value.rule == "`content_type` of a file"


DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")
PARTS = st.sampled_from(
    ["con", "CON", "nul", "com1", "lpt9", ".", "_", "-", " ", "/", "é", "😀", "COM¹", "a", "9"]
)
NAMES = st.one_of(
    st.text(max_size=300),
    st.lists(PARTS, max_size=8).map("".join),
    st.tuples(st.integers(110, 130), st.lists(PARTS, max_size=25)).map(
        lambda drawn: "a" * drawn[0] + "".join(drawn[1])
    ),
)
EXTENSIONS = st.from_regex(r"[a-zA-Z0-9]{1,16}", fullmatch=True)


@settings(max_examples=300)
@given(NAMES)
@example("con_.txt")
@example("CON .txt")
@example("aux?")
@example("a_.b_")
@example("a" * 121 + "_." + "b" * 20)
@example("\ud800.png")
def test_a_safe_name_is_accepted_everywhere_and_stays_as_it_is(name: str) -> None:
    safe = safe_filename(name)
    POST_SALE_FILES.check_name(safe)
    CLAIM_FILES.check_name(safe)
    assert re.match("[a-zA-Z0-9]", safe)
    assert not DEVICE.match(safe)
    assert not safe.endswith(".")  # Windows drops it
    assert safe_filename(safe) == safe


@given(NAMES, EXTENSIONS)
def test_a_safe_name_keeps_the_extension(stem: str, extension: str) -> None:
    assert safe_filename(f"{stem}.{extension}").endswith(f".{extension}")


@pytest.mark.slow
@given(st.from_regex(r"[a-zA-Z0-9]{1,60}(_[a-zA-Z0-9]{1,30})?\.[a-z]{1,16}", fullmatch=True))
def test_a_name_that_is_safe_already_is_left_alone(name: str) -> None:
    assert safe_filename(name) == (f"file_{name}" if DEVICE.match(name) else name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        (PERIODS, "Captura_de_pantalla_2024-08-22_a_la_s_4.12.28_p.m.png"),
        ("a la(s) 4.12.28\u202fp.m..png", "a_la_s_4.12.28_p.m.png"),
        ("Año nuevo.PDF", "Ano_nuevo.PDF"),
        (unicodedata.normalize("NFD", "Año.pdf"), "Ano.pdf"),
        ("😀", "file"),
        ("😀.png", "file.png"),
        ("a" * 300, "a" * 125),
        ("a" * 300 + ".jpeg", "a" * 120 + ".jpeg"),
        ("CON", "file_CON"),
        ("con.txt", "file_con.txt"),
        ("nul.tar.gz", "file_nul.tar.gz"),
        ("...", "file"),
        (".bashrc", "file.bashrc"),
        ("-rf", "rf"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("", "file"),
    ],
    ids=ascii,
)  # fmt: skip
def test_safe_names_by_example(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


@pytest.mark.parametrize("name", [None, 5, b"a.png"])
def test_a_name_that_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(RuleError, match="`name` of a file"):
        safe_filename(name)


@pytest.mark.parametrize("copied", [copy.deepcopy, replace])
def test_rules_are_compared_by_value_and_show_their_pattern(
    copied: Callable[[FileRules], FileRules],
) -> None:
    again = copied(CLAIM_FILES)
    assert again == CLAIM_FILES
    assert hash(again) == hash(CLAIM_FILES)
    assert again != replace(CLAIM_FILES, name_pattern=POST_SALE_FILES.name_pattern)
    assert CLAIM_FILES.name_pattern.pattern == "[a-zA-Z0-9._-]+"
    assert "name_pattern=LazyPattern('[a-zA-Z0-9._-]+')" in repr(CLAIM_FILES)
