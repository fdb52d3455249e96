"""Lists of ids: every usual form is understood, everything else is an error with its line."""

import codecs
import io
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from commands import invoke, mlmsg
from hypothesis import given, settings
from hypothesis import strategies as st
from mirrors import on_disk

from mlmsg import RuleError
from mlmsg.cli import _id_lists
from mlmsg.cli._id_lists import IdParser, ListError

PACK = "2000007001000011"
OTHER = "2000007001000022"
BOTH = [PACK, OTHER]

TEXTS = {
    "one per line": f"{PACK}\n{OTHER}\n",
    "without a final line end": f"{PACK}\n{OTHER}",
    "Windows line ends": f"{PACK}\r\n{OTHER}\r\n",
    "old Mac line ends": f"{PACK}\r{OTHER}\r",
    "blank lines and spaces": f"\n  {PACK}  \n\n\t{OTHER}\n \n",
    "comments": f"# the packs of May\n{PACK} # the mug\n#{PACK}\n{OTHER}\t# the coffee\n",
    "double quotes": f'"{PACK}"\n"{OTHER}"\n',
    "single quotes": f"'{PACK}'\n'{OTHER}'\n",
    "the apostrophe of a spreadsheet": f"'{PACK}\n'{OTHER}\n",
    "a header": f"pack_id\n{PACK}\n{OTHER}\n",
    "a header in another language": f"número de paquete\n{PACK}\n{OTHER}\n",
    "a header after a comment": f"# export\n\nPack\n{PACK}\n{OTHER}\n",
    "the first column": f"{PACK},2024-08-17,Mariana\n{OTHER},2024-09-03,Beatriz\n",
    "semicolons": f"{PACK};2024-08-17;1,50\n{OTHER};2024-09-03;2,50\n",
    "tabs": f"{PACK}\tMariana\n{OTHER}\tBeatriz\n",
    "columns of spaces": f"PACK              SITE\n{PACK}  MLM\n{OTHER}  MLB\n",
    "quotes around commas": f'"{PACK}","Mariana, the first"\n"{OTHER}","a ""quote"""\n',
    "a column by its header": f"date,Pack ID,buyer\n2024,{PACK},1\n2025,{OTHER},2\n",
    "the exact column before a plain id": f"id,pack_id\n1,{PACK}\n2,{OTHER}\n",
    "a plain id column": f"buyer;id\nMariana;{PACK}\nBeatriz;{OTHER}\n",
    "quoted header": f'"pack_id","buyer"\n"{PACK}","Mariana"\n"{OTHER}",""\n',
    "fewer columns than the header": f"pack_id,buyer\n{PACK}\n{OTHER}\n",
}

ENCODINGS = {
    "UTF-8": ("utf-8", b""),
    "UTF-8 with a mark": ("utf-8", codecs.BOM_UTF8),
    "UTF-16 LE": ("utf-16-le", codecs.BOM_UTF16_LE),
    "UTF-16 BE": ("utf-16-be", codecs.BOM_UTF16_BE),
    "UTF-32 LE": ("utf-32-le", codecs.BOM_UTF32_LE),
    "UTF-32 BE": ("utf-32-be", codecs.BOM_UTF32_BE),
}


def parse(data: bytes, step: int | None = None) -> list[str]:
    """Return the ids of a list that arrives in pieces of `step` bytes."""
    parser = IdParser("ids.txt", "pack")
    step = step or max(len(data), 1)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    ids = [identifier for piece in pieces for identifier in parser.feed(piece)]
    return ids + parser.feed(b"", final=True)


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", TEXTS)
def test_every_usual_form_is_understood(form: str, encoding: str, step: int | None) -> None:
    codec, mark = ENCODINGS[encoding]
    assert parse(mark + TEXTS[form].encode(codec), step) == BOTH


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nothing\n", codecs.BOM_UTF16_LE, b"pack_id\n"])
def test_a_list_may_be_empty(data: bytes) -> None:
    assert parse(data) == []


ERRORS = {
    "a Latin-1 byte": (f"{PACK}\n".encode() + b"# se\xf1or\n", 2, "not UTF-8"),
    "half a character at the end": (f"{PACK}\n# se".encode() + b"\xc3", 2, "not UTF-8"),
    "UTF-16 that ends early": (codecs.BOM_UTF16_LE + "1\n2\n".encode("utf-16-le")[:-1], 2, "UTF"),
    "UTF-16 without a mark": ("1\n2\n".encode("utf-16-le"), 1, "not text"),
    "an image": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", 1, "not UTF-8"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(9), 1, "not text"),
    "a word in the middle": (f"{PACK}\n\nnone\n".encode(), 3, "'none'"),
    "two ids on a line": (f"{PACK} {OTHER}\n".encode(), 1, PACK),
    "a path": (f"packs/{PACK}\n".encode(), 1, "packs/"),
    "a negative number": (b"1\n-5\n", 2, "'-5'"),
    "a fraction": (f"{PACK}.0\n".encode(), 1, "'2000007001000011.0'"),
    "a rounded number": (b"2,00001E+15\n", 1, "as text"),
    "a rounded number in its cell": (b'"2.00001E+15"\n', 1, "format the column as text"),
    "thousands": (b"2,000,007,001,000,011\n", 1, "thousands"),
    "points for thousands": (b"2.000.007.001.000.011\n", 1, "thousands"),
    "digits of another script": ("١٢٣\n".encode(), 1, "'١٢٣'"),
    "no such column": (b"order,buyer\n1,2\n", 1, "Name one column pack_id"),
    "a missing column": (f"buyer,pack_id\nx,{PACK}\ny\n".encode(), 3, "1 columns"),
    "an empty cell": (f"pack_id,buyer\n{PACK},x\n,y\n".encode(), 3, "''"),
    "an open quote": (f'{PACK}\n"{OTHER}\n'.encode(), 2, ""),
    "a line without an end": (b"1\n" + b"7" * 100_000, 2, "a line"),
    "HTML": (b"<!DOCTYPE html>\n<html>\n", 2, "<html>"),
    "JSON": (b"[2000007001000011]\n", 1, "[2000"),
}


@pytest.mark.parametrize("data", [b"1\n", b"1\nx\n"])
@pytest.mark.parametrize("leaves", [False, True])
async def test_a_file_is_closed_also_after_an_error_and_if_the_reader_leaves(
    data: bytes, monkeypatch: pytest.MonkeyPatch, *, leaves: bool
) -> None:
    file = io.BytesIO(data)
    monkeypatch.setattr(_id_lists, "_open", lambda _: file)
    with suppress(ListError):
        async with aclosing(_id_lists.read_ids("ids.txt", "pack")) as ids:
            async for _ in ids:
                if leaves:
                    break
    assert file.closed


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("case", ERRORS)
def test_every_other_line_is_an_error_with_its_file_and_number(case: str, step: int | None) -> None:
    data, line, words = ERRORS[case]
    with pytest.raises(ListError) as caught:
        parse(data, step)
    assert str(caught.value).startswith(f"ids.txt, line {line}: found ")
    assert words in str(caught.value)
    assert caught.value.line == line


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_are_a_list_or_an_error_of_ours(data: bytes, step: int) -> None:
    try:
        whole = parse(data)
    except RuleError:
        with pytest.raises(RuleError):
            parse(data, step)
    else:
        assert parse(data, step) == whole
        assert all(identifier.isdecimal() for identifier in whole)


def test_a_bad_line_of_a_file_is_found_before_anything_is_mirrored(tmp_path: Path) -> None:
    ids = tmp_path / "packs.txt"
    ids.write_bytes(f"{PACK}\n".encode() + b"se\xf1or\n")
    done = invoke("sync", "--sandbox", "--to", str(tmp_path / "to"), "--packs-from", str(ids))
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"Error: {ids}, line 2: found bytes that are not UTF-8" in done.stderr
    assert not (tmp_path / "to").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_bad_line_of_a_pipe_ends_the_command_with_its_line(name: str, tmp_path: Path) -> None:
    arguments = ("sync", "--sandbox", "--to", str(tmp_path), "--packs-from", name)
    done = mlmsg(*arguments, given=f"{PACK}\nnone\n")
    assert done.returncode == 2
    assert "line 2: found 'none'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_list_of_powershell_is_understood(tmp_path: Path) -> None:
    ids = tmp_path / "packs.txt"
    ids.write_text(f"pack_id\r\n{PACK}\r\n", encoding="utf-16")
    done = invoke("sync", "--sandbox", "--to", str(tmp_path / "to"), "--packs-from", str(ids))
    assert (done.exit_code, done.stderr) == (0, "")
    assert {path.split("/")[1] for path in on_disk(tmp_path / "to")} == {PACK}
