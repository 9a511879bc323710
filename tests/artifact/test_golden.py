"""The promise of the format: the golden file's bytes and its decoded numbers do not change within version 1."""

import hashlib

import pytest
import torch

from evaladapt.artifact import open_artifact, read_artifact
from tests.artifact import golden_input, reference_reader

FILE_SHA256 = "a2cafc448565ffd05de5372eb3425bff4cd155049f2bd9aa0d2de1446df22c28"
BELLS_SHA256 = "ba6f003421336952cc01443426026d8262a698d301a8cbf9de41f91062ffb6d1"
BELLS_WEIGHTS_SHA256 = "2349f44f96083a01c299a9d3f112e6008a85eae5650ae028113e675f4864aac0"
WEIGHTS_SHA256 = "6bf3cd66a310d935b9c20012a8909a4bd4bc060f1957909ef065f4bc6db28d50"


def test_the_committed_file_is_the_promised_one(golden):
    assert hashlib.sha256(golden).hexdigest() == FILE_SHA256


def test_the_reader_still_makes_the_same_numbers():
    artifact = read_artifact(golden_input.GOLDEN)
    digest = hashlib.sha256()
    for _, tensor in sorted(artifact.tensors.items()):
        assert tensor.dtype == torch.float32
        digest.update(tensor.numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == WEIGHTS_SHA256
    assert artifact.tokenizer_model == golden_input.TOKENIZER
    assert artifact.model_config == golden_input.CONFIG
    assert artifact.metadata == golden_input.METADATA
    assert {name: tensor.shape for name, tensor in artifact.tensors.items()} == {
        name: tensor.shape for name, tensor in golden_input.tensors().items()
    }


def test_the_bells_file_still_makes_the_same_numbers():
    data = golden_input.BELLS_GOLDEN.read_bytes()
    assert hashlib.sha256(data).hexdigest() == BELLS_SHA256
    artifact = read_artifact(golden_input.BELLS_GOLDEN)
    digest = hashlib.sha256()
    for _, tensor in sorted(artifact.tensors.items()):
        digest.update(tensor.numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == BELLS_WEIGHTS_SHA256


@pytest.mark.parametrize(
    ("write", "path"),
    [(golden_input.write, golden_input.GOLDEN), (golden_input.write_bells, golden_input.BELLS_GOLDEN)],
    ids=["tiny", "bells"],
)
def test_the_writer_makes_a_file_as_good_as_the_golden_one(tmp_path, write, path):
    """Levels and factors are found with floats, so that bytes may differ elsewhere; codes and size may not."""
    written = write(tmp_path / "again.eva")
    kept = read_artifact(path)
    assert abs(written.bytes - kept.bytes) <= 16
    for name, tensor in kept.tensors.items():
        assert torch.equal(written.tensors[name], tensor)


def test_the_bells_file_uses_what_the_format_has():
    file = open_artifact(golden_input.BELLS_GOLDEN)
    assert {entry.coder for entry in file.manifest.tensors.values()} == {"range@2", "raw@1"}
    assert {entry.quantizer for entry in file.manifest.tensors.values()} == {"int-matrix@1", "float16@1"}
    assert file.stored["alike.codes"].data[1] > 0, "no shift: no row of the golden file has a factor"


@pytest.mark.parametrize("path", [golden_input.GOLDEN, golden_input.BELLS_GOLDEN], ids=["tiny", "bells"])
def test_a_reader_written_from_the_format_page_agrees(path):
    manifest, weights, tokenizer = reference_reader.read(path.read_bytes())
    artifact = read_artifact(path)
    assert {name: tensor.flatten().tolist() for name, tensor in artifact.tensors.items()} == weights
    assert tokenizer == artifact.tokenizer_model
    assert manifest["model"] == artifact.model_config


def test_the_golden_file_has_a_scale_per_row_and_no_foreign_coder():
    """Bytes made by liblzma may change with its version, so the golden file holds none."""
    file = open_artifact(golden_input.GOLDEN)
    assert {entry.coder for entry in file.manifest.tensors.values()} == {"range@2", "raw@1"}
    assert {entry.bits for entry in file.manifest.tensors.values()} == {5, 6, 16}
    assert file.manifest.tokenizer.coder == "raw@1"
