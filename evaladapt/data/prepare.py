"""From text files to what a training needs: a tokenizer, token shards, and a manifest that says where everything came
from.

:mod:`evaladapt.data.selection` decides which document goes where; here the tokenizer is trained or read, and all is
written, so that the same inputs give the same bytes. The command is ``evaladapt data prepare``; the reader of the
outcome is the trainer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.encoding import refuse_changed
from evaladapt.data.manifest import MANIFEST_FILE, MANIFEST_FORMAT, SPLITS
from evaladapt.data.reading.kinds import STANDARD_INPUT
from evaladapt.data.reading.opening import sha256_of
from evaladapt.data.selection import Document, Plan, Splits, collect, read_texts, split
from evaladapt.data.shards import MAX_VOCAB, ShardFile, read_shard, write_shards
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer, train_tokenizer
from evaladapt.errors import DataError, UsageError
from evaladapt.system.files import write_atomically

TOKENIZER_FILE = "tokenizer.model"


def prepare(plan: Plan) -> dict[str, Any]:
    """Do the whole preparation and return the manifest that was written. A failure leaves no shard behind.

    Raises:
        UsageError: the options contradict each other, or the folder holds shards already.
        DataError: an input cannot be used, nothing is left to train on, or the folder cannot be written.
    """
    _check(plan)
    collection = collect(plan)
    splits = split(collection.documents, plan)
    tokenizer = _tokenizer(plan, splits)
    manifest = {
        "format": MANIFEST_FORMAT,
        "tokenizer": _tokenizer_entry(tokenizer),
        "options": _options(plan),
        "sources": collection.sources,
        "left_out": {
            "duplicates": collection.duplicates,
            "excluded": collection.excluded,
            "empty": collection.empty,
        },
    }
    try:
        _write(plan, splits, tokenizer, manifest)
    except BaseException:
        for name in SPLITS:
            for path in (*plan.out.glob(f"{name}_*.bin"), plan.out / f"{name}_documents.txt"):
                path.unlink(missing_ok=True)
        raise
    return manifest


def _write(plan: Plan, splits: Splits, tokenizer: SentencePieceTokenizer, manifest: dict[str, Any]) -> None:
    """Write everything, the manifest last: a folder with a manifest is complete."""
    manifest["splits"] = {name: _write_split(plan, name, getattr(splits, name), tokenizer) for name in SPLITS}
    if plan.holdout:
        manifest["holdout"] = _write_holdout(plan.holdout, splits.holdout)
    write_atomically(plan.out / TOKENIZER_FILE, [tokenizer.model_bytes])
    write_atomically(plan.out / MANIFEST_FILE, [json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"])


def _check(plan: Plan) -> None:
    if STANDARD_INPUT in (*plan.inputs, *plan.exclude, *plan.tokenizer_text):
        raise UsageError("data prepare reads files, because its manifest names them; write standard input to a file.")
    if (plan.tokenizer is None) == (plan.train_vocab is None):
        raise UsageError("Give either --tokenizer FILE or --train-tokenizer VOCAB (for example 2048).")
    if plan.train_vocab is not None and not 300 <= plan.train_vocab <= MAX_VOCAB:
        raise UsageError(
            f"--train-tokenizer {plan.train_vocab}: choose between 300 (256 bytes and a little) and {MAX_VOCAB}."
        )
    if plan.tokenizer_text and plan.train_vocab is None:
        raise UsageError("--tokenizer-text adds text to the training of a tokenizer; it needs --train-tokenizer VOCAB.")
    if not 0.0 <= plan.val_fraction < 1.0:
        raise UsageError(f"--val-fraction {plan.val_fraction}: choose a fraction from 0 to below 1, for example 0.03.")
    if any(path for name in SPLITS for path in plan.out.glob(f"{name}_*.bin")):
        raise UsageError(f"{plan.out} holds shards already. Choose another --out folder, or remove that one first.")


def _tokenizer(plan: Plan, splits: Splits) -> SentencePieceTokenizer:
    if plan.tokenizer is not None:
        return SentencePieceTokenizer.load(plan.tokenizer)
    assert plan.train_vocab is not None
    extra = [text for path in plan.tokenizer_text for text in read_texts(path, plan)]
    return train_tokenizer([*(document.text for document in splits.train), *extra], plan.train_vocab)


def _encoded(documents: Sequence[Document], tokenizer: Tokenizer, plan: Plan) -> Iterator[TokenIds]:
    """Token ids of every document, BOS first; a document that the tokenizer would change is refused."""
    bos = np.array([tokenizer.bos_id], dtype=np.int32)
    for document in documents:
        ids = tokenizer.encode(document.text)
        if not plan.normalise:
            _refuse_unless_whole(document, ids, tokenizer)
        yield np.concatenate([bos, ids])


def _refuse_unless_whole(document: Document, ids: TokenIds, tokenizer: Tokenizer) -> None:
    try:
        refuse_changed(document.text, ids, tokenizer, f"document {document.text[:40]!r}")
    except DataError as error:
        raise DataError(f"{error} To train on the text as it rewrites it, say --normalise.") from None


def _write_split(
    plan: Plan, name: str, documents: Sequence[Document], tokenizer: SentencePieceTokenizer
) -> dict[str, Any]:
    shards = write_shards(plan.out, name, _encoded(documents, tokenizer, plan), plan.shard_tokens)
    listing = "".join(f"{document.fingerprint}\n" for document in documents).encode()
    hashes = plan.out / f"{name}_documents.txt"
    write_atomically(hashes, [listing])
    return {
        "documents": len(documents),
        "text_bytes": sum(document.size for document in documents),
        "tokens": sum(shard.tokens for shard in shards),
        "shards": [_shard_entry(shard, tokenizer) for shard in shards],
        "document_hashes": {"file": hashes.name, "sha256": hashlib.sha256(listing).hexdigest()},
    }


def _shard_entry(shard: ShardFile, tokenizer: Tokenizer) -> dict[str, Any]:
    """``text_bytes`` are those that the tokens add to the text: the documents' own, unless they were rewritten."""
    tokens = read_shard(shard.path, tokenizer.vocab_size)
    return {
        "file": shard.path.name,
        "tokens": shard.tokens,
        "bytes": shard.path.stat().st_size,
        "sha256": sha256_of(shard.path),
        "text_bytes": int(byte_lengths(tokens, tokenizer).sum(dtype=np.int64)),
    }


def _write_holdout(path: Path, documents: Sequence[Document]) -> dict[str, Any]:
    lines = [json.dumps({"text": document.text}, ensure_ascii=False).encode() + b"\n" for document in documents]
    write_atomically(path, lines)
    return {
        "file": path.name,
        "documents": len(documents),
        "text_bytes": sum(document.size for document in documents),
        "sha256": hashlib.sha256(b"".join(lines)).hexdigest(),
    }


def _tokenizer_entry(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    return {
        "file": TOKENIZER_FILE,
        "sha256": tokenizer.sha256,
        "vocab_size": tokenizer.vocab_size,
        "bos_id": tokenizer.bos_id,
        "lossless": tokenizer.lossless,
    }


def _options(plan: Plan) -> dict[str, Any]:
    """The options that shape the outcome, with file names instead of paths, so that a manifest names no machine."""
    return {
        "train_tokenizer": plan.train_vocab,
        "tokenizer_text": [path.name for path in plan.tokenizer_text],
        "exclude": [path.name for path in plan.exclude],
        "text_field": plan.text_field,
        "split_chars": plan.split_chars,
        "unix_newlines": plan.unix_newlines,
        "normalise": plan.normalise,
        "val_fraction": plan.val_fraction,
        "val_max_bytes": plan.val_max_bytes,
        "holdout_bytes": plan.holdout_bytes if plan.holdout else None,
        "shard_tokens": plan.shard_tokens,
    }
