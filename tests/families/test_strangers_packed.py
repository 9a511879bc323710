"""A model of a stranger's family packed: whose the tokenizer inside is, and what the command makes of its paths."""

from dataclasses import replace

import pytest
import torch

from evaladapt.cli.main import invoke
from evaladapt.errors import ArtifactError, ModelError
from evaladapt.model.families import open_model, open_tokenizer, tokenizer_is_ours
from evaladapt.testing import ModelFailsCheck, check_model
from tests.model.strangers import Packing, entry_point, install

CPU = torch.device("cpu")


@pytest.fixture
def file(monkeypatch, tmp_path):
    install(monkeypatch, entry_point("tests.model.strangers:Packing"))
    (tmp_path / "x.mine").touch()
    return tmp_path / "x.mine"


@pytest.fixture
def packed(file, tmp_path):
    out = tmp_path / "x.eva"
    assert invoke(["pack", str(file), "--calibration", "none", "--bits", "16", "--out", str(out)]) == 0
    return out


def test_a_bare_path_is_packed_and_opens_from_the_file_alone(packed, file):
    opened, own = open_model(str(packed), CPU), open_model(str(file), CPU)
    assert opened.backend.context == own.backend.context == 16
    assert opened.tokenizer.sha256 == own.tokenizer.sha256
    tokens = torch.arange(12)[None]
    assert torch.allclose(opened.backend(tokens), own.backend(tokens), atol=2e-2)


def test_its_tokenizer_is_a_strangers_and_nobody_is_imported_to_say_so(packed, monkeypatch):
    monkeypatch.undo()
    install(monkeypatch, entry_point("no_such_module:Family"))
    assert not tokenizer_is_ours(str(packed))
    with pytest.raises(ModelError, match="beside its model"):
        open_tokenizer(str(packed))


def test_a_family_that_is_gone_or_fails_is_told_with_the_file(packed, monkeypatch):
    monkeypatch.setattr(Packing, "thaw", lambda self, config, tensors: config["absent"])
    with pytest.raises(ArtifactError, match=r"x\.eva: thaw of the model family 'mine' failed with KeyError: 'absent'"):
        open_model(str(packed), CPU)
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match=r"x\.eva holds a model of another family: no model family 'mine'"):
        tokenizer_is_ours(str(packed))


def test_check_model_passes_what_can_be_packed(file):
    assert check_model(str(file)).notes == ()


def doubled(self, config, tensors):
    return thaw(self, config, {name: 2 * tensor for name, tensor in tensors.items()})


def longer(self, config, tensors):
    return thaw(self, {"context": 32}, tensors)


def no_json(self, opened):
    return replace(frozen(self, opened), config={"context": 16, "sizes": (1, 2)})


thaw, frozen = Packing.thaw, Packing.freeze
WRONG = {
    "another model of what freeze gives": {"thaw": doubled},
    "thaw gives a model of context 32": {"thaw": longer},
    "comes back changed from JSON": {"freeze": no_json},
}


@pytest.mark.parametrize("complaint", WRONG)
def test_check_model_complains_of_what_packing_would_lose(file, monkeypatch, complaint):
    for name, method in WRONG[complaint].items():
        monkeypatch.setattr(Packing, name, method)
    with pytest.raises(ModelFailsCheck, match=complaint):
        check_model(str(file))


def test_check_model_tells_what_could_not_be_packed(file, monkeypatch):
    monkeypatch.setattr(Packing, "freeze", lambda self, opened: 1 / 0)
    with pytest.raises(ModelFailsCheck, match="packing_complaints: ZeroDivisionError"):
        check_model(str(file))
