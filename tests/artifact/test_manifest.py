"""Manifests and payloads that lie, with checksums and seal that fit."""

import json

import numpy as np
import pytest

from evaladapt.artifact import DamagedArtifact, LimitExceeded, Limits, UnsupportedArtifact, read_artifact
from evaladapt.artifact.coding.coders import lzma_encode
from evaladapt.artifact.container import StoredTensor, pack_container, parse_container
from evaladapt.errors import ArtifactError
from evaladapt.system.strict_json import canonical_json
from tests.artifact.forge import check, nothing, octets, with_manifest

UP = "blocks.0.up"


def in_entry(field, value, name=UP):
    def change(manifest):
        manifest["tensors"][name][field] = value

    return change


def in_tokenizer(field, value):
    def change(manifest):
        manifest["tokenizer"][field] = value

    return change


def renamed(name):
    def change(manifest):
        manifest["tensors"][name] = manifest["tensors"].pop("scale")

    return change


LIES = {
    "format of another kind": (lambda m: m.update(format="evb"), DamagedArtifact, "format"),
    "future version": (lambda m: m.update(version=2), UnsupportedArtifact, "version 2; this evaladapt reads version 1"),
    "version zero": (lambda m: m.update(version=0), DamagedArtifact, "version"),
    "version is true": (lambda m: m.update(version=True), DamagedArtifact, "version"),
    "unknown field": (lambda m: m.update(extra=1), DamagedArtifact, "'extra'"),
    "missing field": (lambda m: m.pop("metadata"), DamagedArtifact, "'metadata'"),
    "tensors is a list": (lambda m: m.update(tensors=[]), DamagedArtifact, "'tensors' is not an object"),
    "model is a number": (lambda m: m.update(model=3), DamagedArtifact, "'model' is not an object"),
    "a billion layers": (lambda m: m["model"].update(layers=10**9), LimitExceeded, "'layers'"),
    "unknown quantiser": (in_entry("quantizer", "int-rows@2"), UnsupportedArtifact, "Did you mean 'int-rows@1'"),
    "quantiser is a number": (in_entry("quantizer", 1), DamagedArtifact, "no quantiser"),
    "unknown coder": (in_entry("coder", "range@9"), UnsupportedArtifact, "Did you mean 'range@2'"),
    "coder of another kind": (in_entry("coder", "raw@1"), DamagedArtifact, "does not apply"),
    "coder is null": (in_entry("coder", None), DamagedArtifact, "no coder"),
    "three bits": (in_entry("bits", 3), DamagedArtifact, "from 4 to 8"),
    "nine bits": (in_entry("bits", 9), DamagedArtifact, "from 4 to 8"),
    "bits is 6.0": (in_entry("bits", 6.0), DamagedArtifact, "from 4 to 8"),
    "bits is true": (in_entry("bits", True), DamagedArtifact, "from 4 to 8"),
    "huge exponent": (in_entry("exponent", 1000), DamagedArtifact, "from -100 to 100"),
    "shape of other rows": (in_entry("shape", [16, 144]), DamagedArtifact, "the manifest disagrees"),
    "empty shape": (in_entry("shape", []), DamagedArtifact, "shape"),
    "zero columns": (in_entry("shape", [32, 0]), DamagedArtifact, "shape"),
    "nine axes": (in_entry("shape", [32] + [1] * 8), DamagedArtifact, "shape"),
    "boolean axis": (in_entry("shape", [32, True]), DamagedArtifact, "whole numbers"),
    "overflowing shape": (in_entry("shape", [32, 2**62]), LimitExceeded, "numbers"),
    "additional field in an entry": (in_entry("note", ""), DamagedArtifact, "'note'"),
    "entry is null": (lambda m: m["tensors"].update({UP: None}), DamagedArtifact, "no quantiser"),
    "one checksum": (in_entry("crc32", ["00000000"]), DamagedArtifact, "number of checksums"),
    "checksum in capitals": (in_entry("crc32", ["ABCDEF00", "00000000"]), DamagedArtifact, "hexadecimal"),
    "checksum is a number": (in_entry("crc32", [0, 0]), DamagedArtifact, "hexadecimal"),
    "unlisted tensor": (lambda m: m["tensors"].pop("scale"), DamagedArtifact, "the manifest lacks 'scale'"),
    "absent tensor": (
        lambda m: m["tensors"].update(more=dict(m["tensors"]["scale"])),
        DamagedArtifact,
        "the file lacks 'more'",
    ),
    "path as a name": (renamed("../../etc/passwd"), DamagedArtifact, "cannot name a weight"),
    "absolute path": (renamed("/etc/passwd"), DamagedArtifact, "cannot name a weight"),
    "two dots": (renamed("a..b"), DamagedArtifact, "cannot name a weight"),
    "NUL in a name": (renamed("a\0b"), DamagedArtifact, "cannot name a weight"),
    "newline in a name": (renamed("a\n"), DamagedArtifact, "cannot name a weight"),
    "empty name": (renamed(""), DamagedArtifact, "cannot name a weight"),
    "long name": (renamed("a" * 129), DamagedArtifact, "cannot name a weight"),
    "reserved name": (renamed("seal"), DamagedArtifact, "cannot name a weight"),
    "tokenizer declares too much": (in_tokenizer("bytes", 2**40), LimitExceeded, "tokenizer"),
    "tokenizer size negative": (in_tokenizer("bytes", -1), DamagedArtifact, "whole number"),
    "tokenizer with a codes coder": (in_tokenizer("coder", "range@2"), DamagedArtifact, "does not apply"),
    "tokenizer is a list": (lambda m: m.update(tokenizer=[]), DamagedArtifact, "'tokenizer' is not an object"),
    "tokenizer has more fields": (in_tokenizer("x", 1), DamagedArtifact, "'x'"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_manifest_is_refused(golden, lie):
    change, kind, words = LIES[lie]
    with pytest.raises(kind, match=words):
        check(with_manifest(golden, change))


def test_a_manifest_that_is_not_canonical_is_refused(golden):
    container = parse_container(golden, Limits())
    spaced = json.dumps(json.loads(container.manifest), sort_keys=True)
    assert spaced != container.manifest
    with pytest.raises(DamagedArtifact, match="canonical"):
        check(pack_container(container.tensors.values(), spaced))


def test_two_weights_cannot_share_a_stored_tensor(golden):
    def change(manifest):
        manifest["tensors"][f"{UP}.codes"] = manifest["tensors"].pop("scale")

    with pytest.raises(DamagedArtifact, match="Two weights claim"):
        check(with_manifest(golden, change))


def stored_scales(values):
    data = np.array(values, "<f2")
    return {f"{UP}.scales": StoredTensor(f"{UP}.scales", "F16", data.shape, data.tobytes())}


def codes(payload):
    return {f"{UP}.codes": octets(f"{UP}.codes", payload)}


def lzma_coded(manifest):
    manifest["tensors"][UP]["coder"] = "lzma@1"


def lzma_tokenizer(size):
    def change(manifest):
        manifest["tokenizer"].update(coder="lzma@1", bytes=size)

    return change


def bell_coded(manifest):
    manifest["tensors"][UP]["coder"] = "range@2"


def one_step(manifest):
    manifest["tensors"][UP]["quantizer"] = "int-matrix@1"


FLAT = b"\4\0" + b"\x28\0" + bytes(6)
"""Head of a payload with one curve for all codes."""
PAYLOADS = {
    "one scale for a matrix that has one per row": (one_step, {}, "the manifest disagrees"),
    "curves of no power": (bell_coded, codes(bytes(40)), "power 0/2"),
    "curves without end": (bell_coded, codes(b"\4\0" + b"\0\xff" * 4 + bytes(9)), "inside its tables"),
    "curves with words left over": (bell_coded, codes(FLAT + bytes(8000)), "goes on"),
    "levels beyond the curves": (bell_coded, codes(b"\4\0" + b"\x7f\0\x7f\0\0\0\0\0" + bytes(8)), "leave the range"),
    "scale NaN": (nothing, stored_scales([1.0] * 31 + [np.nan]), "scale"),
    "scale infinite": (nothing, stored_scales([1.0] * 31 + [np.inf]), "scale"),
    "scale zero": (nothing, stored_scales([0.0] + [1.0] * 31), "scale"),
    "scale negative": (nothing, stored_scales([-1.0] + [1.0] * 31), "scale"),
    "scale denormal": (nothing, stored_scales([2.0**-15] + [1.0] * 31), "scale"),
    "one scale too few": (nothing, stored_scales([1.0] * 31), "the manifest disagrees"),
    "float16 infinite": (
        nothing,
        {"scale": StoredTensor("scale", "F16", (), np.float16(np.inf).tobytes())},
        "NaN or infinity",
    ),
    "float16 as bytes": (nothing, {"scale": octets("scale", b"\0\0")}, "the manifest disagrees"),
    "no bytes at all": (nothing, codes(b""), "empty shape"),
    "one byte": (nothing, codes(b"\1"), "inside its tables"),
    "shifted too far": (nothing, codes(b"\4\x0d" + bytes(40)), "shift 13"),
    "table of nothing": (nothing, codes(b"\4\0\x28\1\xff\xff" + bytes(6)), "frequency table"),
    "table byte without meaning": (nothing, codes(b"\4\0\x28\1\xf0\xf0" + bytes(6)), "frequency table"),
    "half a word": (nothing, codes(FLAT + bytes(34)), "32-bit words"),
    "random words": (nothing, codes(FLAT + b"\xff" * 400), "does not fit|goes on"),
    "lzma garbage": (lzma_coded, codes(b"garbage"), "broken|exactly"),
    "lzma too long": (lzma_coded, codes(lzma_encode(bytes(2305))), "exactly"),
    "lzma too short": (lzma_coded, codes(lzma_encode(bytes(2303))), "exactly"),
    "lzma with a tail": (lzma_coded, codes(lzma_encode(bytes(2304)) + b"x"), "exactly"),
    "lzma cut off": (lzma_coded, codes(lzma_encode(bytes(2304))[:-1]), "exactly"),
    "lzma inside lzma": (lzma_coded, codes(lzma_encode(lzma_encode(bytes(2304)))), "exactly"),
    "lzma that needs a dictionary it has not": (lzma_coded, codes(b"\x02\x08\xff" + bytes(2304) + b"\0"), "broken"),
    "code outside the range": (lzma_coded, codes(lzma_encode(bytes([63]) * 2304)), "outside the quantiser"),
    "tokenizer longer than declared": (nothing, {"tokenizer": octets("tokenizer", bytes(41))}, "41 bytes"),
    "tokenizer lzma bomb": (
        lzma_tokenizer(100),
        {"tokenizer": octets("tokenizer", lzma_encode(bytes(1 << 24)))},
        "exactly the 100 bytes",
    ),
    "tokenizer lzma too short": (
        lzma_tokenizer(1 << 20),
        {"tokenizer": octets("tokenizer", lzma_encode(bytes(100)))},
        "exactly",
    ),
    "tokenizer missing": (nothing, {"tokenizer": None}, "the file lacks 'tokenizer'"),
}


@pytest.mark.parametrize("lie", PAYLOADS)
def test_a_lying_payload_is_damage(golden, tmp_path, lie):
    change, parts, words = PAYLOADS[lie]
    path = tmp_path / "lie.eva"
    path.write_bytes(with_manifest(golden, change, parts))
    with pytest.raises(DamagedArtifact, match=words):
        read_artifact(path)


def test_a_payload_error_names_file_and_weight(golden, tmp_path):
    path = tmp_path / "lie.eva"
    path.write_bytes(with_manifest(golden, nothing, stored_scales([0.0] * 32)))
    with pytest.raises(ArtifactError, match=r"lie\.eva: weight 'blocks\.0\.up': a scale"):
        read_artifact(path)


def test_the_forge_itself_makes_valid_files(golden):
    assert with_manifest(golden, nothing) == golden
    assert canonical_json({"b": 1, "a": [True, None]}) == '{"a":[true,null],"b":1}'
