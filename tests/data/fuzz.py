"""A long fuzz run of the data room's readers on its own: ``python -m tests.data.fuzz --inputs 50000 --seed 0``.

Each input is a file as people have it with something changed: bytes, lengths, fields of JSON, a part of it twice. It
must be read or refused with an error for people; anything else, ten seconds of computing, or 256 MB more memory than at
the start, ends the run and leaves the input behind. ``test_fuzz`` runs a few hundred.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import json
import lzma
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evaladapt.data.default_text import default_documents
from evaladapt.data.load import load_stream
from evaladapt.data.manifest import train_fingerprints
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.errors import EvaladaptError
from tests.fuzzing import ODD_VALUES, Mutations, arguments, limit_memory, long_run


class Inputs:
    """Draws one changed file after the other into a folder; the same seed gives the same files."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._changes = Mutations(seed)
        self._random = self._changes.random
        self._folder = folder
        documents = default_documents()[:3]
        self.tokenizer: Tokenizer = train_tokenizer(documents, 400)
        pieces = [part for document in documents for part in document.split("\n\n")][:40]
        self._records: list[Any] = [{"text": part, "id": number} for number, part in enumerate(pieces)]
        lines = "".join(json.dumps(record) + "\n" for record in self._records).encode()
        self._files = {
            "a.txt": "\n\n".join(pieces).encode(),
            "a.jsonl": lines,
            "a.json": json.dumps({"documents": self._records}).encode(),
            "a.txt.gz": gzip.compress(lines),
            "a.jsonl.bz2": bz2.compress(lines),
            "a.jsonl.xz": lzma.compress(lines),
        } | _zstd(lines)
        source = folder / "source.jsonl"
        source.write_bytes(lines)
        (folder / "t.model").write_bytes(self.tokenizer.model_bytes)  # type: ignore[attr-defined]
        self._prepared = folder / "prepared"
        self._work = folder / "work"
        plan = Plan((source,), self._prepared, tokenizer=folder / "t.model", val_fraction=0.3, shard_tokens=2000)
        prepare(plan)
        self._shards = sorted(path.name for path in self._prepared.glob("*.bin"))
        self._kinds: tuple[Callable[[], Path], ...] = (
            self._changed_file, self._changed_record, self._noise, self._shard, self._lone_shard, self._sidecar,
            self._manifest, self._manifest_bytes,
        )  # fmt: skip

    def draw(self) -> tuple[str, Path]:
        """The kind of change, and the file to read."""
        kind = self._kinds[self._random.integers(len(self._kinds))]
        return kind.__name__.lstrip("_"), kind()

    def _changed_file(self) -> Path:
        name = self._changes.any(list(self._files))
        return self._written(name, self._changes.changed(self._files[name]))

    def _changed_record(self) -> Path:
        records = [dict(record) for record in self._records[:5]]
        place = self._changes.any(records)
        place[self._changes.any(["text", "id", "prefix"])] = self._changes.any(ODD_VALUES)
        if self._random.random() < 0.3:
            records[self._random.integers(5)] = self._changes.any(ODD_VALUES)
        if self._random.random() < 0.5:
            return self._written("r.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())
        whole = self._changes.any([records, {"documents": records}, records[0], self._changes.any(ODD_VALUES)])
        return self._written("r.json", json.dumps(whole).encode())

    def _noise(self) -> Path:
        name = self._changes.any([*self._files, "n.bin", "n.ndjson"])
        return self._written(name, self._random.bytes(int(self._random.integers(0, 3000))))

    def _shard(self) -> Path:
        """A shard beside its manifest."""
        self._fresh()
        path = self._work / self._changes.any(self._shards)
        path.write_bytes(self._changes.changed(path.read_bytes(), most=2))
        return path

    def _lone_shard(self) -> Path:
        """A shard that no manifest speaks for, so that every token reaches the stream."""
        path = self._written("lone_000000.bin", b"")
        data = (self._prepared / self._changes.any(self._shards)).read_bytes()
        head, tokens = data[:1024], np.frombuffer(data[1024:], dtype="<u2").copy()
        for _ in range(int(self._random.integers(1, 6))):
            tokens[self._random.integers(len(tokens))] = self._random.integers(0, self.tokenizer.vocab_size + 3)
        if self._random.random() < 0.3:
            tokens = tokens[: self._random.integers(len(tokens))]
            tokens[self._random.integers(2) :: 2] = self.tokenizer.bos_id
            write_shard(path, tokens)
        else:
            path.write_bytes(head + tokens.tobytes())
        return path

    def _sidecar(self) -> Path:
        path = self._written("side_000000.bin", b"")
        data = (self._prepared / self._changes.any(self._shards)).read_bytes()
        path.write_bytes(data)
        tokens = np.frombuffer(data[1024:], dtype="<u2")
        counts = np.where(tokens == self.tokenizer.bos_id, 0, self._random.integers(0, 9, len(tokens)))
        write_shard(path.with_name("side_bytes_000000.bin"), counts)
        sidecar = path.with_name("side_bytes_000000.bin")
        if self._random.random() < 0.8:
            sidecar.write_bytes(self._changes.changed(sidecar.read_bytes(), most=2))
        return path

    def _manifest(self) -> Path:
        self._fresh()
        path = self._work / "manifest.json"
        path.write_text(json.dumps(self._changes.odd(json.loads(path.read_text()))))
        return self._work / self._changes.any(self._shards)

    def _manifest_bytes(self) -> Path:
        self._fresh()
        path = self._work / "manifest.json"
        path.write_bytes(self._changes.changed(path.read_bytes()))
        return self._work / self._changes.any(self._shards)

    def _fresh(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._prepared, self._work)

    def _written(self, name: str, data: bytes) -> Path:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        (self._work / name).write_bytes(data)
        return self._work / name


def _zstd(data: bytes) -> dict[str, bytes]:
    try:
        import zstandard
    except ImportError:
        return {}
    return {"a.jsonl.zst": zstandard.ZstdCompressor().compress(data)}


def outcome(path: Path, tokenizer: Tokenizer, limit: int | None) -> str:
    """``"read"``, or the name of the error that refused the file."""
    try:
        stream = load_stream([path], tokenizer, limit_tokens=limit)
        assert stream.text_bytes == int(stream.byte_lengths.sum()) > 0
        assert limit is None or stream.targets <= limit
        if (path.parent / "manifest.json").exists():
            train_fingerprints(path.parent)
    except EvaladaptError as error:
        str(error).encode("utf-8", errors="surrogateescape")
        return type(error).__name__
    return "read"


def main() -> None:
    """Run as many inputs as asked for."""
    options = arguments(__doc__, 50_000)
    limits, drawn = itertools.cycle((None, 1, 50)), []
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(options.seed, Path(folder))

        def read_next() -> tuple[str, str]:
            kind, path = inputs.draw()
            drawn[:] = [path]
            return kind, outcome(path, inputs.tokenizer, next(limits))

        read_next()
        limit_memory()
        long_run(options.inputs, read_next, lambda: str(shutil.copytree(drawn[0].parent, "fuzz-finding")))


if __name__ == "__main__":
    main()
