import sys

import pytest

from evaladapt.contract.registry import find, installed, load
from evaladapt.errors import PluginError
from tests.distributions import lay_out

HONEST = """
from evaladapt.contract import Capabilities, Stage, hookimpl

class Honest:
    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)
    def __init__(self, options): pass
    @hookimpl
    def transform_logits(self, logits, query): return logits
"""


def broken(change: tuple[str, str]) -> str:
    assert change[0] in HONEST
    return HONEST.replace(*change)


def refused(name: str) -> str:
    with pytest.raises(PluginError) as caught:
        load(name)
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_listing_imports_nothing(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, "stranger", "1.2", "stranger_module", "raise SystemExit('imported')", odd="Odd")
    assert [(one.distribution, one.version) for one in installed() if one.alias == "odd"] == [("stranger", "1.2")]
    assert "stranger_module" not in sys.modules


def test_only_the_named_strategy_is_imported(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    lay_out(tmp_path / "a", monkeypatch, "bad", "1", "bad_module", "raise RuntimeError('boom')", bad="Bad")
    lay_out(tmp_path / "b", monkeypatch, "good", "1", "good_module", HONEST, good="Honest")
    assert load("good").alias == "good"
    assert load("good:good").alias == "good"


def test_an_unknown_name_gets_the_near_miss_and_what_is_installed(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, "good", "1", "good_module_2", HONEST, uniform="Honest")
    message = refused("unifrom")
    assert "Did you mean 'uniform'?" in message
    assert "uniform" in message.split("Installed:")[1]
    assert "evaladapt plugins list" in message


def test_two_distributions_with_one_name_are_both_named(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        lay_out(tmp_path / name, monkeypatch, name, "3", f"{name}_module", HONEST, twin="Honest")
    message = refused("twin")
    assert "first 3 and second 3" in message
    assert "first:twin or second:twin" in message
    assert find("second:twin").distribution == "second"


def test_a_failing_import_is_blamed_on_its_distribution(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, "culprit", "0.3", "culprit_module", "import nothing_of_that_name", culprit="X")
    message = refused("culprit")
    assert "culprit 0.3" in message
    assert "ModuleNotFoundError" in message
    assert "pip uninstall culprit" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("contract_version = 1", "contract_version = 2"), "is 2, and this evaladapt speaks 1"),
        (("contract_version = 1", "pass"), "does not say"),
        (("capabilities = Capabilities(stage=Stage.LOGITS)", "pass"), "no class attribute 'capabilities"),
        (("logits, query", "logits, query, targets"), "targets"),
        (("def transform_logits", "def transfrom_logits"), "Did you mean 'transform_logits'?"),
        (
            ("logits, query", "logit, query"),
            "Did you mean 'logits'? The hook transform_logits gives: logits, query",
        ),
        (("@hookimpl", "@hookimpl(wrapper=True)"), "wrapper of the hook transform_logits"),
        (("@hookimpl", "@hookimpl(hookwrapper=True)"), "wrapper of the hook transform_logits"),
        (("@hookimpl", "@hookimpl(tryfirst=True)"), "the order of strategies is the user's"),
        (("    @hookimpl\n", ""), "not the mark @hookimpl, so it would never be called"),
        (("def __init__", "def observe(self, scored): pass\n    def __init__"), "observe has the name of a hook"),
        (("contract_version", "contract_versoin"), "the contract reads 'contract_version'"),
        (("capabilities =", "capabilites ="), "the contract reads 'capabilities'"),
        (("contract_version = 1", "contract_version = 1\n    options = 3"), "the contract reads 'Options'"),
        (("Stage.LOGITS", "Stage.HIDDEN"), "implements transform_logits, which stage hidden does not have"),
        (("Stage.LOGITS", "Stage.PLAN"), "plan"),
        (("stage=Stage.LOGITS", "stage=Stage.LOGITS, writes_weights=True"), "needs stage=Stage.WEIGHTS"),
        (("stage=Stage.LOGITS", "stage=Stage.LOGITS, scope='batch'"), "scope 'batch' is none of"),
        (("stage=Stage.LOGITS", "stage=Stage.LOGITS, reads=frozenset({'targets'})"), "reads targets"),
        (("stage=Stage.LOGITS", "stage=Stage.LOGITS, reads=frozenset({'trail'})"), "trail exists at stage probs"),
        (("    @hookimpl", "    @hookimpl\n    def state(self): return {}\n    @hookimpl"), "state but not restore"),
    ],
)
def test_a_class_that_breaks_a_rule_is_refused(tmp_path, monkeypatch, change, said):
    module = f"broken_{abs(hash(change))}"
    lay_out(tmp_path, monkeypatch, "stranger", "1", module, broken(change), stranger="Honest")
    assert said in refused("stranger")


def test_an_entry_point_that_names_no_class_is_refused(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, "stranger", "1", "no_class", "Honest = 3", stranger="Honest")
    assert "not a class" in refused("stranger")
