"""Which documents are prepared, and which split each goes to.

The files that ``evaladapt data prepare`` is given become documents, without duplicates and without the texts that must
stay unseen; then every document goes to exactly one split by the rank of its fingerprint. Nothing depends on the clock,
the machine or the order of a folder. What is chosen here is written by :mod:`evaladapt.data.prepare`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaladapt.data.overlap import fingerprint
from evaladapt.data.reading.opening import sha256_of
from evaladapt.data.text import TextFile, split_document, unix_newlines
from evaladapt.errors import DataError


@dataclass(frozen=True)
class Plan:
    """What to prepare. Sizes are bytes of UTF-8 text unless they say otherwise."""

    inputs: tuple[Path, ...]
    out: Path
    tokenizer: Path | None = None
    train_vocab: int | None = None
    tokenizer_text: tuple[Path, ...] = ()
    exclude: tuple[Path, ...] = ()
    text_field: str | None = None
    split_chars: int | None = None
    unix_newlines: bool = False
    normalise: bool = False
    val_fraction: float = 0.03
    val_max_bytes: int = 300_000
    holdout: Path | None = None
    holdout_bytes: int = 300_000
    shard_tokens: int = 100_000_000


@dataclass(frozen=True)
class Document:
    """One document, its fingerprint, its UTF-8 bytes, and whether it is a piece of a longer text."""

    text: str
    fingerprint: str
    size: int
    piece: bool

    @classmethod
    def of(cls, text: str, *, piece: bool) -> Document:
        """The document of a text."""
        return cls(text, fingerprint(text), len(text.encode("utf-8")), piece)


@dataclass
class Collection:
    """The documents of all inputs, and what was left out on the way."""

    documents: list[Document] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    excluded: int = 0
    empty: int = 0


@dataclass(frozen=True)
class Splits:
    """Every document in exactly one list; the order within a list is that of the inputs."""

    train: list[Document]
    val: list[Document]
    holdout: list[Document]


def collect(plan: Plan) -> Collection:
    """Read all inputs; leave out documents met before and documents of the texts to exclude."""
    unseen = _unseen(plan)
    collection, met = Collection(), set[str]()
    for path in plan.inputs:
        before = len(collection.documents)
        file = TextFile(path, plan.text_field)
        for text in _texts(file, plan):
            pieces = _pieces(text, file, plan)
            if fingerprint(text) in unseen:
                collection.excluded += len(pieces)
                continue
            for document in pieces:
                if document.fingerprint in unseen:
                    collection.excluded += 1
                elif document.fingerprint in met:
                    collection.duplicates += 1
                else:
                    met.add(document.fingerprint)
                    collection.documents.append(document)
        collection.empty += file.empty
        collection.sources.append(_source_entry(path, len(collection.documents) - before))
    return collection


def _source_entry(path: Path, documents: int) -> dict[str, Any]:
    size = path.stat().st_size
    return {"file": path.name, "sha256": sha256_of(path), "bytes": size, "documents": documents}


def _pieces(text: str, file: TextFile, plan: Plan) -> list[Document]:
    """The documents that one text of a file becomes: itself, or its pieces where texts are split."""
    if plan.split_chars is None or not file.holds_one:
        return [Document.of(text, piece=False)]
    return [Document.of(piece, piece=True) for piece in split_document(text, plan.split_chars)]


def _unseen(plan: Plan) -> set[str]:
    """Fingerprints of the texts to exclude, whole and in the pieces that they would be split into."""
    marks = set[str]()
    for path in plan.exclude:
        file = TextFile(path, plan.text_field)
        for text in _texts(file, plan):
            marks.add(fingerprint(text))
            marks.update(document.fingerprint for document in _pieces(text, file, plan))
    return marks


def read_texts(path: Path, plan: Plan) -> list[str]:
    """The texts of a file, tidied as the plan says."""
    return list(_texts(TextFile(path, plan.text_field), plan))


def _texts(file: TextFile, plan: Plan) -> Iterator[str]:
    for blocks in file.documents():
        text = "".join(blocks)
        yield unix_newlines(text) if plan.unix_newlines else text


def split(documents: Sequence[Document], plan: Plan) -> Splits:
    """Give every document to one split, the lowest fingerprints first to the holdout, then to validation.

    Only whole documents are held out, because the neighbour of a piece stays in training.
    """
    ranked = sorted(documents, key=lambda document: document.fingerprint)
    total = sum(document.size for document in documents)
    whole = [document for document in ranked if not document.piece]
    holdout = _take(whole, plan.holdout_bytes) if plan.holdout else set[str]()
    if plan.holdout and not holdout:
        raise DataError(
            "Nothing to hold out: --holdout takes whole documents (of .jsonl files, or of .txt files not split)."
        )
    left = [document for document in ranked if document.fingerprint not in holdout]
    most = min(int(plan.val_fraction * total), plan.val_max_bytes)
    val = _take(left, most)
    if plan.val_fraction and not val:
        raise DataError(_none_for_validation(left, most, plan))
    train = [d for d in documents if d.fingerprint not in holdout and d.fingerprint not in val]
    if not train:
        raise DataError(
            "No document is left for training. Give more text, or lower --val-fraction and --holdout-bytes."
        )
    return Splits(
        train,
        [document for document in documents if document.fingerprint in val],
        [document for document in documents if document.fingerprint in holdout],
    )


def _none_for_validation(documents: Sequence[Document], most: int, plan: Plan) -> str:
    smallest = min((document.size for document in documents), default=0)
    shorter = "give more text" if plan.split_chars else "cut long texts with --split-chars"
    return (
        f"No document is small enough for a validation share of {plan.val_fraction:.1%}: it is {most:,} bytes, and "
        f"the smallest of {len(documents):,} different documents has {smallest:,}. Raise --val-fraction, {shorter}, or "
        "give --val-fraction 0."
    )


def _take(ranked: Sequence[Document], size: int) -> set[str]:
    """Fingerprints of documents in rank order that together stay within ``size``; one that does not fit is passed
    over."""
    taken, used = set[str](), 0
    for document in ranked:
        if used + document.size <= size:
            taken.add(document.fingerprint)
            used += document.size
    return taken
