"""``check_strategy``: the whole contract on one strategy class, in seconds, with messages that teach.

The class runs in this process, on a toy whose texts can be enumerated and on a small transformer with random weights,
so that every probe of the audit has something to look at. It finds mistakes; against intent there is the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from evaladapt.audit.bench import SMALL, Bench
from evaladapt.audit.compliance import CLAUSES
from evaladapt.audit.finding import FAIL, NOT_COVERED, Finding
from evaladapt.audit.full import audit, probes_named
from evaladapt.audit.subject import Subject
from evaladapt.audit.toy import ToyModel, toy_stream, toy_vocabulary
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import Composition
from evaladapt.contract.registry import StrategyType
from evaladapt.engine.loop import Settings
from evaladapt.errors import EvaladaptError
from evaladapt.model.backend import Backend
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.testing.compositions import composition_of, strategy_type
from evaladapt.testing.lessons import LESSONS

Kind = Literal["toy", "transformer"]
VOCABULARY = {"toy": 8, "transformer": 24}
CONTEXT, STRIDE, ROWS = 16, 4, 3
TEXT = (41, 26)
HELP = "evaladapt plugins hooks shows every hook with its arguments, evaladapt plugins show NAME a strategy at work"


class StrategyFailsContract(AssertionError):
    """A strategy broke a clause of the contract, or could not be checked; the message says what to do."""


@dataclass(frozen=True)
class Checked:
    """What was found, on one kind of model with one seed."""

    kind: Kind
    seed: int
    findings: tuple[Finding, ...]


class Checker(Protocol):
    """The type of :func:`check_strategy`, for fixtures."""

    def __call__(
        self,
        cls: type[Any],
        *,
        options: Mapping[str, object] | None = None,
        on: Sequence[Kind] = ("toy", "transformer"),
        probes: Sequence[str] = (),
        seeds: Sequence[int] = (0,),
        may_do_nothing: bool = False,
    ) -> list[Finding]:
        """Run every probe on a strategy class."""


def check_strategy(
    cls: type[Any],
    *,
    options: Mapping[str, object] | None = None,
    on: Sequence[Kind] = ("toy", "transformer"),
    probes: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    may_do_nothing: bool = False,
) -> list[Finding]:
    """Run every probe of the audit on a strategy class.

    Args:
        cls: the class that an entry point would name.
        options: values for its ``Options``, as on the command line; for instance a short chunk, since texts are short.
        on: ``toy`` (texts are enumerated) and ``transformer`` (parameters have a transformer's names).
        probes: only these.
        seeds: of model, text and run.
        may_do_nothing: do not complain if the strategy changes no prediction of these short texts.

    Returns:
        All findings, the passed ones too.

    Raises:
        StrategyFailsContract: a clause is broken; the class is refused; or it did nothing. The message teaches.
    """
    checked = []
    for kind in on:
        for seed in seeds:
            composition = _composition(cls, options or {})
            bench = Bench(_subject(kind, seed, composition, cls), effort=SMALL, seed=seed)
            try:
                findings = audit(bench, probes_named(probes))
            except EvaladaptError as error:
                raise StrategyFailsContract(_refused(cls, f"it cannot run on the {kind}: {error}")) from error
            checked.append(Checked(kind, seed, tuple(findings)))
    _complain(cls, checked, may_do_nothing)
    return [finding for one in checked for finding in one.findings]


def _composition(cls: type[Any], options: Mapping[str, object]) -> Composition:
    try:
        strategy = strategy_type(cls)
        given: dict[str, Mapping[str, object]] = {strategy.alias: options} if options else {}
        if strategy.capabilities.stage != Stage.PLAN:
            given["sliding"] = {"stride": STRIDE}
        _refuse_peeking(strategy)
        return composition_of(cls, options=given)
    except EvaladaptError as error:
        raise StrategyFailsContract(_refused(cls, str(error))) from error


def _refuse_peeking(strategy: StrategyType) -> None:
    if strategy.capabilities.peeks:
        raise StrategyFailsContract(
            _refused(strategy.cls, "it declares peeks=True, so its number is a claim and there is no score to check")
        )


def _subject(kind: Kind, seed: int, composition: Composition, cls: type[Any]) -> Subject:
    def reproduce(probe: str, seed: int) -> str:
        return f"check_strategy({cls.__name__}, on=[{kind!r}], probes=[{probe!r}], seeds=[{seed}])"

    return Subject(
        model=_model(kind, seed),
        stream=toy_stream(TEXT, vocabulary=VOCABULARY[kind], seed=seed),
        composition=composition,
        settings=Settings(batch=ROWS, seed=seed),
        vocabulary=toy_vocabulary(VOCABULARY[kind]),
        backend="toy" if kind == "toy" else "transformer",
        reproduce=reproduce,
    )


def _model(kind: Kind, seed: int) -> Backend:
    if kind == "toy":
        return ToyModel(VOCABULARY[kind], context=CONTEXT, seed=seed)
    config = ModelConfig(vocab_size=VOCABULARY[kind], layers=2, width=16, heads=2, kv_heads=1, mlp_width=32,
                         context=CONTEXT, qk_gain=3.0)  # fmt: skip
    model = Transformer(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return model.requires_grad_(False)


def _complain(cls: type[Any], checked: Sequence[Checked], may_do_nothing: bool) -> None:
    failed = [finding for one in checked for finding in one.findings if finding.outcome == FAIL]
    if failed:
        lessons = "\n\n".join(_lesson(finding) for finding in _one_a_probe(failed))
        raise StrategyFailsContract(f"{cls.__name__} breaks the contract.\n\n{lessons}\n\n{HELP}.")
    idle = [one.kind for one in checked for finding in one.findings
            if finding.probe == "EFFECT" and finding.outcome == NOT_COVERED]  # fmt: skip
    if idle and not may_do_nothing:
        raise StrategyFailsContract(_refused(cls, f"it did nothing on the {' and the '.join(dict.fromkeys(idle))}. "
                                                  + LESSONS["EFFECT"]))  # fmt: skip


def _one_a_probe(failed: Sequence[Finding]) -> list[Finding]:
    first: dict[str, Finding] = {}
    for finding in failed:
        first.setdefault(finding.probe, finding)
    return list(first.values())


def _lesson(finding: Finding) -> str:
    lines = [f"{finding.clause}, {CLAUSES[finding.clause]}.", f"  {finding.probe}: {finding.evidence}."]
    example = finding.counterexample
    if example:
        lines += [
            f"  What was changed: {example.changed}.",
            f"  What moved: {example.difference}"
            + (f", at target {', '.join(map(str, example.positions))}" if example.positions else ""),
            f"  Again: {example.command}",
        ]
    return "\n".join([*lines, f"  {LESSONS[finding.probe]}"])


def _refused(cls: type[Any], why: str) -> str:
    return f"{cls.__name__}: {why}\n\n{HELP}."
