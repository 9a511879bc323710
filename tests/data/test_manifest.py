from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaladapt.data.manifest import read_manifest, refuse_trained_text, train_fingerprints
from evaladapt.data.overlap import fingerprint
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.data.shard_stream import stream_from_shards
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError
from tests.data.models import other_tokenizer

DOCUMENTS = [f"A sentence about the number {number}." for number in range(30)]


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """Prepared shards."""
    paths = [tmp_path / f"{number}.txt" for number in range(len(DOCUMENTS))]
    for path, text in zip(paths, DOCUMENTS, strict=True):
        path.write_text(text)
    model = tmp_path / "small.model"
    model.write_bytes(tokenizer.model_bytes)
    prepare(Plan(tuple(paths), tmp_path / "out", tokenizer=model, val_fraction=0.2))
    return tmp_path / "out"


def test_a_text_that_was_trained_on_is_refused(folder: Path, tmp_path: Path) -> None:
    trained = next(text for text in DOCUMENTS if fingerprint(text) in train_fingerprints(folder))
    unseen = next(text for text in DOCUMENTS if fingerprint(text) not in train_fingerprints(folder))
    (tmp_path / "seen.txt").write_text(trained + "\n")
    (tmp_path / "unseen.txt").write_text(unseen)
    with pytest.raises(DataError, match=r"1 of the 1 documents of .*seen\.txt"):
        refuse_trained_text(folder, tmp_path / "seen.txt")
    assert refuse_trained_text(folder, tmp_path / "unseen.txt") == 1


def test_a_changed_list_of_documents_is_noticed(folder: Path) -> None:
    listing = folder / "train_documents.txt"
    listing.write_bytes(listing.read_bytes()[65:])
    with pytest.raises(DataError, match="is not the list that"):
        train_fingerprints(folder)


def test_another_tokenizer_than_the_manifest_names_is_refused(folder: Path, tokenizer: Tokenizer) -> None:
    shard = folder / "val_000000.bin"
    assert stream_from_shards([shard], tokenizer).n_documents > 1
    with pytest.raises(DataError, match=rf"wrong tokenizer for the shards.*{tokenizer.sha256[:12]}"):
        stream_from_shards([shard], other_tokenizer(vocab_size=300))


def test_a_manifest_does_not_speak_for_shards_that_it_does_not_list(folder: Path, tokenizer: Tokenizer) -> None:
    manifest = {"format": "evaladapt-shards-1", "splits": {}, "tokenizer": {"sha256": "x", "file": "x.model"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert stream_from_shards([folder / "val_000000.bin"], tokenizer).targets > 1


@pytest.mark.parametrize("content", ["[]", "{", '{"format": "other"}', "\x00"])
def test_a_file_that_is_no_manifest_is_a_data_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="is no manifest of shards"):
        read_manifest(tmp_path)
