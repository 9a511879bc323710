import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from evaladapt.audit.probes import ALL
from evaladapt.contract import Capabilities, Stage, hookimpl, option
from evaladapt.testing import StrategyFailsContract, check_strategy
from evaladapt.testing.lessons import LESSONS
from tests.strategies import DocumentUnigram, Train, WindowBias
from tests.zoo.adapting import DeltaOfAllPasts
from tests.zoo.distribution import WrongDenominator
from tests.zoo.refusing import hook_asking_for
from tests.zoo.thief import Thief


@pytest.mark.parametrize("cls", [WindowBias, DocumentUnigram, Train])
def test_an_honest_strategy_passes_and_nothing_fails_or_is_idle(cls):
    findings = check_strategy(cls)
    assert {one.backend for one in findings} == {"toy", "transformer"}
    assert {probe.name for probe in ALL} <= {one.probe for one in findings}
    assert not [one for one in findings if one.outcome == "fail"]


def test_a_message_says_what_was_changed_what_moved_and_what_to_do():
    with pytest.raises(StrategyFailsContract) as caught:
        check_strategy(DeltaOfAllPasts, on=["toy"], probes=["FLIP"])
    message = str(caught.value)
    for part in ("DeltaOfAllPasts breaks the contract", "C1, causality", "were replaced by others", "What moved:",
                 "fit every row by itself", "check_strategy(DeltaOfAllPasts, on=['toy'], probes=['FLIP'], seeds=[0])",
                 "evaladapt plugins hooks"):  # fmt: skip
        assert part in message


def test_a_clause_that_the_engine_finds_broken_is_explained_too():
    with pytest.raises(StrategyFailsContract, match=r"C2, distribution.*[\s\S]*log_softmax"):
        check_strategy(WrongDenominator, on=["toy"])


def test_a_hook_with_an_argument_that_does_not_exist_is_explained():
    with pytest.raises(StrategyFailsContract, match=r"asks for .targets[\s\S]*gives: logits, query, rng"):
        check_strategy(hook_asking_for("transform_logits", "targets"))


def test_a_strategy_that_peeks_has_no_score_to_check():
    class Peeks(Thief):
        capabilities = Capabilities(stage=Stage.LOGITS, peeks=True)

    with pytest.raises(StrategyFailsContract, match="claim"):
        check_strategy(Peeks)


@dataclass(frozen=True, kw_only=True)
class PatientOptions:
    chunk: int = option(1_000, "targets before it acts", minimum=1)


class Patient(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")
    Options = PatientOptions

    @hookimpl
    def begin(self):
        self.seen = 0

    @hookimpl
    def observe(self, scored):
        self.seen += len(scored.targets)

    @hookimpl
    def transform_logits(self, logits):
        return logits * (1.5 if self.seen > self.options.chunk else 1.0)


def test_a_strategy_that_did_nothing_was_not_tested():
    with pytest.raises(StrategyFailsContract, match=r"did nothing on the toy[\s\S]*options="):
        check_strategy(Patient, on=["toy"], probes=["EFFECT"])
    check_strategy(Patient, on=["toy"], probes=["EFFECT"], may_do_nothing=True)
    check_strategy(Patient, on=["toy"], probes=["EFFECT"], options={"chunk": 8})


def test_a_strategy_that_raises_is_named():
    class Clumsy(Thief):
        @hookimpl
        def transform_logits(self, logits):
            return logits[torch.ones(99, dtype=torch.bool)]

    with pytest.raises(StrategyFailsContract, match="'clumsy' raised IndexError in transform_logits"):
        check_strategy(Clumsy, on=["toy"])


def test_every_probe_has_a_lesson():
    assert {probe.name for probe in ALL} <= set(LESSONS)


def test_the_fixture_is_the_function(check_strategy):
    from evaladapt.testing.check import check_strategy as function

    assert check_strategy is function


def test_loading_the_pytest_plugin_does_not_load_torch():
    code = "import sys, evaladapt.testing.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
