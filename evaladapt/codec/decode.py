"""Decoding: the same run on a text that grows target by target. It has the artifact and the file, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaladapt.codec.alone import alone
from evaladapt.codec.canary import canary
from evaladapt.codec.checkpoint import checkpoint, drop_checkpoint
from evaladapt.codec.coders import DecodingCoder, LostError
from evaladapt.codec.container import EvzFile, read_evz
from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import HASH_BYTES, Compose, composition_hash, made_here
from evaladapt.codec.text import CodedText, blank_text, bytes_from_tokens
from evaladapt.contract.composition import Composition, compose
from evaladapt.engine.frozen import Frozen
from evaladapt.engine.loop import Engine, Journal, Outcome, Progress, Settings
from evaladapt.engine.source import UNKNOWN
from evaladapt.errors import ContractViolation, PluginError
from evaladapt.system.files import write_atomically
from evaladapt.system.threads import threads


@dataclass(frozen=True)
class Decoded:
    """What decoding came to."""

    text_bytes: int
    file_bytes: int
    plugins: str
    outcome: Outcome | None


def decode(
    frozen: Frozen,
    path: Path,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    compose_by: Compose = compose,
) -> Decoded:
    """Read ``path`` and write its text to ``out``, whole and right, or not at all.

    Args:
        frozen: the artifact that the file was written with.
        path: the ``.evz`` file.
        out: the text.
        resume: continue from the checkpoint that an interrupted decoding left beside ``out``.
        progress: called after every batch.
        compose_by: finds the strategies; those that are installed, unless a test brings its own.

    Raises:
        CodecError: the file is damaged, or belongs to another artifact, composition, version or machine.
        ContractViolation: the text does not come back, although all of these are right: a strategy used something that
            the decoder does not have.
    """
    file = read_evz(path)
    journal = checkpoint(out, path.read_bytes(), resume)
    text = blank_text(file.targets, file.document_starts, file.spelling, frozen.tokenizer.bos_id)
    coder = DecodingCoder(text, file.payload)
    with threads(file.recipe.threads), alone([journal.ledger, journal.snapshot]) as refused:
        try:
            composition = file.recipe.compose(compose_by)
            _refuse_another(file, frozen, composition)
            outcome = _run(file, frozen, composition, text, coder, journal, progress)
        except (PluginError, LostError, ContractViolation) as error:
            drop_checkpoint(out)
            raise _explained(error, refused, text, frozen, file.recipe.plugins) from error
    write_atomically(out, [bytes_from_tokens(text, text.targets + 1, frozen.tokenizer)])
    drop_checkpoint(out)
    return Decoded(file.text_bytes, path.stat().st_size, composition.line, outcome)


def _run(
    file: EvzFile,
    frozen: Frozen,
    composition: Composition,
    text: CodedText,
    coder: DecodingCoder,
    journal: Journal,
    progress: Progress | None,
) -> Outcome | None:
    """Fill in the text.

    Raises:
        LostError: it is not the text that was encoded.
    """
    outcome = None
    if file.targets:
        settings = Settings(batch=file.recipe.batch, seed=file.recipe.seed, mode="step")
        engine = Engine(frozen.model, text, composition, settings, coder=coder, journal=journal, progress=progress)
        outcome = engine.run()
    coder.finish(file.targets)
    content = bytes_from_tokens(text, text.targets + 1, frozen.tokenizer)
    if len(content) != file.text_bytes or hashlib.sha256(content).digest()[:HASH_BYTES] != file.identity.text:
        raise LostError(text.targets, coder.right_until)
    return outcome


def _refuse_another(file: EvzFile, frozen: Frozen, composition: Composition) -> None:
    """Compare everything the predictions depend on.

    Raises:
        CodecError: something differs.
    """
    artifact = bytes.fromhex(frozen.artifact.sha256)[:HASH_BYTES]
    if artifact != file.identity.artifact:
        raise CodecError(
            f"the file was written with the artifact {file.identity.artifact.hex()}…, and {frozen.artifact.path} is"
            f" {artifact.hex()}… (sha256). Decode with the artifact it was written with"
        )
    if composition_hash(composition, file.recipe.batch, file.recipe.seed) != file.identity.composition:
        versions = ", ".join(
            f"{one.alias} of {one.type.listing.distribution} {one.type.listing.version}" for one in composition.members
        )
        raise CodecError(
            f"the strategies here ({versions}) have other versions or other default options than those the file was"
            f" written with (evaladapt {file.recipe.made}). Install the versions it was written with"
        )
    if canary(frozen.model) != file.identity.canary:
        raise CodecError(
            "this machine's arithmetic is not that of the one which wrote the file: one forward of the same model gives"
            f" other bits here. Written by evaladapt {file.recipe.made}; this is {made_here()}. Decode on the machine"
            " or with the build that wrote it"
        )


def _explained(
    error: Exception, refused: list[str], text: CodedText, frozen: Frozen, plugins: tuple[str, ...]
) -> Exception:
    """The error as a person should read it: at which byte, and why."""
    known = int(np.count_nonzero(text.tokens != UNKNOWN))
    if refused:
        right = error.right_until + 1 if isinstance(error, LostError) else known
        at = len(bytes_from_tokens(text, right, frozen.tokenizer))
        return ContractViolation(
            f"the text does not come back: at byte {at} (target {right}) a strategy tried to {refused[0]}, which no"
            f" decoder has (clause C1). {'It went on and was lost.' if isinstance(error, LostError) else error}",
            clause="C1",
        )
    if not isinstance(error, LostError):
        return error
    right = len(bytes_from_tokens(text, error.right_until + 1, frozen.tokenizer))
    reached = len(bytes_from_tokens(text, error.target + 1, frozen.tokenizer))
    return ContractViolation(
        f"the text does not come back: it is right up to byte {right} (target {error.right_until}), and by byte"
        f" {reached} (target {error.target}) the predictions are not those it was written with. Artifact, options and"
        f" arithmetic are the same, so a strategy of {','.join(plugins)!r} used something besides the prefix that this"
        " process does not have (clause C1), or does not give the same numbers twice (clause D). To find out which,"
        " encode without one after the other: evaladapt encode --plugins …",
        clause="C1",
    )
