"""Checkpoints of parameter-golf's baseline say what a second writing of its formulas says; other files are refused."""

import pickle
import zlib

import pytest
import torch

from evaladapt.errors import ModelError
from evaladapt.model.families import find_family, open_model, open_tokenizer, placed, tokenizer_is_ours
from evaladapt.model.roles import of_role
from evaladapt.testing import check_model
from tests.families.naive_golf import LAYERS, logits, quantised, random_weights, saved

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path, tiny_tokenizer):
    (tmp_path / "tokens.model").write_bytes(tiny_tokenizer.model_bytes)
    return tmp_path


@pytest.fixture
def weights(tiny_tokenizer):
    return random_weights(tiny_tokenizer.vocab_size)


def same(backend, weights, **constants):
    tokens = torch.randint(backend.vocab_size, (20,), generator=torch.Generator().manual_seed(3))
    expected = logits(weights, tokens, **constants)
    return (backend(tokens[None])[0].double() - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("tied", [True, False])
def test_a_state_of_the_network_opens_and_can_be_relied_on(folder, tiny_tokenizer, tied):
    weights = random_weights(tiny_tokenizer.vocab_size, tied)
    (folder / "final_model.pt").write_bytes(saved(weights))
    assert find_family(str(folder / "final_model.pt")).name == "golf"
    opened = open_model(str(folder / "final_model.pt"), CPU)
    assert check_model(opened.backend, opened.tokenizer).lacks == ()
    assert same(opened.backend, weights)
    assert (opened.backend.context, opened.backend.layers) == (1024, LAYERS)
    assert len(opened.files) == 2
    roles = opened.backend.weight_roles()
    for role in ("attention.query", "attention.out", "mlp.up", "mlp.down"):
        assert [roles[name].layer for name in of_role(roles, role)] == list(range(LAYERS))
    assert (of_role(roles, "head") == of_role(roles, "embedding")) == tied


def test_the_int8_container_holds_the_same_network(folder, weights):
    content, found = quantised(weights)
    (folder / "final_model.int8.ptz").write_bytes(content)
    assert same(open_model(str(folder / "final_model.int8.ptz"), CPU).backend, found)


def test_a_compiled_models_state_opens_too(folder, weights):
    (folder / "m.pt").write_bytes(saved({f"_orig_mod.{name}": one for name, one in weights.items()}))
    assert same(open_model(str(folder / "m.pt"), CPU).backend, weights)


def test_what_the_file_does_not_say_can_be_given(folder, weights):
    (folder / "m.pt").write_bytes(saved(weights))
    given = f"golf:{folder}/m.pt,context=64,rope_base=500,logit_softcap=15,tokenizer={folder}/tokens.model"
    backend = open_model(given, CPU).backend
    assert backend.context == 64
    assert same(backend, weights, cap=15.0, base=500.0)
    assert not same(backend, weights)


def test_its_tokenizer_is_ours_and_opens_alone(folder, weights, tiny_tokenizer):
    (folder / "m.pt").write_bytes(saved(weights))
    assert tokenizer_is_ours(str(folder / "m.pt"))
    assert open_tokenizer(str(folder / "m.pt")).sha256 == tiny_tokenizer.sha256


def test_it_is_placed_with_its_tokenizer(folder, weights, monkeypatch):
    (folder / "m.pt").write_bytes(saved(weights))
    monkeypatch.chdir(folder)
    place = placed("golf:m.pt,context=64")
    assert place.where == f"golf:{folder.resolve()}/m.pt,context=64,tokenizer={folder.resolve()}/tokens.model"
    assert set(place.reads) == {folder.resolve() / "m.pt", folder.resolve() / "tokens.model"}
    monkeypatch.chdir("/")
    assert open_model(place.where, CPU).backend.context == 64


class Anything:
    def __reduce__(self):
        return (print, ("the pickle ran",))


@pytest.mark.parametrize("name", ["m.pt", "m.ptz"])
def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(folder, name, capsys):
    content = saved({"weight": Anything()})
    (folder / name).write_bytes(content if name == "m.pt" else zlib.compress(content))
    with pytest.raises(ModelError, match="a pickle of more than tensors"):
        open_model(str(folder / name), CPU)
    (folder / name).write_bytes(pickle.dumps(Anything()))
    with pytest.raises(ModelError, match=r"m\.ptz?: "):
        open_model(str(folder / name), CPU)
    assert "ran" not in capsys.readouterr().out


def test_other_networks_and_other_files_are_refused_with_what_to_do(folder, weights):
    def refused(content, message, name="m.pt"):
        (folder / name).write_bytes(content)
        with pytest.raises(ModelError, match=message) as error:
            open_model(f"golf:{folder / name}", CPU)
        assert str(folder / name) in str(error.value)

    refused(saved(weights | {"blocks.0.attn.v_gain": torch.ones(3)}), r"the baseline lacks, 'blocks\.0\.attn\.v_gain'")
    refused(saved({n: w for n, w in weights.items() if "1.mlp.fc" not in n}), "lacks 'blocks.1.mlp.fc.weight'")
    refused(saved(weights | {"blocks.1.attn.q_gain": torch.ones(8)}), r"has shape \[8\], not \[4\]")
    refused(saved({"a": torch.ones(2)}), "python:FILE.py:FUNCTION")
    refused(saved([weights]), "holds no state")
    refused(saved({"a": 1}), "something other than tensors")
    refused(b"", "torch cannot read it")
    refused(quantised(weights)[0][:-9], "cut off", "m.ptz")
    refused(b"\xfd7zXZ\0", "not compressed by zlib", "m.ptz")
    refused(zlib.compress(saved({"__quant_format__": "int4"})), "'int4'", "m.ptz")
    refused(zlib.compress(saved({"__quant_format__": "int8_clean_per_row_v1"})), "damaged: KeyError", "m.ptz")


def test_a_missing_or_doubtful_tokenizer_is_told(folder, weights, tiny_tokenizer):
    (folder / "m.pt").write_bytes(saved(weights))
    (folder / "other.model").write_bytes(tiny_tokenizer.model_bytes)
    with pytest.raises(ModelError, match=r"2 \.model files are beside it"):
        open_model(str(folder / "m.pt"), CPU)
    for one in folder.glob("*.model"):
        one.unlink()
    with pytest.raises(ModelError, match=r"no \.model file is beside it"):
        open_model(str(folder / "m.pt"), CPU)
    with pytest.raises(ModelError, match="Did you mean 'context'"):
        open_model(f"golf:{folder}/m.pt,contxt=3", CPU)
    with pytest.raises(ModelError, match="context is a number"):
        open_model(f"golf:{folder}/m.pt,context=many", CPU)
