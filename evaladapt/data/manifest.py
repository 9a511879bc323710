"""The manifest beside prepared shards: which tokenizer wrote them, from which files, and the fingerprints of their
documents.

Written by :mod:`evaladapt.data.prepare`; read wherever shards are used, to notice another tokenizer, files that were
changed since, and a text to be scored that was trained on. Shards without a manifest (the contest's own) are read
without these checks.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from evaladapt.data.overlap import refuse_overlap
from evaladapt.data.text import read_bytes, read_documents
from evaladapt.errors import DataError

MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = "evaladapt-shards-1"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards.

    Raises:
        DataError: missing, or not a manifest of this format.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(read_bytes(path))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
        raise DataError(f"{path} is no manifest of shards ({MANIFEST_FORMAT}). Write one with: evaladapt data prepare")
    return manifest


def refuse_other_tokenizer(shard: Path, tokenizer_sha256: str) -> None:
    """Refuse a shard whose manifest names another tokenizer; a shard without a manifest passes.

    Raises:
        DataError: names both hashes.
    """
    if not (shard.parent / MANIFEST_FILE).exists():
        return
    manifest = read_manifest(shard.parent)
    if not any(entry["file"] == shard.name for split in manifest["splits"].values() for entry in split["shards"]):
        return
    written = manifest["tokenizer"]["sha256"]
    if written != tokenizer_sha256:
        raise DataError(
            f"{shard}: wrong tokenizer for the shards. {MANIFEST_FILE} names the tokenizer {written[:12]} "
            f"({shard.parent / manifest['tokenizer']['file']}), the one in use is {tokenizer_sha256[:12]}."
        )


def train_fingerprints(folder: Path) -> list[str]:
    """Fingerprints of the training documents of a folder of shards.

    Raises:
        DataError: no manifest, or the list was changed since it was written.
    """
    entry = read_manifest(folder)["splits"]["train"]["document_hashes"]
    path = folder / entry["file"]
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise DataError(f"{path} is not the list that {MANIFEST_FILE} describes. Run evaladapt data prepare again.")
    return data.decode("ascii").split()


def refuse_trained_text(folder: Path, text: Path) -> int:
    """Refuse a text of which a document was trained on; returns how many documents were compared.

    Raises:
        DataError: a document overlaps, or one of the files cannot be used.
    """
    documents = read_documents(text)
    refuse_overlap(train_fingerprints(folder), documents, str(text))
    return len(documents)
