import importlib

from evaladapt.contract.origin import UNKNOWN, Origin, code_hash, origin_of
from evaladapt.contract.registry import load
from tests.contract.test_registry import HONEST
from tests.distributions import lay_out


def test_the_origin_names_distribution_version_and_code(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, "stranger", "1.2", "origin_module", HONEST, honest="Honest")
    strategy = load("honest")
    assert origin_of(strategy) == Origin("stranger:honest", "1.2", code_hash(strategy.cls))


def test_an_edited_module_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "lone_module.py"
    file.write_text(HONEST)
    cls = importlib.import_module("lone_module").Honest
    before = code_hash(cls)
    file.write_text(HONEST + "# edited\n")
    assert code_hash(cls) != before


def test_a_package_counts_whole(tmp_path, monkeypatch):
    """What a strategy imports from its own package is its code as well."""
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for name, helper in (("package_a", "RATE = 1"), ("package_b", "RATE = 1"), ("package_c", "RATE = 2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "helper.py").write_text(helper)
        (folder / "strategy.py").write_text("from .helper import RATE\n" + HONEST)
        hashes.append(code_hash(importlib.import_module(f"{name}.strategy").Honest))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_class_from_nowhere_has_no_hash():
    cls = type("Nowhere", (), {"__module__": "__main__"})
    assert code_hash(cls) == UNKNOWN
