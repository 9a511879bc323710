"""Random forgeries with a seal that fits: the reader either refuses with an ArtifactError or reads; it never crashes.

For a long run: ``python -m tests.artifact.fuzz``, of which a short one is here.
"""

import hashlib
import os
import tracemalloc
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaladapt.artifact import Limits, read_artifact
from evaladapt.artifact.coding.coders import lzma_encode
from evaladapt.errors import ArtifactError
from tests.artifact.forge import check, nothing, octets, with_manifest
from tests.artifact.fuzz import Inputs, outcome

EXAMPLES = int(os.environ.get("EVALADAPT_FUZZ_EXAMPLES", "100"))
SMALL = Limits(file_bytes=1 << 16, values=1 << 16, tokenizer_bytes=1 << 16)
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
edits = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6)


def refused_or_read(path, data):
    path.write_bytes(data)
    try:
        return read_artifact(path, SMALL)
    except ArtifactError as error:
        return error


@fuzz
@given(edits)
def test_edited_files_with_a_fitting_seal(tmp_path_factory, golden, changes):
    data = bytearray(golden[:-32])
    for position, value in changes:
        data[position % len(data)] = value
    data += hashlib.sha256(data).digest()
    refused_or_read(tmp_path_factory.getbasetemp() / "edited.eva", bytes(data))


@fuzz
@given(st.binary(min_size=1, max_size=300), edits)
def test_edited_payloads_with_fitting_checksums(tmp_path_factory, golden, tail, changes):
    path = tmp_path_factory.getbasetemp() / "payload.eva"
    before = check(golden).stored["blocks.0.up.codes"].data
    codes = bytearray(before[: 2 + changes[0][0] % len(before)] + tail)
    for position, value in changes:
        codes[position % len(codes)] = value
    refused_or_read(path, with_manifest(golden, nothing, {"blocks.0.up.codes": octets("blocks.0.up.codes", codes)}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@fuzz
@given(st.sampled_from(["shape", "bits", "coder", "quantizer", "exponent", "crc32"]), json_values)
def test_manifests_with_any_value_in_any_field(tmp_path_factory, golden, field, value):
    def change(manifest):
        manifest["tensors"]["blocks.0.up"][field] = value

    refused_or_read(tmp_path_factory.getbasetemp() / "field.eva", with_manifest(golden, change))


@fuzz
@given(st.binary(max_size=400))
def test_any_bytes_at_all(tmp_path_factory, data):
    assert isinstance(refused_or_read(tmp_path_factory.getbasetemp() / "any.eva", data), ArtifactError)


def test_the_long_run_in_short(tmp_path):
    """Every kind of input is drawn, is refused in more than one way, and some files are read after all."""
    inputs = Inputs(seed=7)
    results = Counter(outcome(tmp_path / "input.eva", inputs.draw()[1]) for _ in range(300))
    assert {"read", "DamagedArtifact", "LimitExceeded", "UnsupportedArtifact"} <= set(results)


def test_declared_sizes_alone_allocate_nothing(golden, tmp_path):
    """A weight of 2**40 numbers, and a tokenizer of 2**40 bytes, in a file of three kilobytes."""

    def large_weight(manifest):
        manifest["tensors"]["blocks.0.up"]["shape"] = [32, 2**35]

    def large_tokenizer(manifest):
        manifest["tokenizer"]["bytes"] = 2**40

    for change in (large_weight, large_tokenizer):
        path = tmp_path / "bomb.eva"
        path.write_bytes(with_manifest(golden, change))
        assert peak_bytes(path, Limits()) < 4 << 20


def test_a_tokenizer_bomb_stops_at_its_declared_size(golden, tmp_path):
    def change(manifest):
        manifest["tokenizer"].update(coder="lzma@1", bytes=1000)

    bomb = octets("tokenizer", lzma_encode(bytes(1 << 25)))
    path = tmp_path / "bomb.eva"
    path.write_bytes(with_manifest(golden, change, {"tokenizer": bomb}))
    dictionary = 8 << 20
    assert peak_bytes(path, Limits()) < dictionary + (4 << 20)


def peak_bytes(path, limits):
    """Most memory that Python and numpy held while the file was refused."""
    tracemalloc.start()
    try:
        read_artifact(path, limits)
    except ArtifactError:
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    raise AssertionError("the bomb was read")
