"""Verifying a score: the run once more, and a slice of it as bytes that another process turns back into the text.

``same_ledgers`` tells whether a second run gave the record's ledger; ``verify_slice`` encodes the first bytes of the
text in step mode, compares what every target costs there with block mode, in which scores are made, and decodes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.checkpoint import charges_of
from evaladapt.codec.encode import Encoded, encode
from evaladapt.codec.text import CodedText, bytes_from_tokens, text_from_stream
from evaladapt.contract.composition import Composition
from evaladapt.data.stream import TokenStream
from evaladapt.engine.frozen import Frozen
from evaladapt.engine.loop import Engine, Journal, Progress, Settings
from evaladapt.engine.record import RunRecord
from evaladapt.errors import EvaladaptError

PASS, FAIL = "pass", "fail"
NATS_TOLERANCE = 0.01
"""By which one target may cost more or less in step mode; rounding alone stays far below."""
SIZE_TOLERANCE = 0.001
ROUNDING_BYTES = 16

MakeProgress = Callable[[str], Progress]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, with what was found."""

    name: str
    outcome: str
    evidence: str


def same_ledgers(record: Mapping[str, Any], again: RunRecord) -> Check:
    """Compare the ledger hashes of a record with those of a second run."""
    now = again.to_json()
    passes = [name for name in ("base", "adapted") if record[name] is not None]
    different = [name for name in passes if record[name]["ledger_sha256"] != now[name]["ledger_sha256"]]
    if not different:
        return Check(
            "ledger", PASS, f"a second run gave the same ledger, sha256 {now['adapted']['ledger_sha256'][:16]}"
        )
    name = different[0]
    then, here = record["environment"], now["environment"]
    changed = [key for key in ("evaladapt", "packages", "cpu", "threads", "device") if then.get(key) != here[key]]
    other = f" This machine differs in {', '.join(changed)}, which changes last digits." if changed else ""
    return Check(
        "ledger",
        FAIL,
        f"a second run of {record[name]['plugins']} gave {now[name]['bits_per_byte']:.6f} bits per byte and another"
        f" ledger; the record says {record[name]['bits_per_byte']:.6f} (clause D).{other}",
    )


def verify_slice(
    frozen: Frozen,
    stream: TokenStream,
    composition: Composition,
    settings: Settings,
    folder: Path,
    progress: MakeProgress,
) -> list[Check]:
    """Encode a stream, compare with block mode, and decode in another process, which has the file alone.

    Args:
        frozen: the artifact.
        stream: what to encode.
        composition: strategies that are installed.
        settings: of the record's run.
        folder: empty; files go here.
        progress: makes the callback for the pass of a name.
    """
    text = text_from_stream(stream, frozen.tokenizer)
    path = folder / "slice.evz"
    block = Journal(folder, "block", "block")
    in_block = replace(settings, mode="block")
    Engine(frozen.model, stream, composition, in_block, journal=block, progress=progress("block")).run()
    encoded = encode(frozen, text, composition, path, batch=settings.batch, seed=settings.seed, with_charges=True,
                     progress=progress("encode"))  # fmt: skip
    charged = charges_of(block)
    return [
        _same_charges(charged, _present(encoded.charges), text, frozen),
        _same_size(encoded, charged),
        _comes_back(frozen, text, path, folder),
    ]


def _same_charges(block: NDArray[np.float64], step: NDArray[np.float64], text: CodedText, frozen: Frozen) -> Check:
    apart = np.abs(block - step)
    beyond = np.flatnonzero(apart > NATS_TOLERANCE)
    if not len(beyond):
        return Check("step", PASS, f"each of {len(block):,} targets costs the same one by one; largest difference"
                     f" {apart.max():.1e} nats")  # fmt: skip
    target = int(beyond[0]) + 1
    at = len(bytes_from_tokens(text, target, frozen.tokenizer))
    return Check(
        "step",
        FAIL,
        f"at byte {at} (target {target}) block mode charged {-block[target - 1]:.4f} nats and step mode, where no later"
        f" token is at hand, {-step[target - 1]:.4f}: the score rests on something after the prefix (clause C1);"
        f" {len(beyond):,} of {len(block):,} targets differ",
    )


def _present(charges: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if charges is None:
        raise RuntimeError("an encoding that was asked for its charges returned none")
    return charges


def _same_size(encoded: Encoded, block: NDArray[np.float64]) -> Check:
    payload = encoded.payload_bytes
    charged = float(-block.sum()) / np.log(2) / 8
    evidence = (
        f"{payload:,} bytes of coded text for {charged:,.1f} charged in block mode ({payload / charged - 1:+.3%}), and"
        f" {encoded.file_bytes - payload} bytes beside it"
    )
    near = abs(payload - charged) <= SIZE_TOLERANCE * charged + ROUNDING_BYTES
    return Check("size", PASS if near else FAIL, evidence)


def _comes_back(frozen: Frozen, text: CodedText, path: Path, folder: Path) -> Check:
    out = folder / "decoded"
    said = _decode_elsewhere(frozen, path, out)
    if not out.exists():
        return Check("decode", FAIL, said)
    content = out.read_bytes()
    if content == text.content:
        return Check(
            "decode", PASS, f"another process, with artifact and file alone, gave back all {len(content):,} bytes"
        )
    shorter = min(len(content), len(text.content))
    found, expected = (np.frombuffer(one[:shorter], dtype=np.uint8) for one in (content, text.content))
    different = np.flatnonzero(found != expected)
    at = int(different[0]) if len(different) else shorter
    return Check("decode", FAIL, f"another process gave back {len(content):,} bytes that differ from byte {at} on")


def _decode_elsewhere(frozen: Frozen, path: Path, out: Path) -> str:
    """Decode in a process of its own; returns what it had to say."""
    artifact = str(frozen.artifact.path.resolve())
    device = str(next(iter(dict(frozen.model.named_parameters()).values())).device)
    command = [sys.executable, "-m", "evaladapt", "decode", artifact, path.name, "--out", out.name, "--device", device,
               "--json"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(one) for one in sys.path)}
    try:
        done = subprocess.run(command, cwd=path.parent, env=environment, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise EvaladaptError(f"the decoding process cannot be started: {error.strerror}") from error
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return f"the decoding process ended with code {done.returncode} and no message"
    return str(said.get("error", {}).get("message", "decoded"))
