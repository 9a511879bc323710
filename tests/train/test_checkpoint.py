from pathlib import Path

import pytest
import torch

from evaladapt.errors import DataError
from evaladapt.train.checkpoint import NamedTensors, read_tensors, read_trained_model, write_tensors


def test_tensors_and_facts_come_back(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    content = NamedTensors({"a": torch.randn(3, 4).T, "b": torch.tensor(2.0)}, {"step": 3, "val": {"web": 2.5}})
    write_tensors(path, content)
    back = read_tensors(path)
    assert back.facts == content.facts
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in content.tensors.items())
    assert [file.name for file in tmp_path.iterdir()] == ["some.safetensors"]


def test_damaged_files_are_one_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, NamedTensors({"a": torch.zeros(2)}, {"step": 3}))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            read_tensors(path)


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evaladapt train"):
        read_tensors(tmp_path / "none.safetensors")


def test_a_checkpoint_is_not_taken_for_a_finished_model(tmp_path: Path) -> None:
    write_tensors(tmp_path / "final.safetensors", NamedTensors({"a": torch.zeros(2)}, {"identity": {}}))
    with pytest.raises(DataError, match="no model configuration"):
        read_trained_model(tmp_path)
