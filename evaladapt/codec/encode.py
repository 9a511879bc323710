"""Encoding: a run in step mode whose coder writes every target under its distribution; out comes an ``.evz`` file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.canary import canary
from evaladapt.codec.checkpoint import charges_of, checkpoint, drop_checkpoint
from evaladapt.codec.coders import EncodingCoder
from evaladapt.codec.container import MAX_TEXT_BYTES, EvzFile, Identity
from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import HASH_BYTES, Recipe, composition_hash, recipe_of
from evaladapt.codec.text import CodedText
from evaladapt.contract.composition import Composition
from evaladapt.data.files import write_atomically
from evaladapt.engine.frozen import Frozen
from evaladapt.engine.loop import Engine, Outcome, Progress, Settings
from evaladapt.errors import ContractViolation, PluginError, UsageError


@dataclass(frozen=True)
class Encoded:
    """What encoding came to.

    Attributes:
        overhead: bytes that are not payload, those of the recipe included.
        outcome: of the run; None for a text without targets.
        charges: log-probabilities of all targets [N], where they were asked for.
    """

    text_bytes: int
    file_bytes: int
    overhead: int
    recipe_bytes: int
    outcome: Outcome | None
    charges: NDArray[np.float64] | None = None

    @property
    def bits(self) -> float:
        """Σ −log2 p of the run."""
        return self.outcome.bits if self.outcome else 0.0


def encode(
    frozen: Frozen,
    text: CodedText,
    composition: Composition,
    out: Path,
    *,
    batch: int = 16,
    seed: int = 0,
    resume: bool = False,
    with_charges: bool = False,
    progress: Progress | None = None,
) -> Encoded:
    """Write ``text`` to ``out``, whole or not at all.

    Args:
        frozen: the artifact; the decoder needs the same.
        text: what to write.
        composition: strategies, none of which peeks.
        out: the ``.evz`` file.
        batch: windows between two updates of state that outlives a window.
        seed: of strategies that draw random numbers.
        resume: continue from the checkpoint that an interrupted encoding left beside ``out``.
        with_charges: also return what every target was charged.
        progress: called after every batch.

    Raises:
        CodecError: the text is too long.
        UsageError: a strategy peeks.
        ContractViolation: as :meth:`evaladapt.engine.loop.Engine.run`.
    """
    if composition.peeking:
        names = ", ".join(member.alias for member in composition.peeking)
        raise UsageError(f"{names} peeks: a decoder does not have what it would be shown, so nothing can be encoded")
    if len(text.content) > MAX_TEXT_BYTES:
        raise CodecError(
            f"{text.name} has {len(text.content):,} bytes; the limit is {MAX_TEXT_BYTES:,}. Take a part: --limit-bytes"
        )
    identity = Identity(
        artifact=bytes.fromhex(frozen.artifact.sha256)[:HASH_BYTES],
        composition=composition_hash(composition, batch, seed),
        text=hashlib.sha256(text.content).digest()[:HASH_BYTES],
        canary=canary(frozen.model),
    )
    recipe = recipe_of(composition, batch, seed)
    coder = EncodingCoder(text)
    outcome = None
    journal = checkpoint(out, repr((identity, recipe.to_json())).encode(), resume)
    if text.targets:
        settings = Settings(batch=batch, seed=seed, mode="step")
        engine = Engine(frozen.model, text, composition, settings, coder=coder, journal=journal, progress=progress)
        try:
            outcome = engine.run()
        except (ContractViolation, PluginError):
            drop_checkpoint(out)
            raise
    file = _file(text, identity, recipe, coder.finish())
    content = file.pack()
    write_atomically(out, [content])
    charges = charges_of(journal) if with_charges and outcome else None
    drop_checkpoint(out)
    overhead = len(content) - len(file.payload)
    return Encoded(len(text.content), len(content), overhead, len(recipe.to_json()), outcome, charges)


def _file(text: CodedText, identity: Identity, recipe: Recipe, payload: bytes) -> EvzFile:
    return EvzFile(
        spelling=text.spelling,
        targets=text.targets,
        text_bytes=len(text.content),
        identity=identity,
        recipe=recipe,
        document_starts=text.document_starts,
        payload=payload,
    )
