from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaladapt.data.default_text import default_documents
from evaladapt.data.overlap import fingerprint
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.data.shard_stream import stream_from_shards
from evaladapt.data.stream import documents_from_tokens
from evaladapt.data.text import read_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import DataError, EvaladaptError, UsageError
from tests.data.models import other_tokenizer


def write_lines(path: Path, documents: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    return path


@pytest.fixture
def plan(tmp_path: Path, tokenizer: Tokenizer) -> Plan:
    """Paragraphs of the default text as documents, and the small tokenizer."""
    paragraphs = [part for topic in default_documents()[:4] for part in topic.split("\n\n") if part]
    source = write_lines(tmp_path / "web.jsonl", paragraphs)
    (tmp_path / "small.model").write_bytes(tokenizer.model_bytes)
    return Plan((source,), tmp_path / "out", tokenizer=tmp_path / "small.model", val_fraction=0.2)


def written(plan: Plan, split: str) -> list[str]:
    """The documents of a split, read back from its shards."""
    tokenizer = SentencePieceTokenizer.load(plan.out / "tokenizer.model")
    stream = stream_from_shards(sorted(plan.out.glob(f"{split}_*.bin")), tokenizer)
    return [document.decode() for document in documents_from_tokens(stream.tokens, tokenizer)]


def test_every_document_lands_in_exactly_one_split(plan: Plan, tmp_path: Path) -> None:
    plan = replace(plan, holdout=tmp_path / "held.jsonl", holdout_bytes=2000)
    manifest = prepare(plan)
    splits = [written(plan, "train"), written(plan, "val"), read_documents(tmp_path / "held.jsonl")]
    documents = {fingerprint(text): text for text in reversed(read_documents(plan.inputs[0]))}
    assert sorted(text for split in splits for text in split) == sorted(documents.values())
    assert manifest["holdout"]["text_bytes"] == sum(len(text.encode()) for text in splits[2]) <= 2000
    total = sum(len(text.encode()) for text in documents.values())
    assert 0 < manifest["splits"]["val"]["text_bytes"] <= 0.2 * total


def test_the_manifest_counts_and_hashes_what_is_there(plan: Plan) -> None:
    manifest = prepare(replace(plan, shard_tokens=1500))
    assert manifest == json.loads((plan.out / "manifest.json").read_text())
    assert manifest["tokenizer"]["sha256"] == hashlib.sha256((plan.out / "tokenizer.model").read_bytes()).hexdigest()
    assert manifest["sources"][0]["sha256"] == hashlib.sha256(plan.inputs[0].read_bytes()).hexdigest()
    for name, split in manifest["splits"].items():
        documents = written(plan, name)
        assert split["documents"] == len(documents)
        assert split["text_bytes"] == sum(len(document.encode()) for document in documents)
        assert split["tokens"] == sum(shard["tokens"] for shard in split["shards"])
        for shard in split["shards"]:
            assert shard["sha256"] == hashlib.sha256((plan.out / shard["file"]).read_bytes()).hexdigest()
        listing = (plan.out / split["document_hashes"]["file"]).read_bytes()
        assert listing.decode().split() == [fingerprint(document) for document in documents]
        assert hashlib.sha256(listing).hexdigest() == split["document_hashes"]["sha256"]
    assert len(manifest["splits"]["train"]["shards"]) > 1


def test_the_same_inputs_give_the_same_bytes(plan: Plan, tmp_path: Path) -> None:
    plan = replace(plan, tokenizer=None, train_vocab=400)
    again = replace(plan, out=tmp_path / "again")
    prepare(plan)
    prepare(again)
    files = sorted(path.name for path in plan.out.iterdir())
    assert files == sorted(path.name for path in again.out.iterdir())
    assert all((plan.out / name).read_bytes() == (again.out / name).read_bytes() for name in files)


def test_duplicates_and_excluded_documents_are_left_out_and_counted(plan: Plan, tmp_path: Path) -> None:
    documents = [f"document number {number}" for number in range(40)]
    source = write_lines(tmp_path / "a.jsonl", [*documents, "document  number\n3"])
    unseen = write_lines(tmp_path / "unseen.jsonl", ["document number 5 ", "something else"])
    plan = replace(plan, inputs=(source,), exclude=(unseen,))
    assert prepare(plan)["left_out"] == {"duplicates": 1, "excluded": 1, "empty": 0}
    assert sorted(written(plan, "train") + written(plan, "val")) == sorted(set(documents) - {"document number 5"})


@pytest.mark.parametrize("as_lines", [True, False], ids=["the whole text", "the same file"])
def test_a_text_is_excluded_although_it_is_split(plan: Plan, tmp_path: Path, as_lines: bool) -> None:
    novel, other = tmp_path / "novel.txt", tmp_path / "other.txt"
    novel.write_text("".join(f"line {number} of the novel\n" for number in range(60)))
    other.write_text("".join(f"line {number} of another\n" for number in range(60)))
    unseen = write_lines(tmp_path / "unseen.jsonl", [novel.read_text()]) if as_lines else novel
    plan = replace(plan, inputs=(novel, other), exclude=(unseen,), split_chars=200)
    assert prepare(plan)["left_out"]["excluded"] > 1
    assert not any("novel" in text for text in written(plan, "train") + written(plan, "val"))


def test_split_texts_join_to_the_tidied_text(plan: Plan, tmp_path: Path) -> None:
    novel = tmp_path / "novel.txt"
    novel.write_bytes("\ufeff".encode() + b"".join(b"line %d of it\r\n" % number for number in range(60)))
    plan = replace(plan, inputs=(novel,), split_chars=100, unix_newlines=True, val_fraction=0.0)
    manifest = prepare(plan)
    assert "".join(written(plan, "train")) == "".join(f"line {number} of it\n" for number in range(60))
    assert manifest["splits"]["val"]["documents"] == 0


def test_a_text_of_one_line_is_split_and_no_advice_goes_in_circles(plan: Plan, tmp_path: Path) -> None:
    source = tmp_path / "one.txt"
    source.write_text(" ".join(f"word{number}" for number in range(3000)))
    plan = replace(plan, inputs=(source,), split_chars=200)
    assert prepare(plan)["splits"]["val"]["documents"] > 5
    source.write_text("words and " * 2000)
    with pytest.raises(
        DataError, match=r"smallest of 1 different documents has 200\. Raise --val-fraction, give more text"
    ):
        prepare(replace(plan, out=tmp_path / "again"))


def test_empty_documents_are_counted(plan: Plan) -> None:
    plan.inputs[0].write_text(plan.inputs[0].read_text() + '{"text": ""}\n')
    assert prepare(plan)["left_out"]["empty"] == 1


def test_standard_input_and_named_fields(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its manifest names them"):
        prepare(replace(plan, inputs=(Path("-"),)))
    source = tmp_path / "body.ndjson"
    source.write_text("".join(json.dumps({"body": f"number {number}"}) + "\n" for number in range(40)))
    manifest = prepare(replace(plan, inputs=(source,), text_field="body"))
    assert manifest["options"]["text_field"] == "body"
    assert manifest["sources"][0]["documents"] == 40


def test_pieces_of_a_text_are_not_held_out(plan: Plan, tmp_path: Path) -> None:
    novel = tmp_path / "novel.txt"
    novel.write_text("".join(f"line {number}\n" for number in range(60)))
    plan = replace(plan, inputs=(novel,), split_chars=100, holdout=tmp_path / "held.jsonl")
    with pytest.raises(DataError, match="Nothing to hold out"):
        prepare(plan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": None}, "--tokenizer FILE or --train-tokenizer"),
        ({"train_vocab": 400}, "--tokenizer FILE or --train-tokenizer"),
        ({"tokenizer": None, "train_vocab": 100}, "--train-tokenizer 100"),
        ({"tokenizer_text": (Path("a.txt"),)}, "needs --train-tokenizer"),
        ({"val_fraction": 1.0}, "--val-fraction 1.0"),
        ({"val_fraction": 0.0001}, "No document is small enough"),
        ({"holdout": Path("held.jsonl"), "holdout_bytes": 10**9}, "No document"),
        ({"inputs": (Path("gone.txt"),)}, "No file gone.txt"),
    ],
)
def test_bad_plans_leave_no_file(plan: Plan, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaladaptError, match=message):
        prepare(replace(plan, **changes))
    assert not plan.out.exists()


def test_a_folder_with_shards_is_not_written_over(plan: Plan) -> None:
    prepare(plan)
    before = {path.name: path.read_bytes() for path in plan.out.iterdir()}
    with pytest.raises(UsageError, match="holds shards already"):
        prepare(replace(plan, val_fraction=0.1))
    assert before == {path.name: path.read_bytes() for path in plan.out.iterdir()}


def test_a_disk_that_fills_up_on_the_way_leaves_no_shard(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        prepare(plan)
    assert not list(plan.out.iterdir())


def test_a_tokenizer_that_rewrites_text_needs_a_word(plan: Plan, tmp_path: Path) -> None:
    lossy = tmp_path / "lossy.model"
    lossy.write_bytes(other_tokenizer().model_bytes)
    source = write_lines(tmp_path / "a.jsonl", [f"the  cat {number}" for number in range(9)])
    plan = replace(plan, inputs=(source,), tokenizer=lossy)
    with pytest.raises(DataError, match=r"rewrites the text.*--normalise"):
        prepare(plan)
    assert not list(plan.out.glob("*"))
    prepare(replace(plan, normalise=True))
    assert "the cat 1" in written(plan, "train") + written(plan, "val")
