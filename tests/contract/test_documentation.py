"""The hooks' documentation is held against their specification."""

import re
from pathlib import Path

import pytest
from pluggy import PluginManager

from evaladapt.contract.hooks import PROJECT, StrategyHooks

PAGE = (Path(__file__).resolve().parents[2] / "plugins" / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE.split("## Hooks")[1], flags=re.MULTILINE))


def specified() -> dict[str, tuple[str, ...]]:
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(StrategyHooks)
    names = [name for name in vars(StrategyHooks) if not name.startswith("_")]
    return {name: getattr(manager.hook, name).spec.argnames for name in names}


@pytest.mark.parametrize("hook", specified())
def test_every_hook_is_documented_with_its_exact_arguments(hook):
    documented = tuple(re.findall(r"\w+", ROWS[hook].strip("` ")))
    assert documented == specified()[hook]


def test_nothing_is_documented_that_does_not_exist():
    assert set(ROWS) == set(specified())
