"""The manifest beside prepared shards: which tokenizer wrote them, from which files, and the fingerprints of their
documents.

Written by :mod:`evaladapt.data.prepare`; read wherever shards are used, to notice another tokenizer, files that were
changed since, and a text to be scored that was trained on. Shards without a manifest (the contest's own) are read
without these checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaladapt.data.overlap import refuse_overlap
from evaladapt.data.text import read_bytes, read_documents
from evaladapt.errors import DataError
from evaladapt.system.strict_json import Fields, Malformed, read_json, shown

MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = "evaladapt-shards-1"
SPLITS = ("train", "val")


@dataclass(frozen=True)
class ShardEntry:
    """One shard: how many tokens, how long the file is, and the bytes that its tokens add to the text."""

    file: str
    tokens: int
    bytes: int
    sha256: str
    text_bytes: int


@dataclass(frozen=True)
class Split:
    """The shards of one split and the bytes of its documents before any tokenizer rewrote them."""

    text_bytes: int
    shards: tuple[ShardEntry, ...]
    fingerprints_file: str
    fingerprints_sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is read of a manifest."""

    path: Path
    tokenizer_file: str
    tokenizer_sha256: str
    splits: Mapping[str, Split]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        DataError: missing, not a manifest of this format, or a field is missing or of another kind.
    """
    path = folder / MANIFEST_FILE
    try:
        fields = Fields(read_json(path), str(path))
        fields.text("format", [MANIFEST_FORMAT])
    except Malformed as error:
        raise DataError(
            f"{path} is no manifest of shards ({MANIFEST_FORMAT}). Write one with: evaladapt data prepare ({error})"
        ) from error
    tokenizer, splits = fields.fields("tokenizer"), fields.fields("splits")
    return Manifest(
        path=path,
        tokenizer_file=_file(tokenizer, path),
        tokenizer_sha256=tokenizer.text("sha256"),
        splits={name: _split(splits.fields(name), path) for name in SPLITS if name in splits},
    )


def _split(fields: Fields, path: Path) -> Split:
    hashes = fields.fields("document_hashes")
    return Split(
        text_bytes=fields.whole("text_bytes"),
        shards=tuple(_shard(entry, path) for entry in fields.fields_of_each("shards")),
        fingerprints_file=_file(hashes, path),
        fingerprints_sha256=hashes.text("sha256"),
    )


def _shard(fields: Fields, path: Path) -> ShardEntry:
    counts = {name: fields.whole(name) for name in ("tokens", "bytes", "text_bytes")}
    return ShardEntry(file=_file(fields, path), sha256=fields.text("sha256"), **counts)


def _file(fields: Fields, path: Path) -> str:
    """The name of a file beside the manifest, which leads nowhere else."""
    name = fields.text("file")
    if name in ("", ".", "..") or set(name) & {"/", "\\", "\0"}:
        raise DataError(f"{path} is damaged: {shown(name)} is not the name of a file beside it.")
    return name


def split_of(shard: Path) -> tuple[Manifest, Split] | None:
    """The manifest beside a shard and the split that the shard belongs to; None where no manifest speaks for it.

    Raises:
        DataError: there is a manifest and it cannot be read.
    """
    if not (shard.parent / MANIFEST_FILE).exists():
        return None
    manifest = read_manifest(shard.parent)
    for split in manifest.splits.values():
        if any(entry.file == shard.name for entry in split.shards):
            return manifest, split
    return None


def train_fingerprints(folder: Path) -> list[str]:
    """Fingerprints of the training documents of a folder of shards.

    Raises:
        DataError: no manifest, or the list was changed since it was written.
    """
    split = read_manifest(folder).splits.get("train")
    if split is None:
        raise DataError(f"{folder / MANIFEST_FILE} names no training documents. Run evaladapt data prepare again.")
    path = folder / split.fingerprints_file
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != split.fingerprints_sha256:
        raise DataError(f"{path} is not the list that {MANIFEST_FILE} describes. Run evaladapt data prepare again.")
    return data.decode("ascii", errors="replace").split()


def refuse_trained_text(folder: Path, text: Path, text_field: str | None = None) -> int:
    """Refuse a text of which a document was trained on; returns how many documents were compared.

    Raises:
        DataError: a document overlaps, or one of the files cannot be used.
    """
    documents = read_documents(text, text_field)
    refuse_overlap(train_fingerprints(folder), documents, str(text))
    return len(documents)
