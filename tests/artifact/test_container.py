"""Headers that lie, each by one lie; checksums and seal fit, so that the check in question is what refuses."""

import json

import pytest
import safetensors
from safetensors.numpy import load

from evaladapt.artifact import DamagedArtifact, LimitExceeded, Limits, NotAnArtifact
from tests.artifact.forge import check, sealed, split, with_header
from tests.artifact.golden_input import GOLDEN


def test_the_safetensors_library_reads_the_file(golden):
    tensors = load(golden)
    ours = check(golden).stored
    assert set(tensors) == {*ours, "seal"}
    for name, tensor in ours.items():
        assert tensors[name].tobytes() == tensor.data
        assert tensors[name].shape == tensor.shape
    with safetensors.safe_open(str(GOLDEN), framework="np") as file:
        assert set(file.metadata()) == {"evaladapt"}


def test_the_file_without_its_seal_is_refused_although_it_is_valid_safetensors(golden):
    header, body = split(golden)
    del header["seal"]
    raw = json.dumps(header).encode()
    data = len(raw).to_bytes(8, "little") + raw + body
    assert load(data)
    with pytest.raises(NotAnArtifact, match="evaladapt pack"):
        check(data)


def set_field(name, field, value):
    def change(header):
        header[name][field] = value

    return change


def shift(start, stop):
    def change(header):
        before = header["tokenizer"]["data_offsets"]
        header["tokenizer"]["data_offsets"] = [before[0] + start, before[1] + stop]
        header["tokenizer"]["shape"] = [before[1] + stop - before[0] - start]

    return change


LIES = {
    "overlap": (shift(-1, 0), "overlaps"),
    "hole": (shift(1, 0), "hole"),
    "out of range": (set_field("seal", "data_offsets", [2**40, 2**40 + 32]), "hole"),
    "reversed offsets": (set_field("seal", "data_offsets", [40, 8]), "shape"),
    "three offsets": (set_field("seal", "data_offsets", [0, 1, 2]), "pair"),
    "negative offset": (set_field("scale", "data_offsets", [-2, 0]), "whole numbers"),
    "float offset": (set_field("scale", "data_offsets", [0.0, 2.0]), "whole numbers"),
    "boolean in shape": (set_field("seal", "shape", [True, 32]), "whole numbers"),
    "shape beyond 63 bits": (set_field("seal", "shape", [2**63]), "whole numbers"),
    "shape product overflows": (set_field("seal", "shape", [2**62, 2**62, 2]), "shape"),
    "zero dimension": (set_field("seal", "shape", [0]), "empty shape"),
    "nine dimensions": (set_field("seal", "shape", [1] * 8 + [32]), "shape"),
    "shape is no list": (set_field("seal", "shape", 32), "whole numbers"),
    "unknown dtype": (set_field("scale", "dtype", "F4"), "dtype"),
    "dtype is a list": (set_field("scale", "dtype", ["F16"]), "dtype"),
    "other dtype": (set_field("seal", "dtype", "F32"), "dtype"),
    "sub-byte dtype": (set_field("seal", "dtype", "I4"), "dtype"),
    "additional field": (set_field("seal", "comment", "x"), "nothing else"),
    "entry is a list": (lambda header: header.update(seal=[1]), "nothing else"),
    "additional tensor": (
        lambda header: header.update(extra={"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}),
        "overlaps",
    ),
    "missing tensor": (lambda header: header.pop("scale"), "hole"),
    "no metadata": (lambda header: header.pop("__metadata__"), "__metadata__"),
    "second metadata key": (set_field("__metadata__", "more", "x"), "__metadata__"),
    "metadata not a string": (set_field("__metadata__", "evaladapt", {}), "not a string"),
    "metadata is a list": (lambda header: header.update(__metadata__=[]), "__metadata__"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_damage(golden, lie):
    change, words = LIES[lie]
    with pytest.raises(DamagedArtifact, match=words):
        check(with_header(golden, change))


def test_two_tensors_at_one_place_are_refused(golden):
    header, body = split(golden)
    header["twin"] = header["tokenizer"]
    with pytest.raises(DamagedArtifact, match="overlaps"):
        check(sealed(json.dumps(header), body))


RAW_HEADERS = {
    "not an object": (b'{"seal": 1}]', "not valid JSON"),
    "not JSON": (b'{"seal": ', "not valid JSON"),
    "single quotes": (b"{'seal': 1}", "not valid JSON"),
    "invalid UTF-8": (b'{"seal": "\xff\xfe"}', "not UTF-8"),
    "byte order mark": (b'\xef\xbb\xbf{"seal": 1}', "does not start with"),
    "a list": (b'["seal"]', "does not start with"),
    "leading space": (b' {"seal": 1}', "does not start with"),
    "duplicate key": (b'{"seal": 1, "seal": 1}', "'seal' occurs twice"),
    "duplicate key inside": (b'{"seal": {"dtype": "U8", "dtype": "U8"}}', "'dtype' occurs twice"),
    "NaN": (b'{"seal": NaN}', "NaN is not a number"),
    "Infinity": (b'{"seal": -Infinity}', "-Infinity is not a number"),
    "1e999": (b'{"seal": 1e999}', "not a finite number"),
    "10,000 digits": (b'{"seal": ' + b"1" * 10_000 + b"}", "not valid JSON"),
    "half a surrogate pair": (b'{"seal": "\\ud800"}', "surrogate"),
    "NUL": (b'{"seal": "\0"}', "not valid JSON"),
    "two values": (b'{"seal": 1} {}', "not valid JSON"),
}


@pytest.mark.parametrize("header", RAW_HEADERS)
def test_a_header_that_is_not_strict_json_is_damage(golden, header):
    raw, words = RAW_HEADERS[header]
    with pytest.raises(DamagedArtifact, match=words):
        check(sealed(raw, split(golden)[1]))


def test_an_empty_header_is_no_artifact(golden):
    with pytest.raises(NotAnArtifact, match="sealed"):
        check(sealed(b"{}", split(golden)[1]))


@pytest.mark.parametrize("length", [0, 1, 2**19, 2**63, 2**64 - 1, 2**20 + 1])
def test_an_impossible_header_length_is_refused(golden, length):
    with pytest.raises((DamagedArtifact, LimitExceeded)):
        check(length.to_bytes(8, "little") + golden[8:])


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_bottomless_nesting_is_refused_before_it_is_parsed(golden, opening):
    header = b'{"seal":' + opening * 100_000
    with pytest.raises(LimitExceeded, match="nests deeper"):
        check(sealed(header, split(golden)[1]))


def test_brackets_inside_strings_do_not_nest(golden):
    data = with_header(golden, lambda header: header.update({"[" * 100: header.pop("scale")}))
    with pytest.raises(DamagedArtifact, match="disagree"):
        check(data)


def test_a_hundred_thousand_tensors_are_refused(golden):
    def change(header):
        header.update({f"t{k}": 0 for k in range(100_000)})

    with pytest.raises(LimitExceeded):
        check(with_header(golden, change))
    with pytest.raises(LimitExceeded, match="limit is 4096"):
        check(with_header(golden, change), Limits(header_bytes=1 << 24))


def test_limits_are_for_the_caller_to_raise_and_lower(golden):
    with pytest.raises(LimitExceeded, match="8 bytes announce"):
        check(golden, Limits(header_bytes=100))
    with pytest.raises(LimitExceeded, match="limit is 3"):
        check(golden, Limits(tensors=3))
    with pytest.raises(LimitExceeded, match="numbers; the limit is 10"):
        check(golden, Limits(values=10))
    with pytest.raises(LimitExceeded, match="tokenizer"):
        check(golden, Limits(tokenizer_bytes=10))
