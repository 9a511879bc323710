"""Files as people have them: what a name says, compression, encodings, pipes, standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaladapt.data.reading import unpacking
from evaladapt.data.text import TextFile, read_documents
from evaladapt.errors import DataError

DOCUMENTS = ["one\ntwo", "drei, schön", "数🙂"]
LINES = "".join(json.dumps({"text": document}) + "\n" for document in DOCUMENTS).encode()


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    return bytes(zstandard.ZstdCompressor().compress(data))


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return give


@pytest.mark.parametrize("name", ["a.jsonl", "A.JSONL", "a.ndjson", "a.NdJson", "a.json", "b.JSON", "c.jsonlines"])
def test_json_lines_by_any_name(tmp_path: Path, name: str) -> None:
    assert read_documents(write(tmp_path, name, LINES)) == DOCUMENTS


@pytest.mark.parametrize(
    "value",
    [
        DOCUMENTS,
        [{"text": document, "id": 3} for document in DOCUMENTS],
        {"documents": DOCUMENTS, "made": "today"},
        {"documents": [{"text": document} for document in DOCUMENTS]},
    ],
    ids=["strings", "objects", "documents", "documents of objects"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_an_array_or_an_object_with_documents(tmp_path: Path, value: object, indent: int | None) -> None:
    path = write(tmp_path, "a.json", json.dumps(value, indent=indent).encode())
    assert read_documents(path) == DOCUMENTS


def test_one_object_is_one_document_and_anything_else_is_refused(tmp_path: Path) -> None:
    assert read_documents(write(tmp_path, "a.json", b'{"text": "x"}\n\n')) == ["x"]
    with pytest.raises(DataError, match=r"holds a number.*name it \.txt"):
        read_documents(write(tmp_path, "b.json", b"3"))
    with pytest.raises(DataError, match=r"item 2: no text in it.*it is null"):
        read_documents(write(tmp_path, "c.json", b'["a", null]'))
    with pytest.raises(DataError, match="not JSON"):
        read_documents(write(tmp_path, "d.json", b'["a",'))


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd), (".ZSTD", zstd)],
)
def test_compressed_files_are_unpacked(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    assert read_documents(write(tmp_path, f"a.jsonl{suffix}", pack(LINES))) == DOCUMENTS
    assert read_documents(write(tmp_path, f"a.txt{suffix}", pack(b"a\r\nb"))) == ["a\r\nb"]
    packed = pack(LINES * 50)
    with pytest.raises(DataError, match=r"is damaged or cut short"):
        read_documents(write(tmp_path, f"cut.txt{suffix}", packed[: len(packed) // 2]))
    with pytest.raises(DataError, match=r"is damaged or cut short"):
        read_documents(write(tmp_path, f"no.txt{suffix}", b"just text, not packed"))
    with pytest.raises(DataError, match="is empty"):
        read_documents(write(tmp_path, f"nothing.txt{suffix}", pack(b"")))


def test_a_file_made_to_fill_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "TRUSTED_BYTES", 1 << 16)
    bomb = write(tmp_path, "bomb.txt.xz", lzma.compress(b"a" * (8 << 20)))
    with pytest.raises(DataError, match="more than 1,000 times its size"):
        read_documents(bomb)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.xz", "a.tgz", "a.zip", "a.7z", "a.arrow", "a.pdf"])
def test_what_is_known_and_not_read_is_refused_with_a_command(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"tar -xf|unzip|7z x|to_parquet|pdftotext"):
        read_documents(write(tmp_path, name, b"x"))


def test_parquet_gives_a_column(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "A.Parquet"
    parquet.write_table(pyarrow.table({"id": [1, 2, 3, 4], "body": [*DOCUMENTS, ""]}), path)
    file = TextFile(path, "body")
    assert ["".join(blocks) for blocks in file.documents()] == DOCUMENTS
    assert file.empty == 1
    with pytest.raises(DataError, match=r"no field 'text'\. It has 'id', 'body'.*--text-field NAME"):
        read_documents(path)
    with pytest.raises(DataError, match="row 1: no text in it: column 'id' holds a number"):
        read_documents(path, "id")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_documents(write(tmp_path, "b.parquet", b"PAR1, but no more"))


@pytest.mark.parametrize(("name", "package"), [("a.parquet", "pyarrow"), ("a.txt.zst", "zstandard")])
def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=r"pip install 'evaladapt\[data\]'"):
        read_documents(write(tmp_path, name, b"x"))


def test_another_field_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", b'{"content": "x", "text": "y"}\n')
    assert read_documents(path, "content") == ["x"]
    assert read_documents(path) == ["y"]
    with pytest.raises(DataError, match=r"no field 'contents'\. It has 'content', 'text'\. Did you mean 'content'"):
        read_documents(path, "contents")


def test_empty_documents_are_counted(tmp_path: Path) -> None:
    file = TextFile(write(tmp_path, "a.jsonl", b'{"text": ""}\n\n{"text": "x"}\n{"text": ""}\n'))
    assert ["".join(blocks) for blocks in file.documents()] == ["x"]
    assert file.empty == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json"])
def test_other_encodings_come_with_the_command_that_helps(tmp_path: Path, encoding: str, name: str) -> None:
    content = LINES.decode().encode(encoding)
    if encoding == "utf-16-be":
        content = b"\xfe\xff" + content
    with pytest.raises(DataError, match=r"(is in|looks like) UTF-.*iconv -f UTF-(16|16LE|32) -t UTF-8 .* > .*utf8-a"):
        read_documents(write(tmp_path, name, content))


def test_a_byte_order_mark_is_told_where_it_is_scored_and_skipped_where_it_is_not_text(tmp_path: Path) -> None:
    file = TextFile(write(tmp_path, "a.txt", b"\xef\xbb\xbfabc"))
    assert ["".join(blocks) for blocks in file.documents()] == ["\ufeffabc"]
    assert any("byte order mark" in note and "tail -c +4" in note for note in file.notes)
    assert read_documents(write(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + LINES)) == DOCUMENTS
    assert read_documents(write(tmp_path, "a.json", b"\xef\xbb\xbf" + json.dumps(DOCUMENTS).encode())) == DOCUMENTS


@pytest.mark.parametrize("pad", range(4))
def test_a_character_on_the_edge_of_a_block_is_whole_and_a_broken_one_is_found(tmp_path: Path, pad: int) -> None:
    text = "x" * (65_536 - pad) + "🙂\n" * 3
    assert read_documents(write(tmp_path, "a.txt", text.encode())) == [text]
    broken = text.encode() + b"ab\xe9\n"
    with pytest.raises(DataError, match=rf"byte 0xe9 at offset {len(broken) - 2} \(line 4\)"):
        read_documents(write(tmp_path, "b.txt", broken))
    with pytest.raises(DataError, match=rf"byte 0xf0 at offset {len(text.encode()) - 5} \(line 3\)"):
        read_documents(write(tmp_path, "c.txt", text.encode()[:-2]))


def test_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"is a pipe.*standard input"):
        read_documents(pipe)
    with pytest.raises(DataError, match="is a device"):
        read_documents("/dev/zero")
    with pytest.raises(DataError, match="Cannot read"):
        read_documents("a\0b.txt")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"text": ' + "[" * 100_000, '{"text": "a", "n": ' + "9" * 5000 + "}"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_that_would_break_the_reader_is_one_error(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(DataError, match=r"JSON"):
        read_documents(write(tmp_path, name, text.encode()))


def test_standard_input_is_one_text_or_json_lines(standard_input: Callable[[bytes], None]) -> None:
    standard_input(b"a text\nof two lines")
    assert read_documents("-") == ["a text\nof two lines"]
    standard_input(LINES)
    file = TextFile("-")
    assert ["".join(blocks) for blocks in file.documents()] == DOCUMENTS
    assert any("JSON lines" in note for note in file.notes)
    standard_input(b'{"body": "x"}\n')
    assert read_documents("-", "body") == ["x"]
    standard_input(b"")
    with pytest.raises(DataError, match="standard input is empty"):
        read_documents("-")
    standard_input("ab".encode("utf-16"))
    with pytest.raises(DataError, match=r"standard input is in UTF-16.*\| iconv"):
        read_documents("-")
