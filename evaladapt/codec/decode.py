"""Decoding: the same run on a text that grows target by target. It has the model and the file, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaladapt.codec.canary import canary_of
from evaladapt.codec.checkpoint import checkpoint
from evaladapt.codec.coders import DecodingCoder, LostError
from evaladapt.codec.container import EvzFile, read_evz
from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import HASH_BYTES, Recipe, composition_hash, made_by
from evaladapt.codec.text import CodedText, blank_text, bytes_from_tokens
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.source import UNKNOWN
from evaladapt.errors import ContractViolation, PluginError
from evaladapt.judge.charging import Charging, Progress, Rules
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.player.performers import Performer
from evaladapt.judge.player.players import PlayerHangsError
from evaladapt.judge.records.snapshot import Journal
from evaladapt.system.files import write_atomically

Seated = Callable[[Recipe], AbstractContextManager[Performer]]
"""From a file's recipe to a performer in step mode with those threads, ready with a canary; the block ends it."""


@dataclass(frozen=True)
class Decoded:
    """What decoding came to."""

    text_bytes: int
    file_bytes: int
    plugins: str
    outcome: Outcome | None


def decode(
    seated: Seated, tokenizer: Tokenizer, path: Path, out: Path, *, resume: bool = False,
    progress: Progress | None = None,
) -> Decoded:  # fmt: skip
    """Read ``path`` and write its text to ``out``, whole and right, or not at all.

    Args:
        seated: makes the performer that the file's recipe asks for.
        tokenizer: of the model that the file was written with.
        path: the ``.evz`` file.
        out: the text.
        resume: continue from the checkpoint that an interrupted decoding left beside ``out``.
        progress: called after every batch.

    Raises:
        CodecError: the file is damaged, or belongs to another model, composition, version or machine.
        ContractViolation: the text does not come back, although all of these are right: a strategy used something that
            the decoder does not have.
    """
    file = read_evz(path)
    with seated(file.recipe) as performer:
        _refuse_another(file, performer.ready, tokenizer)
        text = blank_text(file.targets, file.document_starts, file.spelling, tokenizer.bos_id)
        coder = DecodingCoder(text, file.payload)
        journal = checkpoint(out, {"file": hashlib.sha256(path.read_bytes()).hexdigest()}, resume)
        try:
            outcome = _run(file, performer, text, coder, tokenizer, journal, progress)
        except PlayerHangsError:
            raise
        except (PluginError, LostError, ContractViolation) as error:
            journal.drop()
            raise _explained(error, text, tokenizer, file.recipe.plugins) from error
        finally:
            journal.file.close()
    write_atomically(out, [bytes_from_tokens(text, text.targets + 1, tokenizer)])
    journal.drop()
    return Decoded(file.text_bytes, path.stat().st_size, str(performer.ready["line"]), outcome)


def _run(
    file: EvzFile,
    performer: Performer,
    text: CodedText,
    coder: DecodingCoder,
    tokenizer: Tokenizer,
    journal: Journal,
    progress: Progress | None,
) -> Outcome | None:
    """Fill in the text.

    Raises:
        LostError: it is not the text that was encoded.
    """
    outcome = None
    if file.targets:
        rules = Rules(mode="step", rows=file.recipe.batch)
        charging = Charging(text, rules, coder=coder, journal=journal, progress=progress)
        outcome = performer.perform(charging)
    coder.finish(file.targets)
    content = bytes_from_tokens(text, text.targets + 1, tokenizer)
    if len(content) != file.text_bytes or hashlib.sha256(content).digest()[:HASH_BYTES] != file.identity.text:
        raise LostError(text.targets, coder.right_until)
    return outcome


def _refuse_another(file: EvzFile, ready: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    """Compare everything the predictions depend on.

    Raises:
        CodecError: something differs.
    """
    if ready["vocab_size"] > tokenizer.vocab_size:
        raise CodecError(f"the player's model predicts {ready['vocab_size']} tokens, its tokenizer knows"
                         f" {tokenizer.vocab_size}")  # fmt: skip
    model = bytes.fromhex(ready["model"]["sha256"])[:HASH_BYTES]
    if model != file.identity.artifact:
        raise CodecError(
            f"the file was written with the model {file.identity.artifact.hex()}…, and {ready['model']['path']} is"
            f" {model.hex()}… (sha256). Name the one it was written with: evaladapt decode MODEL FILE.evz"
        )
    if composition_hash(ready, file.recipe.batch, file.recipe.seed) != file.identity.composition:
        versions = ", ".join(f"{one['name']} {one['version']}" for one in ready["composition"])
        raise CodecError(
            f"the strategies here ({versions}) have other versions, other code or other default options than those the"
            f" file was written with (evaladapt {file.recipe.made}). Install the versions it was written with"
        )
    if canary_of(ready) != file.identity.canary:
        raise CodecError(
            "this machine's arithmetic is not that of the one which wrote the file: one forward of the same model gives"
            f" other bits here. Written by evaladapt {file.recipe.made}; this is {made_by(ready)}. Decode on the"
            " machine or with the build that wrote it"
        )


def _explained(error: Exception, text: CodedText, tokenizer: Tokenizer, plugins: tuple[str, ...]) -> Exception:
    """The error as a person should read it: at which byte, and why."""
    if not isinstance(error, LostError):
        known = int(np.count_nonzero(text.tokens != UNKNOWN))
        at = len(bytes_from_tokens(text, known, tokenizer))
        error.add_note(f"decoded so far: {at} bytes")
        return error
    right = len(bytes_from_tokens(text, error.right_until + 1, tokenizer))
    reached = len(bytes_from_tokens(text, error.target + 1, tokenizer))
    return ContractViolation(
        f"the text does not come back: it is right up to byte {right} (target {error.right_until}), and by byte"
        f" {reached} (target {error.target}) the predictions are not those it was written with. Model, options and"
        f" arithmetic are the same, so a strategy of {','.join(plugins)!r} used something besides the prefix that this"
        " process does not have (clause C1), or does not give the same numbers twice (clause D). To find out which,"
        " encode without one after the other: evaladapt encode --plugins …",
        clause="C1",
    )
