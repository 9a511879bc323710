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
from evaladapt.engine.frozen import Frozen
from evaladapt.engine.loop import Engine, Outcome, Progress, Settings
from evaladapt.errors import ContractViolation, PluginError, UsageError
from evaladapt.system.files import write_atomically


@dataclass(frozen=True)
class Encoded:
    """What encoding came to.

    Attributes:
        payload_bytes: of the coded text.
        header_bytes: of head, recipe and checksum; what is left of the file says where documents start.
        outcome: of the run; None for a text without targets.
        charges: log-probabilities of all targets [N], where they were asked for.
    """

    text_bytes: int
    file_bytes: int
    payload_bytes: int
    header_bytes: int
    outcome: Outcome | None
    charges: NDArray[np.float64] | None = None

    @property
    def document_bytes(self) -> int:
        """Bytes that say where documents start; they grow with the text, and its tokens do not tell them."""
        return self.file_bytes - self.payload_bytes - self.header_bytes

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
    _refuse_what_cannot_be_encoded(text, composition)
    identity = _identity(frozen, text, composition, batch, seed)
    recipe = recipe_of(composition, batch, seed)
    coder = EncodingCoder(text)
    journal = checkpoint(out, repr((identity, recipe.to_json())).encode(), resume)
    outcome = None
    if text.targets:
        settings = Settings(batch=batch, seed=seed, mode="step")
        engine = Engine(frozen.model, text, composition, settings, coder=coder, journal=journal, progress=progress)
        outcome = _run(engine, out)
    file = _file(text, identity, recipe, coder.finish())
    content = file.pack()
    write_atomically(out, [content])
    charges = charges_of(journal) if with_charges and outcome else None
    drop_checkpoint(out)
    return Encoded(
        text_bytes=len(text.content),
        file_bytes=len(content),
        payload_bytes=len(file.payload),
        header_bytes=file.header_bytes,
        outcome=outcome,
        charges=charges,
    )


def _run(engine: Engine, out: Path) -> Outcome:
    """Run it; a run that a strategy ended would end there again, so nothing of it is kept for ``resume``."""
    try:
        return engine.run()
    except (ContractViolation, PluginError):
        drop_checkpoint(out)
        raise


def _refuse_what_cannot_be_encoded(text: CodedText, composition: Composition) -> None:
    if composition.peeking:
        names = ", ".join(member.alias for member in composition.peeking)
        raise UsageError(f"{names} peeks: a decoder does not have what it would be shown, so nothing can be encoded")
    if len(text.content) > MAX_TEXT_BYTES:
        raise CodecError(
            f"{text.name} has {len(text.content):,} bytes; the limit is {MAX_TEXT_BYTES:,}. Take a part: --limit-bytes"
        )


def _identity(frozen: Frozen, text: CodedText, composition: Composition, batch: int, seed: int) -> Identity:
    return Identity(
        artifact=bytes.fromhex(frozen.artifact.sha256)[:HASH_BYTES],
        composition=composition_hash(composition, batch, seed),
        text=hashlib.sha256(text.content).digest()[:HASH_BYTES],
        canary=canary(frozen.model),
    )


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
