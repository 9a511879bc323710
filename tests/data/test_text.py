from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.text import read_documents, split_document, unix_newlines
from evaladapt.errors import DataError


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_text_file_is_one_document_byte_for_byte(tmp_path: Path) -> None:
    text = "\ufeffone\r\ntwo\rthree \n\n"
    assert read_documents(write(tmp_path, "a.txt", text.encode())) == [text]


def test_json_lines_are_documents(tmp_path: Path) -> None:
    lines = '{"text": "one\\ntwo"}\n\n{"prefix": "a", "gold_completion": " b", "other": 1}\n{"text": ""}\n'
    assert read_documents(write(tmp_path, "a.jsonl", lines.encode())) == ["one\ntwo", "a b"]


def test_unicode_line_separators_do_not_end_a_json_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a\u2028b\x85c"}\n'.encode())
    assert read_documents(path) == ["a\u2028b\x85c"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"\x00\xff\xfe binary", "is a binary file"),
        ("a.txt", b"one\ntwo \xe9t\xe9", r"not valid UTF-8: byte 0xe9 at offset 8 \(line 2\)"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ', "line 2: not JSON"),
        ("a.jsonl", b'{"body": "a"}', "line 1: no text in it: no field 'text'. It has 'body'.*--text-field NAME"),
        ("a.jsonl", b'{"text": 3}', "line 1: no text in it"),
        ("a.jsonl", b'["text"]', "line 1: no text in it.*an array"),
        ("a.jsonl", b'{"prefix": "a"}', "line 1: no text in it"),
        ("a.jsonl", b'{"text": ""}\n', "holds no text"),
        ("a.jsonl", b'{"text": "\\ud800"}', "line 1: holds a lone surrogate"),
    ],
)
def test_bad_files_give_one_clear_error(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_documents(write(tmp_path, name, data))


def test_a_missing_file_names_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, "there.txt", b"x")
    with pytest.raises(DataError, match=r"No file .*gone\.txt\. In that folder: there\.txt"):
        read_documents(tmp_path / "gone.txt")
    with pytest.raises(DataError, match="does not exist either"):
        read_documents(tmp_path / "no" / "gone.txt")


def test_a_folder_is_not_a_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        read_documents(tmp_path)


@given(text=st.text(alphabet="ab\n", max_size=200), size=st.integers(2, 40))
def test_pieces_join_to_the_text_and_end_at_line_ends(text: str, size: int) -> None:
    pieces = split_document(text, size)
    assert "".join(pieces) == text
    for piece in pieces[:-1]:
        assert size <= len(piece) < 2 * size + 2
        assert piece.endswith("\n") or "\n" not in piece[size - 1 :]


@pytest.mark.parametrize(("text", "sizes"), [("x" * 100, [40, 40, 20]), ("word " * 20, [40, 40, 20])])
def test_a_text_of_one_line_is_cut_too(text: str, sizes: list[int]) -> None:
    assert [len(piece) for piece in split_document(text, 40)] == sizes


def test_a_blank_line_is_preferred() -> None:
    text = "x" * 10 + "\nyy\n\nzz\n" + "w" * 20
    assert split_document(text, 10)[0] == "x" * 10 + "\n"
    assert split_document(text, 12)[0] == "x" * 10 + "\nyy\n\n"


def test_unix_newlines() -> None:
    assert unix_newlines("\ufeffa\r\nb\rc\n") == "a\nb\nc\n"
