"""``evaladapt.run``: one call from a model, a text and a composition to a result.

The command line's ``run`` asks the same of the judge. What stands here is how a person's words become a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaladapt.data.building import stream_from_documents
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.loop import Settings
from evaladapt.engine.paired import PairedDifference
from evaladapt.engine.parts import Mode
from evaladapt.errors import ContractViolation, UsageError
from evaladapt.judge.charging import Boundaries
from evaladapt.judge.evaluate import Evaluated, evaluated
from evaladapt.judge.record import Record, RunRecord
from evaladapt.judge.request import Composed, Level, Request
from evaladapt.judge.verdict import document_bytes
from evaladapt.system.memory import working_memory

LN2 = float(np.log(2))
LONGEST_PATH = 4096
Text = str | Path | Sequence[str | Path] | None
"""The default text (None), a file, or documents: a string with a line end, or one that names no file, is one itself."""


@dataclass(frozen=True)
class Document:
    """One document: its bytes, and its bits under the plan alone (None without a base) and under the composition."""

    number: int
    bytes: int
    base_bits: float | None
    bits: float

    @property
    def gain(self) -> float | None:
        """Bits per byte saved against the base; None without bytes or a base."""
        return (self.base_bits - self.bits) / self.bytes if self.base_bits is not None and self.bytes else None


@dataclass(frozen=True)
class Result:
    """A run that came to its end."""

    record: RunRecord
    _evaluated: Evaluated

    @property
    def bpb(self) -> float | None:
        """Bits per byte; None for a claim, whose number is ``claimed_bpb``."""
        return self.record.bpb

    @property
    def claimed_bpb(self) -> float | None:
        """The number of a composition that peeks."""
        return self.record.claimed_bpb

    @property
    def base_bpb(self) -> float | None:
        """Bits per byte of the plan alone."""
        return self.record.base.bits_per_byte if self.record.base else None

    @property
    def difference(self) -> PairedDifference | None:
        """From the base to the composition, paired over documents."""
        return self.record.difference

    @property
    def verdict(self) -> str:
        """``CAUSAL``, ``PROVEN``, ``UNCHECKED`` or ``NONCAUSAL``."""
        return self.record.verdict

    @cached_property
    def target_nats(self) -> NDArray[np.float32]:
        """[N+1]: what every target cost, −ln p; index 0 is no target."""
        adapted = self._evaluated.adapted
        return adapted.target_nats if adapted else np.zeros(0, dtype=np.float32)

    def documents(self) -> list[Document]:
        """One row a document, in order; what its boundary costs is the text's and in none."""
        base, adapted = self._evaluated.base, self._evaluated.adapted
        sizes = document_bytes(self._evaluated.stream)
        after = adapted.document_nats if adapted else np.zeros(len(sizes))
        return [
            Document(number, int(size), float(base.document_nats[number]) / LN2 if base else None, float(nats) / LN2)
            for number, (size, nats) in enumerate(zip(sizes, after, strict=True))
        ]


def run(
    model: str = "default",
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
    inline: Literal[False, True] = False,
    base: bool = True,
    allow_noncausal: bool = False,
    device: str = "auto",
) -> Result:
    """Score a text with a frozen model and a composition of strategies.

    Args:
        model: an artifact's path or shipped name, or a reference of a model family (``hf:FOLDER``, ``golf:FILE``, …).
        text: see :data:`Text`.
        plugins: strategies in order, ``"ttt,slot-lbfgs"`` or a sequence of names.
        options: by ``"alias.key"``, as ``{"ttt.lr": 0.004}``.
        limit_tokens: score the first targets only.
        batch, seed, mode: as the command line's options.
        memory: bytes of working memory for distributions; None: a quarter of the machine's, at most 4 GB.
        boundaries: ``paid``: where documents start is told and paid for; ``charged``: every BOS is charged.
        audit: how much the player is doubted: ``off``, ``sample``, ``full``.
        inline: everything in this process, for a debugger; the verdict is then UNCHECKED.
        base: also score the plan alone.
        allow_noncausal: run strategies that peek, as a claim.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        ContractViolation: a clause was broken; there is no score.
        EvaladaptError: something else went wrong; the message says what to do.
    """
    names = tuple(one.strip() for one in (plugins.split(",") if isinstance(plugins, str) else plugins) if one.strip())
    request = Request(
        model=model,
        composed=Composed(names=names, options=_by_alias(options or {}), allow_noncausal=allow_noncausal),
        open_text=lambda tokenizer: _opened(text, tokenizer, limit_tokens),
        paths=tuple(str(path.absolute()) for path in _paths(text)),
        settings=Settings(batch=batch, seed=seed, mode=mode, memory=memory or working_memory()),
        boundaries=boundaries,
        doubt=audit,
        inline=inline,
        with_base=base,
        device=device,
    )
    done = evaluated(request)
    if not isinstance(done.record, RunRecord):
        raise _violation(done.record)
    return Result(done.record, done)


def _violation(record: Record) -> ContractViolation:
    failed = next(one for one in record.clauses if one.outcome == "fail")
    return ContractViolation(failed.evidence, clause=failed.clause)


def _by_alias(options: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = {}
    for name, value in options.items():
        alias, dot, key = name.rpartition(".")
        if not (alias and dot and key):
            raise UsageError(f"option {name!r} is not of the form alias.key, as in: options={{'ttt.lr': 0.004}}")
        table.setdefault(alias, {})[key.replace("-", "_")] = value
    return table


def _opened(text: Text, tokenizer: Tokenizer, limit: int | None) -> TokenStream:
    paths = _paths(text)
    if text is None or paths:
        return load_stream(paths, tokenizer, limit_tokens=limit)
    documents = [text] if isinstance(text, str | Path) else list(text)
    return stream_from_documents(list(map(str, documents)), tokenizer, "documents", limit=limit)


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
