"""Files that are damaged, or whole but not for here, as a decoder meets them."""

import dataclasses
import zlib

import pytest
import torch

from evaladapt.artifact import write_artifact
from evaladapt.codec.container import CRC, HEAD, read_evz
from evaladapt.codec.problems import CodecError
from evaladapt.errors import ContractViolation, DataError, EvaladaptError, PluginError, UsageError
from evaladapt.model.families import open_model
from evaladapt.testing.compositions import composition_of
from tests.codec.files import SLIDING, WORDS, decode_by, decode_with, encode_with
from tests.strategies import StreamUnigram, Train
from tests.tiny import tiny_model

CONTENT = WORDS[:120]
FEW_WORDS = WORDS[:24]


@pytest.fixture(scope="module")
def written(opened, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "x.evz"
    encode_with(opened, CONTENT, path, StreamUnigram)
    return path


def refused(opened, path, folder, error, *classes):
    out = folder / "out" / "x.txt"
    with pytest.raises(error) as caught:
        decode_with(opened, path, out, *classes)
    assert not out.parent.exists() or not list(out.parent.iterdir())
    return str(caught.value)


def rewritten(path, folder, **fields):
    """The file with other contents and a right checksum."""
    other = folder / "other.evz"
    other.write_bytes(dataclasses.replace(read_evz(path), **fields).pack())
    return other


@pytest.fixture(scope="module")
def small(opened, tmp_path_factory):
    """A file of a few words, whole."""
    path = tmp_path_factory.mktemp("small") / "x.evz"
    encode_with(opened, FEW_WORDS, path)
    return path.read_bytes()


def each_bit_flipped(content):
    for index in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[index // 8] ^= 1 << index % 8
        yield bytes(flipped)


def test_every_truncation_and_every_flipped_bit_is_one_error_and_leaves_nothing_behind(opened, small, tmp_path):
    for damaged in (*(small[:length] for length in range(len(small))), *each_bit_flipped(small)):
        (tmp_path / "x.evz").write_bytes(damaged)
        refused(opened, tmp_path / "x.evz", tmp_path, CodecError)


def test_a_flipped_bit_of_the_head_under_a_right_checksum_is_an_error_too(opened, small, tmp_path):
    """One bit of every byte; recipes and payloads that were forged come below."""
    composition = composition_of(options=SLIDING)
    for index in range(HEAD.size):
        content = bytearray(small[: -CRC.size])
        content[index] ^= 1 << index % 8
        (tmp_path / "x.evz").write_bytes(content + CRC.pack(zlib.crc32(content)))
        with pytest.raises(EvaladaptError):
            decode_by(opened, tmp_path / "x.evz", tmp_path / "x.txt", lambda names, options: composition)
        assert [one.name for one in tmp_path.iterdir()] == ["x.evz"]


def test_another_artifact(opened, written, tmp_path):
    model = tiny_model(seed=1, vocabulary=opened.tokenizer.vocab_size)
    weights = dict(model.named_parameters())
    write_artifact(tmp_path / "o.eva", model.config.to_dict(), weights, opened.tokenizer.model_bytes, {})
    other = open_model(str(tmp_path / "o.eva"), torch.device("cpu"))
    message = refused(other, written, tmp_path, CodecError, StreamUnigram)
    assert "written with the model" in message
    assert "evaladapt decode MODEL FILE.evz" in message


def test_other_options(opened, written, tmp_path):
    recipe = dataclasses.replace(read_evz(written).recipe, options={"sliding": {"stride": 8}})
    other = rewritten(written, tmp_path, recipe=recipe)
    assert "other default options" in refused(opened, other, tmp_path, CodecError, StreamUnigram)


def test_another_seed(opened, written, tmp_path):
    other = rewritten(written, tmp_path, recipe=dataclasses.replace(read_evz(written).recipe, seed=1))
    assert "other default options" in refused(opened, other, tmp_path, CodecError, StreamUnigram)


def test_another_composition(opened, written, tmp_path):
    assert "other versions" in refused(opened, written, tmp_path, CodecError, Train, StreamUnigram)


def test_a_strategy_that_is_not_installed(opened, written, tmp_path):
    with pytest.raises(PluginError, match="no strategy 'not-installed:streamunigram' is installed"):
        decode_by(opened, written, tmp_path / "x.txt")


def test_an_option_that_does_not_exist(opened, written, tmp_path):
    recipe = dataclasses.replace(read_evz(written).recipe, options={"sliding": {"strride": 8}})
    other = rewritten(written, tmp_path, recipe=recipe)
    assert "strride" in refused(opened, other, tmp_path, UsageError, StreamUnigram)


def test_a_machine_whose_arithmetic_differs(opened, written, tmp_path):
    identity = dataclasses.replace(read_evz(written).identity, canary=b"\1" * 8)
    other = rewritten(written, tmp_path, identity=identity)
    said = refused(opened, other, tmp_path, CodecError, StreamUnigram)
    assert "this machine's arithmetic is not that of the one which wrote the file" in said
    assert torch.__version__ in said


def test_a_forged_payload_is_not_passed_off_as_the_text(opened, written, tmp_path):
    payload = bytearray(read_evz(written).payload)
    payload[len(payload) // 2] ^= 16
    for forged in (bytes(payload), bytes(payload[:30]), bytes(payload) + b"\1" * 12, b""):
        other = rewritten(written, tmp_path, payload=forged)
        assert "does not come back" in refused(opened, other, tmp_path, ContractViolation, StreamUnigram)


def test_a_forged_length(opened, written, tmp_path):
    file = read_evz(written)
    other = rewritten(written, tmp_path, targets=file.targets + 30, text_bytes=file.text_bytes + 30)
    assert "does not come back" in refused(opened, other, tmp_path, ContractViolation, StreamUnigram)


def test_an_output_folder_that_cannot_be_written(opened, written, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be made"):
        decode_with(opened, written, tmp_path / "file" / "x.txt", StreamUnigram)
