import errno
import os

import numpy as np
import pytest
import torch

from evaladapt.artifact import ArtifactTooLarge, QuantisationPlan, open_artifact, read_artifact, write_artifact
from evaladapt.artifact.plan import FLOAT_BITS
from evaladapt.artifact.writer import as_matrix
from evaladapt.errors import ArtifactError, DataError
from tests.artifact import golden_input


def write(path, tensors, plan=None, metadata=None, tokenizer=b"tokenizer", **options):
    return write_artifact(path, {"vocab_size": 4}, tensors, tokenizer, metadata or {}, plan, **options)


def largest_error(name, tensor, plan):
    """Half a step of the grid, or half a unit in the last of float16's eleven places; the sample reaches no clip."""
    if plan.bits_for(name, tuple(tensor.shape)) == FLOAT_BITS:
        return tensor.abs().max() * 2.0**-11
    steps = plan.grid_for(name, tuple(tensor.shape), as_matrix(tensor.numpy())).steps
    return 0.5001 * float(steps.max())


def test_what_is_written_comes_back(tmp_path):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "matrix": torch.randn(40, 60, generator=generator),
        "cube": torch.randn(8, 4, 70, generator=generator),
        "half": torch.randn(70, 70, generator=generator).bfloat16(),
        "vector": torch.randn(100, generator=generator),
        "scalar": torch.tensor(1.5),
    }
    plan = QuantisationPlan(small_values=100, overrides={"vector": 8})
    written = write(tmp_path / "m.eva", tensors, plan, {"story": "ü", "steps": [1, 2.5, None]}, bytes(10_000))
    read = read_artifact(tmp_path / "m.eva")
    assert read.tokenizer_model == bytes(10_000)
    assert read.metadata == {"story": "ü", "steps": [1, 2.5, None]}
    assert read.sha256 == written.sha256
    assert read.bytes == (tmp_path / "m.eva").stat().st_size
    assert list(read.tensors) == sorted(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(read.tensors[name], written.tensors[name])
        assert read.tensors[name].shape == tensor.shape
        assert (read.tensors[name] - tensor.float()).abs().max() <= largest_error(name, tensor.float(), plan)


def test_order_of_weights_and_metadata_does_not_change_the_file(tmp_path):
    tensors = golden_input.tensors()
    backwards = dict(reversed(tensors.items()))
    one = write(tmp_path / "a.eva", tensors, metadata={"a": 1, "b": 2})
    two = write(tmp_path / "b.eva", backwards, metadata={"b": 2, "a": 1})
    assert one.sha256 == two.sha256


def test_the_folder_is_made_and_holds_nothing_else(tmp_path):
    write(tmp_path / "new" / "folder" / "m.eva", {"w": torch.ones(3)})
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["m.eva"]


def test_a_file_over_the_limit_is_not_written(tmp_path):
    size = write(tmp_path / "m.eva", golden_input.tensors()).bytes
    write(tmp_path / "exact.eva", golden_input.tensors(), max_bytes=size)
    with pytest.raises(ArtifactTooLarge, match=f"take {size:,} bytes, 1 over"):
        write(tmp_path / "over.eva", golden_input.tensors(), max_bytes=size - 1)
    assert not (tmp_path / "over.eva").exists()


@pytest.mark.parametrize("operation", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, operation):
    path = tmp_path / "m.eva"
    before = write(path, {"w": torch.ones(3)})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if operation == "write":
        monkeypatch.setattr(os, "fdopen", lambda number, mode: FullFile(number))
    else:
        monkeypatch.setattr(os, operation, full)
    with pytest.raises(DataError, match="No space left on device"):
        write(path, {"w": torch.zeros(3)})
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.eva"]
    assert open_artifact(path).sha256 == before.sha256


class FullFile:
    """A file on a disk that is full after ten bytes."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.number)

    def write(self, data):
        os.write(self.number, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(4,), (80, 80)])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value, shape):
    weights = torch.ones(shape)
    weights.view(-1)[2] = value
    with pytest.raises(ArtifactError, match="weight 'w': holds NaN or infinity"):
        write(tmp_path / "m.eva", {"w": weights})
    assert not list(tmp_path.iterdir())


REFUSED = {
    "beyond float16": ({"w": torch.tensor([1e6])}, {}, "weight 'w': a value is outside the range of float16"),
    "no values": ({"w": torch.empty(0, 4)}, {}, "has no values"),
    "a path as name": ({"../w": torch.ones(2)}, {}, "cannot name a weight"),
    "a reserved name": ({"tokenizer": torch.ones(2)}, {}, "cannot name a weight"),
    "two names for one place": (
        {"w": torch.ones(80, 80), "w.codes": torch.ones(2)},
        {},
        r"two weights would both be stored as 'w\.codes'",
    ),
    "metadata with NaN": ({"w": torch.ones(2)}, {"loss": float("nan")}, "plain JSON"),
    "metadata with an array": ({"w": torch.ones(2)}, {"loss": np.ones(2)}, "plain JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored_is_refused(tmp_path, case):
    tensors, metadata, words = REFUSED[case]
    with pytest.raises(ArtifactError, match=words):
        write(tmp_path / "m.eva", tensors, metadata=metadata)
    assert not list(tmp_path.iterdir())


def test_an_empty_tokenizer_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="tokenizer model is empty"):
        write(tmp_path / "m.eva", {"w": torch.ones(2)}, tokenizer=b"")
