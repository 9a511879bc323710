"""A long fuzz run of what a run leaves, a coded text and tokenizers: ``python -m tests.results.fuzz --inputs 100000``.

Each input is a record, a ledger, the text of a run, a snapshot, a coded file or a tokenizer with something changed. It
must be read or refused with an error for people; anything else, or ten seconds of computing, ends the run and leaves
the input behind. ``test_fuzz`` runs a few hundred.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

from evaladapt.artifact import write_artifact
from evaladapt.cli.main import invoke
from evaladapt.codec.container import CRC, read_evz
from evaladapt.codec.verify import own_ledger, own_numbers
from evaladapt.contract.composition import compose
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.given import tokenizer_given
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.ledger import Ledger
from evaladapt.judge.records.record_file import read_any_record, read_record
from evaladapt.judge.records.snapshot import Journal, read_snapshot
from evaladapt.model.families import open_model
from evaladapt.results.result import open_run
from tests.codec.files import encode_by
from tests.families.folders import BYTE_LEVEL
from tests.fuzzing import Mutations, arguments, long_run
from tests.tiny import tiny_model

TEXT = "Whoever wants to learn from a word must wait until the word is in the ledger. 数 🙂\n" * 3


class Inputs:
    """Draws one changed file after the other, and reads it; the same seed gives the same inputs."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._changes = Mutations(seed)
        self._whole, self.scratch = folder / "whole", folder / "scratch"
        made = _Made(folder, self._whole)
        self._identity, self._evz, self._tokenizers = made.identity, made.evz, made.tokenizers
        self._record = json.loads((self._whole / "record.json").read_text())
        self._kinds = (
            self.record,
            self.record_bytes,
            self.ledger,
            self.text,
            self.snapshot,
            self.coded,
            self.tokenizer,
        )

    def read_next(self) -> tuple[str, str]:
        """The kind of input, and ``read`` or the error that refused it."""
        kind = self._changes.any(self._kinds)
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self._whole, self.scratch)
        try:
            kind()
        except EvaladaptError as error:
            str(error).encode("utf-8", errors="surrogateescape")
            return kind.__name__, type(error).__name__
        return kind.__name__, "read"

    def record(self) -> None:
        """One value of it replaced."""
        (self.scratch / "record.json").write_text(json.dumps(self._changes.odd(self._record)))
        self._take_apart()

    def record_bytes(self) -> None:
        """Some of its bytes."""
        self._change("record.json")
        self._take_apart()

    def ledger(self) -> None:
        """Some of its bytes."""
        self._change("adapted.ledger")
        self._take_apart()

    def text(self) -> None:
        """Some bytes of the file beside the record."""
        self._change("text.npz")
        self._take_apart()

    def snapshot(self) -> None:
        """Some of its bytes, half the time with a checksum that fits."""
        before = (self._whole / "x.snapshot").read_bytes()
        path = self.scratch / "x.snapshot"
        path.write_bytes(
            self._resealed(before) if self._changes.random.random() < 0.5 else self._changes.changed(before)
        )
        read_snapshot(path, self._identity)

    def coded(self) -> None:
        """Some bytes of a coded text, half the time with a checksum that fits."""
        content = self._changes.changed(self._evz[: -CRC.size])
        fits = self._changes.random.random() < 0.5
        (self.scratch / "x.evz").write_bytes(
            content + (CRC.pack(zlib.crc32(content)) if fits else self._evz[-CRC.size :])
        )
        read_evz(self.scratch / "x.evz")

    def tokenizer(self) -> None:
        """Some bytes of a tokenizer, or a value of one that is JSON; then a text is encoded by what was read."""
        name = self._changes.any(list(self._tokenizers))
        content = self._tokenizers[name]
        if name.endswith(".json") and self._changes.random.random() < 0.5:
            content = json.dumps(self._changes.odd(json.loads(content))).encode()
        else:
            content = self._changes.changed(content)
        (self.scratch / name).write_bytes(content)
        read, _ = tokenizer_given(name, self.scratch, 400)
        _use(read)

    def _change(self, name: str) -> None:
        path = self.scratch / name
        path.write_bytes(self._changes.changed(path.read_bytes()))

    def _take_apart(self) -> None:
        """All that is done with a finished run."""
        path = self.scratch / "record.json"
        read_any_record(path)
        record = read_record(path)
        own_numbers(record)
        own_ledger(record, self.scratch)
        result = open_run(self.scratch)
        len(result.documents()), len(result.targets())

    def _resealed(self, before: bytes) -> bytes:
        first, _, rest = before.partition(b"\n")
        head = json.loads(first)
        head.pop("content_sha256")
        if self._changes.random.random() < 0.5:
            head = self._changes.odd(head)
        rest = self._changes.changed(rest)
        covered = json.dumps(head, sort_keys=True).encode() + b"\n" + rest
        head["content_sha256"] = hashlib.sha256(covered).hexdigest()
        return json.dumps(head).encode() + b"\n" + rest


def _use(tokenizer: Tokenizer) -> None:
    for part in tokenizer.chunks([TEXT]):
        ids = np.asarray(tokenizer.encode(part))
        assert ((ids >= 0) & (ids < tokenizer.vocab_size)).all()
    assert len(tokenizer.piece_bytes) == tokenizer.vocab_size


class _Made:
    """Whole files to change: a finished run in ``whole`` with a snapshot beside it, a coded text, tokenizers."""

    def __init__(self, folder: Path, whole: Path) -> None:
        pieces = train_tokenizer([TEXT], 300)
        model, text = tiny_model(vocabulary=pieces.vocab_size), folder / "text.txt"
        artifact = folder / "tiny.eva"
        write_artifact(artifact, model.config.to_dict(), dict(model.named_parameters()), pieces.model_bytes, {})
        text.write_text(TEXT)
        arguments = ["run", str(artifact), "--plugins", "bias", "--data", str(text), "--out", str(whole), "--inline"]
        assert invoke(arguments) == 0
        (whole / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|end|>"}))
        self.identity = self._snapshot(whole)
        opened = open_model(str(artifact), torch.device("cpu"))
        encode_by(opened, TEXT.encode(), folder / "x.evz", compose(["bias"]))
        self.evz = (folder / "x.evz").read_bytes()
        self.tokenizers = {"t.model": pieces.model_bytes, "tokenizer.json": BYTE_LEVEL}

    @staticmethod
    def _snapshot(whole: Path) -> str:
        journal = Journal(whole, "x", {"made by": "fuzz"})
        ledger = Ledger(3, np.zeros(4, dtype=np.int32), journal)
        journal.take_up(ledger)
        ledger.commit(1, np.array([-1.0, -2.0, -0.5]))
        ledger.close_batch(0)
        journal.save(1, ledger, b"state of a player", {"low": 3, "bytes": b"coded"})
        journal.file.close()
        return str(json.loads((whole / "x.snapshot").read_bytes().partition(b"\n")[0])["run"])


def main() -> None:
    """Run as many inputs as asked for."""
    options = arguments(__doc__, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(options.seed, Path(folder))
        long_run(options.inputs, inputs.read_next, lambda: str(shutil.copytree(inputs.scratch, "fuzz-finding")))


if __name__ == "__main__":
    main()
