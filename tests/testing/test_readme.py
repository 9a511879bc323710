"""What ``plugins/README.md`` says, held against the code: an author has nothing else to go by."""

import inspect
import re
from pathlib import Path

import pytest

from evaladapt.contract.capabilities import Capabilities
from evaladapt.contract.hooks import StrategyHooks
from evaladapt.testing import check_strategy

README = (Path(__file__).resolve().parents[2] / "plugins" / "README.md").read_text(encoding="utf-8")
HOOKS = {name: list(inspect.signature(hook).parameters)[1:]
         for name, hook in vars(StrategyHooks).items() if inspect.isfunction(hook)}  # fmt: skip


def table_rows():
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in README.splitlines() if line[:2] == "| "]
    return {row[0].strip("`"): row for row in cells}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_stands_there_with_its_arguments(hook):
    row = table_rows()[hook]
    assert re.findall(r"\w+", row[1].replace("–", "")) == HOOKS[hook]


def test_every_capability_stands_there():
    fields = set(Capabilities.__dataclass_fields__) - {"breaks", "legal_relative"}
    assert fields <= set(table_rows())


def test_the_strategy_shown_keeps_the_contract():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    module = {"__name__": "readme"}
    exec(code, module)
    check_strategy(module["UniformMix"], options={"share": 0.2}, on=["toy"])
