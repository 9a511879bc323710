"""Models of other families packed into an artifact: what was stored runs, from the file alone."""

import json

import pytest
import torch

from evaladapt.artifact import read_artifact, write_artifact
from evaladapt.calibration.moments import input_moments
from evaladapt.calibration.text import own_text
from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_INPUT, ArtifactError
from evaladapt.model.families import open_model, open_tokenizer
from evaladapt.model.roles import of_role
from evaladapt.testing import check_model
from tests.families.naive_golf import random_weights, saved

CPU = torch.device("cpu")
KINDS = ["gpt2", "gpt-neox", "qwen3", "gemma2", "llama", "golf"]


@pytest.fixture
def reference_of(request, tmp_path, tiny_tokenizer):
    def reference_of(kind):
        if kind != "golf":
            return f"hf:{request.getfixturevalue('folder_of')(kind)[0]}"
        (tmp_path / "tokens.model").write_bytes(tiny_tokenizer.model_bytes)
        (tmp_path / "m.pt").write_bytes(saved(random_weights(tiny_tokenizer.vocab_size)))
        return f"golf:{tmp_path / 'm.pt'},context=64"

    return reference_of


def packed(reference, out, capsys, *options):
    assert invoke(["pack", reference, "--out", str(out), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def logits(model):
    tokens = torch.randint(300, (2, 30), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return model.head(model.hidden(tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_model_opens_from_the_file_alone_and_is_the_same_but_for_its_codes(
    reference_of, kind, tmp_path, capsys
):
    reference, out = reference_of(kind), tmp_path / "x.eva"
    packed(reference, out, capsys, "--bits", "16", "--bits", "*=16", "--calibration", "none")
    own, opened = open_model(reference, CPU), open_model(str(out), CPU)
    assert check_model(opened.backend, opened.tokenizer).lacks == ()
    expected = logits(own.backend)
    assert (logits(opened.backend) - expected).abs().max() < 0.02 * expected.abs().max()
    assert opened.backend.context == own.backend.context == 64
    assert opened.tokenizer.sha256 == own.tokenizer.sha256 == open_tokenizer(str(out)).sha256
    assert opened.backend.weight_roles() == own.backend.weight_roles()


def test_numbers_that_lie_far_out_are_kept_where_models_have_them(tmp_path, capsys):
    """As in trained language models, and not in ours: a few numbers of some rows are tens of deviations large."""
    from tests.families.folders import write_folder

    model = write_folder(tmp_path, "llama")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight[::16, ::16] *= 12
    model.save_pretrained(tmp_path)
    reference, outs = f"hf:{tmp_path}", {name: tmp_path / f"{name}.eva" for name in ("rows", "one")}
    asked = ["--bits", "8", "--bits", "*=8", "--calibration", "none"]
    packed(reference, outs["rows"], capsys, *asked)
    packed(reference, outs["one"], capsys, *asked, "--one-scale")
    whole = dict(open_model(reference, CPU).backend.named_parameters())
    errors = {}
    for name, out in outs.items():
        stored = dict(open_model(str(out), CPU).backend.named_parameters())
        shares = [(stored[one] - weight).norm() / weight.norm() for one, weight in whole.items() if weight.ndim > 1]
        errors[name] = float(torch.stack(shares).max())
    assert errors["rows"] < 0.02
    assert errors["one"] > 3 * errors["rows"]


@pytest.mark.parametrize("kind", ["gpt2", "qwen3", "golf"])
def test_gptq_and_a_number_of_bytes_work_on_other_families_too(reference_of, kind, tmp_path, capsys):
    reference = reference_of(kind)
    small_too = ["--bits", "*att*weight=4"]
    coarse = packed(reference, tmp_path / "coarse.eva", capsys, *small_too, "--calibration", "none")
    learned = packed(reference, tmp_path / "learned.eva", capsys, *small_too)
    assert learned["bytes"] < 1.2 * coarse["bytes"]
    limit = packed(reference, tmp_path / "whole.eva", capsys, "--calibration", "none")["bytes"] - 1000
    assert packed(reference, tmp_path / "fits.eva", capsys, "--max-bytes", str(limit))["bytes"] <= limit
    opened = open_model(reference, CPU)
    moments = input_moments(opened.backend, own_text(opened.backend, 16, 60, opened.tokenizer.bos_id, seed=5))
    own = dict(opened.backend.named_parameters())
    queries = of_role(opened.backend.weight_roles(), "attention.query")

    def moved(file):
        """How far the queries' outputs are from the model's own, on other text that it writes."""
        kept = read_artifact(tmp_path / file).tensors
        apart = {name: (kept[name] - own[name]).double().numpy() for name in queries}
        return sum(float(((one @ moments[name]) * one).sum()) for name, one in apart.items())

    assert len(queries) >= 2
    assert moved("learned.eva") < 0.8 * moved("coarse.eva")


def test_tables_of_tokens_get_eight_bits_whatever_they_are_called(reference_of, tmp_path, capsys):
    summary = packed(reference_of("golf"), tmp_path / "x.eva", capsys, "--calibration", "none")
    bits = {group["name"]: group["bits"] for group in summary["groups"]}
    assert bits["tok_emb.weight"] == 8
    assert summary["metadata"]["packed_from"]["family"] == "golf"


def test_what_cannot_be_packed_is_told(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("def load(): return None")
    assert invoke(["pack", f"python:{tmp_path}/mine.py:load", "--out", str(tmp_path / "x.eva")]) == 2
    assert "cannot be packed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "absent"}, "no model family 'absent'"),
        ({"family": "python"}, "cannot put a packed model together"),
        ({"context": -1}, "each above 0"),
        ({"more": 1}, "each above 0"),
    ],
)
def test_an_artifact_that_does_not_hold_what_it_says_is_refused(reference_of, tmp_path, capsys, change, message):
    out = tmp_path / "x.eva"
    packed(reference_of("golf"), out, capsys, "--calibration", "none")
    artifact = read_artifact(out)
    write_artifact(out, artifact.model_config | change, artifact.tensors, artifact.tokenizer_model, {})
    with pytest.raises(ArtifactError, match=message):
        open_model(str(out), CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 10**9}, "more layers than there are weights"),
        ({"num_hidden_layers": 3}, "is missing"),
        ({"vocab_size": 10**9}, "has shape"),
        ({"model_type": "absent"}, "transformers cannot build"),
    ],
)
def test_a_configuration_that_the_weights_do_not_bear_out_is_refused_before_it_costs(
    reference_of, tmp_path, capsys, change, message
):
    out = tmp_path / "x.eva"
    packed(reference_of("llama"), out, capsys, "--calibration", "none")
    artifact = read_artifact(out)
    config = artifact.model_config | {"config": artifact.model_config["config"] | change}
    write_artifact(out, config, artifact.tensors, artifact.tokenizer_model, {})
    with pytest.raises(ArtifactError, match=message):
        open_model(str(out), CPU)
    assert invoke(["run", str(out)]) == EXIT_INPUT
