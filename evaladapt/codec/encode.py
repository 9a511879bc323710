"""Encoding: a run in step mode whose coder writes every target under its distribution; out comes an ``.evz`` file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.canary import canary_of
from evaladapt.codec.checkpoint import charges_of, checkpoint
from evaladapt.codec.coders import EncodingCoder
from evaladapt.codec.container import MAX_TEXT_BYTES, EvzFile, Identity, parse_evz
from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import HASH_BYTES, Recipe, composition_hash, recipe_of
from evaladapt.codec.text import CodedText
from evaladapt.errors import ContractViolation, PluginError, UsageError
from evaladapt.judge.charging import Charging, Progress, Rules
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.player.performers import Performer
from evaladapt.judge.player.players import PlayerHangsError
from evaladapt.judge.records.snapshot import Journal
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
        """What the run charged, boundaries included."""
        return self.outcome.bits if self.outcome else 0.0


def encode(
    performer: Performer,
    text: CodedText,
    out: Path,
    *,
    batch: int = 16,
    seed: int = 0,
    threads: int = 1,
    resume: bool = False,
    with_charges: bool = False,
    progress: Progress | None = None,
) -> Encoded:
    """Write ``text`` to ``out``, whole or not at all.

    Args:
        performer: model and strategies in step mode, ready with a canary; the decoder needs the same.
        text: what to write.
        out: the ``.evz`` file.
        batch: windows between two updates of state that outlives a window.
        seed: of strategies that draw random numbers.
        threads: with how many the performer computes.
        resume: continue from the checkpoint that an interrupted encoding left beside ``out``.
        with_charges: also return what every target was charged.
        progress: called after every batch.

    Raises:
        CodecError: the text is too long, or what was written does not read back.
        UsageError: a strategy peeks.
        ContractViolation, PluginError: as :meth:`evaladapt.judge.player.performers.Performer.perform`.
    """
    ready = performer.ready
    _refuse_what_cannot_be_encoded(text, ready["peeking"])
    identity = Identity(
        artifact=bytes.fromhex(ready["model"]["sha256"])[:HASH_BYTES],
        composition=composition_hash(ready, batch, seed),
        text=hashlib.sha256(text.content).digest()[:HASH_BYTES],
        canary=canary_of(ready),
    )
    recipe = recipe_of(ready, batch, seed, threads)
    coder = EncodingCoder(text)
    journal = checkpoint(out, {"recipe": recipe.to_json().decode(), **identity.told()}, resume)
    outcome = None
    if text.targets:
        rules = Rules(mode="step", rows=batch)
        charging = Charging(text, rules, coder=coder, journal=journal, progress=progress)
        outcome = _performed(performer, charging, journal)
    file = _file_of(text, identity, recipe, coder.finish())
    content = file.pack()
    parse_evz(content)
    write_atomically(out, [content])
    charges = charges_of(journal) if with_charges and outcome else None
    journal.drop()
    return Encoded(
        text_bytes=len(text.content),
        file_bytes=len(content),
        payload_bytes=len(file.payload),
        header_bytes=file.header_bytes,
        outcome=outcome,
        charges=charges,
    )


def _file_of(text: CodedText, identity: Identity, recipe: Recipe, payload: bytes) -> EvzFile:
    return EvzFile(
        spelling=text.spelling,
        targets=text.targets,
        text_bytes=len(text.content),
        identity=identity,
        recipe=recipe,
        document_starts=text.document_starts,
        payload=payload,
    )


def _performed(performer: Performer, charging: Charging, journal: Journal) -> Outcome:
    """Run it; a run that a strategy ended would end there again, so nothing of it is kept for ``resume``."""
    try:
        return performer.perform(charging)
    except PlayerHangsError:
        raise
    except (ContractViolation, PluginError):
        journal.drop()
        raise
    finally:
        journal.file.close()


def _refuse_what_cannot_be_encoded(text: CodedText, peeking: list[str]) -> None:
    if peeking:
        names = ", ".join(peeking)
        raise UsageError(f"{names} peeks: a decoder does not have what it would be shown, so nothing can be encoded")
    if len(text.content) > MAX_TEXT_BYTES:
        raise CodecError(
            f"{text.name} has {len(text.content):,} bytes; the limit is {MAX_TEXT_BYTES:,}. Take a part: --limit-bytes"
        )
