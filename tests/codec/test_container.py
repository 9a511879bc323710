import dataclasses
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.codec.container import CRC, HEAD, MAX_TEXT_BYTES, EvzFile, Identity, parse_evz, read_evz
from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import Recipe
from evaladapt.codec.text import Spelling

RECIPE = Recipe(plugins=("sliding",), options={"sliding": {"stride": 4}}, batch=16, seed=0, threads=1, made="tests")
FILE = EvzFile(
    spelling=Spelling.TOKENIZER,
    targets=900,
    text_bytes=3000,
    identity=Identity(bytes(16), bytes(range(16)), bytes(range(16, 32)), bytes(8)),
    recipe=RECIPE,
    document_starts=np.array([0, 3, 4, 300, 900]),
    payload=bytes(range(40)),
)
CONTENT = FILE.pack()


def sealed(content):
    return content + CRC.pack(zlib.crc32(content))


def changed(**fields):
    return dataclasses.replace(FILE, **fields).pack()


def test_a_file_comes_back():
    found = parse_evz(CONTENT)
    assert found.document_starts.tolist() == [0, 3, 4, 300, 900]
    for field in dataclasses.fields(EvzFile):
        if field.name != "document_starts":
            assert getattr(found, field.name) == getattr(FILE, field.name)


def test_every_truncation_is_refused():
    for length in range(len(CONTENT)):
        with pytest.raises(CodecError):
            parse_evz(CONTENT[:length])


def test_every_flipped_bit_is_refused():
    for index in range(8 * len(CONTENT)):
        flipped = bytearray(CONTENT)
        flipped[index // 8] ^= 1 << index % 8
        with pytest.raises(CodecError):
            parse_evz(bytes(flipped))


def test_bytes_after_the_end_are_refused():
    with pytest.raises(CodecError, match="followed by something else"):
        parse_evz(CONTENT + b"\0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no .evz file"),
        (b"PK\x03\x04 something else altogether", "no .evz file"),
        (CONTENT[:40], "cut off"),
        (CONTENT[:-1], "cut off"),
        (CONTENT[:4] + b"\x02" + CONTENT[5:], "format version 2"),
        (sealed(CONTENT[:5] + b"\x07" + CONTENT[6 : -CRC.size]), "spelling 7"),
        (changed(text_bytes=MAX_TEXT_BYTES + 1), "the limit is"),
        (changed(text_bytes=2**31), "the limit is"),
        (changed(targets=2**31), "cannot be"),
        (changed(targets=800), "table of documents does not fit"),
        (changed(document_starts=np.array([0, 0])), "table of documents does not fit"),
        (changed(document_starts=np.array([0, 2**60])), "too large"),
        (changed(recipe=dataclasses.replace(RECIPE, batch=0)), "batch size"),
        (changed(recipe=dataclasses.replace(RECIPE, threads=0)), "threads"),
        (changed(recipe=dataclasses.replace(RECIPE, options={"a": 1})), "no table"),
        (changed(recipe=dataclasses.replace(RECIPE, seed=None)), "does not hold"),
    ],
)
def test_what_is_wrong_is_named(content, said):
    with pytest.raises(CodecError, match=said):
        parse_evz(content)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_recipe_and_table_of_anything_are_one_error_or_none(middle, cut):
    """Sealed with a right checksum, so that what comes after it is reached."""
    recipe_bytes = min(cut, len(middle))
    head = HEAD.pack(b"EVZ\x1a", 1, 0, recipe_bytes, len(middle) - recipe_bytes, 0, 5, 100, *[b""] * 4)
    with pytest.raises(CodecError):
        parse_evz(sealed(head + middle))


def test_a_recipe_that_is_too_long_is_refused_before_anything_is_coded():
    with pytest.raises(CodecError, match="a file has room for 65,535"):
        dataclasses.replace(RECIPE, options={"a": {"b": "x" * 70_000}}).to_json()


def test_a_recipe_leaves_its_defaults_out_and_gets_them_back():
    plain = dataclasses.replace(RECIPE, options={}, batch=16, seed=0)
    assert plain.to_json() == b'{"made":"tests","plugins":"sliding","threads":1}'
    for recipe in (plain, RECIPE, dataclasses.replace(RECIPE, plugins=("sliding", "ttt"), batch=3, seed=7)):
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(CodecError, match=r"(?i)no such file"):
        read_evz(tmp_path / "none.evz")
    with pytest.raises(CodecError, match="not a regular file"):
        read_evz(tmp_path)


def test_the_path_is_named(tmp_path):
    path = tmp_path / "x.evz"
    path.write_bytes(CONTENT[:-3])
    with pytest.raises(CodecError, match=r"x\.evz: the file has .* bytes and says"):
        read_evz(path)
