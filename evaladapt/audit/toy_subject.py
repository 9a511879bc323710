"""A composition on the toy: the subject for which texts can be enumerated, and late leaks are cheap to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from evaladapt.audit.subject import Subject
from evaladapt.audit.toy import ToyModel, toy_stream, toy_vocabulary
from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import GivenOptions, compose_types
from evaladapt.contract.registry import StrategyType
from evaladapt.engine.loop import Settings

CONTEXT, VOCABULARY, ROWS = 16, 8, 16
LONG = (2100, 17, 1400, 700, 1, 1900)
"""Document lengths of the toy text: past target 5,000, with a boundary close to another."""


def toy_subject(
    types: Sequence[StrategyType],
    options: GivenOptions,
    *,
    overrides: GivenOptions | None = None,
    lengths: tuple[int, ...] = LONG,
    seed: int = 0,
    allow_noncausal: bool = False,
    reproduce: Callable[[str, int], str] | None = None,
) -> Subject:
    """Strategies on the toy.

    Args:
        types: in order.
        options: as for a real run; those of the plan are left out, because windows on the toy are tiny.
        overrides: options for the toy only, such as a shorter chunk.
        lengths: of the documents.
        seed: of the model, the text and the run.
        allow_noncausal: accept strategies that peek.
        reproduce: names the command that runs a probe again.
    """
    plans = {one.alias for one in types if one.capabilities.stage == Stage.PLAN} | {"sliding"}
    merged: dict[str, Mapping[str, object]] = {alias: one for alias, one in options.items() if alias not in plans}
    for alias, given in (overrides or {}).items():
        merged[alias] = {**merged.get(alias, {}), **given}
    composition = compose_types(types, merged, allow_noncausal=allow_noncausal)
    subject = Subject(
        model=ToyModel(VOCABULARY, context=CONTEXT, seed=seed),
        stream=toy_stream(lengths, vocabulary=VOCABULARY, seed=seed),
        composition=composition,
        settings=Settings(batch=ROWS, seed=seed),
        vocabulary=toy_vocabulary(VOCABULARY),
        backend="toy",
    )
    return subject if reproduce is None else replace(subject, reproduce=reproduce)
