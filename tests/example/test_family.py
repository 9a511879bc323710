"""A stranger's model family from pip install to pip uninstall."""

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A copy of the example's folder."""
    folder = tmp_path_factory.mktemp("family") / "example-model"
    shutil.copytree(ROOT / "plugins" / "example-model", folder)
    return folder


@pytest.fixture(scope="module")
def installed(environment, family):
    environment.install(family)
    return environment


@pytest.fixture
def model(installed, tmp_path):
    path = tmp_path / "random.elman"
    installed.call("-c", f"from evaladapt_elman.network import write_random; write_random({str(path)!r})")
    return path


def test_it_is_listed_and_claims_its_files(installed, model):
    rows = {one["family"]: one for one in json.loads(installed.evaladapt("models", "list", "--json"))["families"]}
    assert (rows["elman"]["distribution"], rows["elman"]["version"]) == ("evaladapt-elman", "1.0.0")
    assert json.loads(installed.evaladapt("models", "show", model, "--json"))["family"] == "elman"


def test_its_tokenizer_is_not_opened_where_the_text_is(installed, model):
    code = (
        "import sys; from evaladapt.model.families import tokenizer_is_ours;"
        f"assert not tokenizer_is_ours({str(model)!r}); assert not tokenizer_is_ours('elman:{model}');"
        "sys.exit('evaladapt_elman' in sys.modules)"
    )
    installed.call("-c", code)


def test_its_own_tests_pass(installed, family):
    options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(family), "-W", "error"]
    assert "3 passed" in installed.call("-m", "pytest", *options, str(family / "tests"))


def test_what_it_packs_runs_sealed_from_the_file_alone(installed, model, tmp_path):
    out, text = tmp_path / "x.eva", tmp_path / "a.txt"
    text.write_text("a cat and a dog, été " * 4)
    installed.evaladapt("pack", model, "--out", out)
    run = ["--plugins", "bias", "--data", text, "--limit-tokens", "30", "--mode", "step", "--json"]
    found = json.loads(installed.evaladapt("run", out, *run, "--out", tmp_path / "run"))
    assert found["verdict"] == "CAUSAL"
    assert found["artifact"]["family"] == "eva"
    assert found["data"]["bytes"] == 30


def test_once_it_is_removed_its_files_are_nobodys(installed, model):
    installed.pip("uninstall", "--yes", "evaladapt-elman")
    message = installed.evaladapt("models", "show", model, code=5)
    assert "no model family takes it" in message
