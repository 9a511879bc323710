"""Shards against their manifest, their sidecars and a limit."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaladapt.data.building import stream_from_documents
from evaladapt.data.load import load_stream, remarks
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.data.shard_stream import stream_from_shards
from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import DataError, UsageError
from tests.data.models import other_tokenizer

DOCUMENTS = [f"A sentence about the number {number}." for number in range(30)]


@pytest.fixture
def plan(tmp_path: Path, tokenizer: SentencePieceTokenizer) -> Plan:
    source = tmp_path / "web.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    (tmp_path / "small.model").write_bytes(tokenizer.model_bytes)
    return Plan((source,), tmp_path / "out", tokenizer=tmp_path / "small.model", val_fraction=0.2, shard_tokens=300)


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def shards_of(plan: Plan, split: str) -> list[Path]:
    return sorted(plan.out.glob(f"{split}_0*.bin"))


def test_shards_agree_with_their_manifest_and_say_what_came_from_where(plan: Plan, tokenizer: Tokenizer) -> None:
    manifest = prepare(plan)
    shards = shards_of(plan, "train")
    assert len(shards) > 1
    stream = stream_from_shards(shards, tokenizer)
    entries = manifest["splits"]["train"]["shards"]
    assert [source.text_bytes for source in stream.sources] == [entry["text_bytes"] for entry in entries]
    assert stream.raw_bytes == stream.text_bytes == manifest["splits"]["train"]["text_bytes"]
    assert sum(source.documents for source in stream.sources) == manifest["splits"]["train"]["documents"]
    assert not stream.limited


def test_a_shard_that_was_changed_is_refused(plan: Plan, tokenizer: Tokenizer) -> None:
    prepare(plan)
    shard = shards_of(plan, "val")[0]
    data = bytearray(shard.read_bytes())
    data[-2:], data[-4:-2] = data[-4:-2], data[-2:]
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"was changed since manifest\.json was written"):
        stream_from_shards([shard], tokenizer)


def test_bytes_other_than_the_manifests_are_refused(plan: Plan, tokenizer: Tokenizer) -> None:
    prepare(plan)

    def one_more(content: dict[str, Any]) -> None:
        content["splits"]["val"]["shards"][0]["text_bytes"] += 1

    edit(plan.out / "manifest.json", one_more)
    with pytest.raises(DataError, match=r"its tokens count .* bytes, and the manifest beside it says"):
        stream_from_shards(shards_of(plan, "val"), tokenizer)


def test_a_text_that_was_rewritten_says_how_long_it_was(plan: Plan, tmp_path: Path) -> None:
    other = other_tokenizer()
    (tmp_path / "lossy.model").write_bytes(other.model_bytes)
    source = tmp_path / "spaces.jsonl"
    source.write_text("".join(json.dumps({"text": f"the  cat {number}  "}) + "\n" for number in range(9)))
    plan = replace(plan, inputs=(source,), tokenizer=tmp_path / "lossy.model", normalise=True, val_fraction=0.0)
    manifest = prepare(plan)
    stream = stream_from_shards(shards_of(plan, "train"), other)
    assert stream.raw_bytes == 9 * 12
    assert stream.text_bytes == 9 * 9 == sum(s["text_bytes"] for s in manifest["splits"]["train"]["shards"])


def test_a_tokenizer_without_a_space_does_not_pass_for_lossless(plan: Plan, tmp_path: Path) -> None:
    identity = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}
    spaceless = other_tokenizer("thecatsatonthematandthedog" * 3, **identity, vocab_size=280)
    (tmp_path / "spaceless.model").write_bytes(spaceless.model_bytes)
    plan = replace(plan, tokenizer=tmp_path / "spaceless.model")
    with pytest.raises(DataError, match="rewrites the text"):
        prepare(plan)
    manifest = prepare(replace(plan, normalise=True))
    assert not manifest["tokenizer"]["lossless"]
    stream = stream_from_shards(shards_of(plan, "train"), spaceless)
    assert stream.raw_bytes == manifest["splits"]["train"]["text_bytes"] < stream.text_bytes


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_documents_without_text_are_a_data_error(tmp_path: Path, tokenizer: Tokenizer, limit: int | None) -> None:
    bos = tokenizer.bos_id
    empty = write_shard(tmp_path / "empty.bin", np.array([bos] * 5)).path
    with pytest.raises(DataError, match=r"empty\.bin hold(s no token to score| no text)"):
        stream_from_shards([empty], tokenizer, limit=limit)
    single = write_shard(tmp_path / "single.bin", np.array([bos])).path
    with pytest.raises(DataError, match=r"single\.bin holds no token to score"):
        stream_from_shards([single], tokenizer, limit=limit)


def test_a_limit_inside_empty_documents_says_where_the_text_begins(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokens = [tokenizer.bos_id] * 3 + tokenizer.encode("text").tolist()
    shard = write_shard(tmp_path / "a.bin", np.array(tokens)).path
    with pytest.raises(DataError, match="--limit-tokens 3 or more"):
        stream_from_shards([shard], tokenizer).limit(2)
    with pytest.raises(DataError, match=r"first 1 targets of a\.bin hold no text.*Raise --limit-tokens"):
        stream_from_shards([shard], tokenizer, limit=1)
    assert stream_from_shards([shard], tokenizer, limit=3).text_bytes > 0


@pytest.mark.parametrize("suffix", [".bin", ".BIN"])
def test_a_limited_shard_is_the_beginning_and_the_rest_is_not_looked_at(
    tmp_path: Path, tokenizer: Tokenizer, suffix: str
) -> None:
    tokens = stream_from_documents(DOCUMENTS, tokenizer, "made").tokens
    whole = write_shard(tmp_path / f"whole{suffix}", tokens).path
    tail = np.concatenate([tokens, np.full(50, 65_535)])
    foreign = write_shard(tmp_path / f"foreign{suffix}", tail).path
    wanted = stream_from_shards([whole], tokenizer, "made").limit(40)
    limited = load_stream([foreign, tmp_path / "nothing.bin"], tokenizer, limit_tokens=40)
    assert limited.limited
    assert limited.tokens.tolist() == wanted.tokens.tolist()
    assert (limited.text_sha256, limited.text_bytes) == (wanted.text_sha256, wanted.text_bytes)
    with pytest.raises(DataError, match="wrong tokenizer"):
        stream_from_shards([foreign], tokenizer)


def test_a_limited_shard_may_begin_inside_a_document(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokens = stream_from_documents(DOCUMENTS, tokenizer, "made").tokens[1:]
    shard = write_shard(tmp_path / "second.bin", tokens).path
    assert load_stream([shard], tokenizer, limit_tokens=3).tokens.tolist() == [tokenizer.bos_id, *tokens[:3].tolist()]


def test_a_long_document_in_a_shard_takes_at_most_twelve_bytes_a_byte(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokens = stream_from_documents(["A sentence of the text, and one more.\n" * 80_000], tokenizer, "made").tokens
    shard = write_shard(tmp_path / "long.bin", tokens).path
    del tokens
    tracemalloc.start()
    try:
        stream = stream_from_shards([shard], tokenizer)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 12 * stream.text_bytes


@pytest.fixture
def with_sidecar(tmp_path: Path, tokenizer: Tokenizer) -> tuple[Path, np.ndarray]:
    """A shard whose sidecar takes a byte off every third token that has more than one."""
    stream = stream_from_documents(DOCUMENTS[:5], tokenizer, "made")
    counts = stream.byte_lengths.copy()
    counts[::3] = np.maximum(counts[::3] - 1, 0)
    write_shard(tmp_path / "fineweb_val_bytes_000000.bin", counts)
    return write_shard(tmp_path / "fineweb_val_000000.bin", stream.tokens).path, counts


def test_a_sidecar_gives_the_bytes(with_sidecar: tuple[Path, np.ndarray], tokenizer: Tokenizer) -> None:
    shard, counts = with_sidecar
    paths = sorted(shard.parent.glob("fineweb_val_*.bin"))
    assert len(paths) == 2
    for named in ([shard], paths):
        stream = load_stream(named, tokenizer)
        assert stream.byte_lengths.tolist() == counts.tolist()
        assert stream.text_bytes == int(counts.sum())
        assert stream.bytes_from == "fineweb_val_bytes_000000.bin"
        assert any("sidecar" in line for line in remarks(stream))
    cut = load_stream([shard], tokenizer, limit_tokens=30)
    assert cut.byte_lengths.tolist() == counts[:31].tolist()
    assert cut.text_bytes == int(counts[:31].sum())


def test_a_sidecar_alone_of_another_shard_or_with_bytes_for_bos_is_refused(
    with_sidecar: tuple[Path, np.ndarray], tokenizer: Tokenizer
) -> None:
    shard, counts = with_sidecar
    sidecar = shard.with_name("fineweb_val_bytes_000000.bin")
    with pytest.raises(UsageError, match=r"byte counts, not tokens.*fineweb_val_000000\.bin"):
        load_stream([sidecar], tokenizer)
    write_shard(sidecar, counts[:-1])
    with pytest.raises(DataError, match="does not belong to this shard"):
        load_stream([shard], tokenizer)
    write_shard(sidecar, counts + 1)
    with pytest.raises(DataError, match=r"gives 1 bytes to token 0"):
        load_stream([shard], tokenizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("tokenizer"), "'tokenizer' is missing"),
        (lambda m: m["tokenizer"].update(file="../../etc/passwd"), "not the name of a file beside it"),
        (lambda m: m["splits"]["val"].pop("shards"), "'shards' is missing"),
        (lambda m: m["splits"]["val"].update(shards=3), "'shards' is 3, not a list"),
        (lambda m: m["splits"]["val"]["shards"][0].update(tokens=-1), "'tokens' is -1"),
        (lambda m: m["splits"]["val"]["shards"][0].update(file="\x1b[2J/"), r"'\\x1b\[2J/'"),
        (lambda m: m["splits"]["val"]["document_hashes"].update(sha256=None), "'sha256' is None"),
        (lambda m: m.update(splits=[]), "'splits' is not an object"),
    ],
)
def test_every_odd_field_of_a_manifest_is_named(
    plan: Plan, tokenizer: Tokenizer, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    prepare(plan)
    edit(plan.out / "manifest.json", change)
    with pytest.raises(DataError, match=message):
        stream_from_shards(shards_of(plan, "val"), tokenizer)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_a_manifest_that_would_break_the_reader_is_one_error(plan: Plan, tokenizer: Tokenizer, text: str) -> None:
    prepare(plan)
    (plan.out / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="is no manifest of shards"):
        stream_from_shards(shards_of(plan, "val"), tokenizer)
