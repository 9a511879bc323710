"""What :func:`~evaladapt.testing.model_check.check_model` asks of a model's tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.trial import first_changed, trial_texts
from evaladapt.model.backend import Backend


def tokenizer_complaints(model: Backend, tokenizer: Tokenizer) -> Iterator[str]:
    """What is wrong with a tokenizer for this model."""
    if tokenizer.vocab_size != model.vocab_size or len(tokenizer.piece_bytes) != tokenizer.vocab_size:
        yield (
            f"the model has {model.vocab_size} ids, the tokenizer says {tokenizer.vocab_size} and has the bytes of"
            f" {len(tokenizer.piece_bytes)}"
        )
        return
    if not 0 <= tokenizer.bos_id < tokenizer.vocab_size or tokenizer.piece_bytes[tokenizer.bos_id]:
        yield f"the id {tokenizer.bos_id}, which opens a document, is out of range or stands for bytes"
    for text in trial_texts(tokenizer):
        ids = tokenizer.encode(text)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < tokenizer.vocab_size:
            yield f"the tokenizer gives ids out of range for {text[:40]!r}"
            return
        if tokenizer.bos_id in ids:
            yield f"the text {text[:40]!r} becomes the id that opens a document"
            return


def tokenizer_notes(tokenizer: Tokenizer | None) -> Iterator[str]:
    """What is worth knowing about it."""
    if tokenizer is not None and not tokenizer.lossless:
        yield f"the tokenizer does not keep every text: {(first_changed(tokenizer) or '')[:40]!r} comes back changed"
