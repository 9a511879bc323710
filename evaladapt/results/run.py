"""``evaladapt.run``: one call from a model, a text and a composition to a result.

The command line's ``run`` asks the same of the judge. What stands here is how a person's words become a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaladapt.contract.spelling import spelled
from evaladapt.data.building import stream_from_documents
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.loop import Settings
from evaladapt.engine.parts import Mode
from evaladapt.errors import UsageError
from evaladapt.judge.charging import Boundaries
from evaladapt.judge.records.folder import RECORD, run_folder
from evaladapt.judge.records.record import write_record
from evaladapt.judge.request import Composed, Level, Request
from evaladapt.results.carrying_out import carry_out, result_of
from evaladapt.results.models import Model
from evaladapt.results.result import Result
from evaladapt.system.working_memory import working_memory

LONGEST_PATH = 4096
Text = str | Path | Sequence[str | Path] | None
"""The default text (None), a file, or documents: a string with a line end, or one that names no file, is one itself."""


def run(
    model: str | Path | Model = "default",
    text: Text = None,
    plugins: str | Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    *,
    limit_tokens: int | None = None,
    batch: int = 16,
    seed: int = 0,
    mode: Mode = "block",
    memory: int | None = None,
    boundaries: Boundaries = "paid",
    audit: Level = "sample",
    inline: bool = False,
    base: bool = True,
    prove: bool = False,
    allow_noncausal: bool = False,
    device: str = "auto",
    folder: str | Path | None = None,
    resume: bool = False,
) -> Result:
    """Score a text with a frozen model and a composition of strategies.

    Args:
        model: an artifact's path or shipped name, a reference of a model family (``hf:FOLDER``, ``golf:FILE``, …), or
            what :func:`open_model` or :func:`wrap` gave.
        text: see :data:`Text`.
        plugins: strategies in order, ``"ttt[lr=0.004],slot-lbfgs"`` or a sequence of such.
        options: by ``"alias.key"``, as ``{"ttt.lr": 0.004}``.
        limit_tokens: score the first targets only.
        batch: windows forwarded together.
        seed: of strategies that draw random numbers.
        mode: ``block``, or ``step``, which predicts one target at a time.
        memory: bytes of working memory for distributions; None: a quarter of the machine's, at most 4 GB.
        boundaries: ``paid``: where documents start is told and paid for; ``charged``: every BOS is charged.
        audit: how much the player is doubted: ``off``, ``sample``, ``full``.
        inline: everything in this process, for a debugger; the verdict is then UNCHECKED.
        base: also score the plan alone.
        prove: also encode the text, decode it in a fresh sealed process, and compare.
        allow_noncausal: run strategies that peek, as a claim.
        device: ``auto``, ``cpu``, ``cuda``, …
        folder: where record, ledgers and text are kept, for :func:`open_run`; without it nothing is written.
        resume: continue the interrupted run in ``folder``.

    Raises:
        ContractViolation: a clause was broken; there is no score.
        EvaladaptError: something else went wrong; the message says what to do.
    """
    with as_model(model).opened() as opened:
        request = Request(
            model=as_model(model).reference,
            opened=opened,
            composed=composed_of(plugins, options or {}, allow_noncausal=allow_noncausal),
            open_text=lambda tokenizer: opened_text(text, tokenizer, limit_tokens),
            paths=paths_of(text),
            settings=Settings(batch=batch, seed=seed, mode=mode, memory=memory or working_memory()),
            boundaries=boundaries,
            doubt=audit,
            inline=inline,
            with_base=base,
            device=device,
        )
        if folder is None:
            return result_of(carry_out(request, prove=prove))
        with run_folder(Path(folder), new=False, resume=resume, overwrite=False) as place:
            done = carry_out(replace(request, folder=place, resume=resume), prove=prove)
            write_record(place / RECORD, done.record)
        return result_of(done)


def as_model(model: str | Path | Model) -> Model:
    """What a person named, as a model."""
    return model if isinstance(model, Model) else Model(str(model))


def composed_of(plugins: str | Sequence[str], options: Mapping[str, Any], *, allow_noncausal: bool = False) -> Composed:
    """A composition as a person writes it; options in brackets win over ``options``.

    Raises:
        UsageError: it cannot be read.
    """
    written = spelled(plugins if isinstance(plugins, str) else ",".join(plugins))
    table = by_alias(options)
    for name, own in written.options.items():
        table[name] = {**table.get(name, {}), **own}
    return Composed(names=written.names, options=table, allow_noncausal=allow_noncausal)


def by_alias(options: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Options by ``alias.key`` as a table per alias.

    Raises:
        UsageError: one is named otherwise.
    """
    table: dict[str, dict[str, object]] = {}
    for name, value in options.items():
        alias, dot, key = name.rpartition(".")
        if not (alias and dot and key):
            raise UsageError(f"option {name!r} is not of the form alias.key, as in: options={{'ttt.lr': 0.004}}")
        table.setdefault(alias, {})[key.replace("-", "_")] = value
    return table


def opened_text(text: Text, tokenizer: Tokenizer, limit: int | None) -> TokenStream:
    """The stream of what a person gave as a text.

    Raises:
        DataError, UsageError: it cannot be read.
    """
    files = _paths(text)
    if text is None or files:
        return load_stream(files, tokenizer, limit_tokens=limit)
    documents = [text] if isinstance(text, str | Path) else list(text)
    return stream_from_documents(list(map(str, documents)), tokenizer, "documents", limit=limit)


def paths_of(text: Text) -> tuple[str, ...]:
    """The files of a text for its record; none for documents and for the default text."""
    return tuple(str(path.absolute()) for path in _paths(text))


def _paths(text: Text) -> list[Path]:
    """The files that a person named; none for documents."""
    if text is None:
        return []
    named = [text] if isinstance(text, str | Path) else list(text)
    if named and all(_is_file(one) for one in named):
        return [Path(one) for one in named]
    missing = [one for one in named if isinstance(one, Path) and not one.exists()]
    if missing:
        raise UsageError(f"there is no file {missing[0]}")
    return []


def _is_file(one: str | Path) -> bool:
    if isinstance(one, str) and ("\n" in one or len(one) > LONGEST_PATH):
        return False
    try:
        return Path(one).exists()
    except OSError:
        return False
