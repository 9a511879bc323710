from pathlib import Path

import pytest
import safetensors.torch
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


def test_what_was_read_does_not_hang_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, NamedTensors({"a": torch.ones(1 << 16)}, {}))
    back = read_tensors(path)
    path.write_bytes(b"")
    assert back.tensors["a"].sum() == 1 << 16


def test_damaged_files_are_one_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, NamedTensors({"a": torch.zeros(2)}, {"step": 3}))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            read_tensors(path)


def header_of(text: str) -> bytes:
    content = text.encode()
    return len(content).to_bytes(8, "little") + content


OTHERS = {
    "model.safetensors": (header_of('{"__metadata__":{"format":"pt"}}'), r"evaladapt train did not write it.*run hf:"),
    "model.gguf": (b"GGUF\3\0\0\0", "GGUF model, which opens as it is: evaladapt run hf:"),
    "final_model.pt": (b"PK\3\4", "torch.save.*evaladapt run golf:"),
    "old.pt": (b"\x80\x02", "torch.save"),
    "final_model.int8.ptz": (b"\x78\xda", "evaladapt run golf:"),
    "default.eva": (Path("artifacts/micro.eva").read_bytes(), "artifact already.*evaladapt artifact show"),
    "text.txt": (b"a text", "is damaged or was not written by evaladapt train"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_models_of_other_makes_are_told_what_they_are_and_what_is_next(tmp_path: Path, name: str) -> None:
    content, words = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_trained_model(tmp_path / name)


def test_folders_of_other_makes_too(tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"Hugging Face folder.*evaladapt run hf:"):
        read_trained_model(tmp_path / "hf")
    write_tensors(tmp_path / "checkpoint.safetensors", NamedTensors({}, {"identity": {}}))
    with pytest.raises(DataError, match=r"has not ended.*--resume"):
        read_trained_model(tmp_path)


@pytest.mark.parametrize("facts", ["[]", "{", '{"a":NaN}', "[" * 100_000, '{"a":' + "9" * 5000 + "}", '{"model":5}'])
def test_odd_descriptions_are_one_typed_error(tmp_path: Path, facts: str) -> None:
    path = tmp_path / "final.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(2)}, {"evaladapt": facts}))
    with pytest.raises(DataError, match="is damaged or was not written by evaladapt train"):
        read_trained_model(path)


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evaladapt train"):
        read_tensors(tmp_path / "none.safetensors")


def test_a_checkpoint_is_not_taken_for_a_finished_model(tmp_path: Path) -> None:
    write_tensors(tmp_path / "final.safetensors", NamedTensors({"a": torch.zeros(2)}, {"identity": {}}))
    with pytest.raises(DataError, match="no model configuration"):
        read_trained_model(tmp_path)
