"""Verifying a record: every number of it once more, and a slice of its text as bytes that come back.

What a record claims is recomputed from its own ledger, where that is there, and from a second run. What cannot be
repeated here, because the record was made by other code, threads or another machine, is told apart from what does not
hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.seats import Coding, seats_for
from evaladapt.codec.text import CodedText, text_from_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.judge.charging import Progress
from evaladapt.judge.evaluate import evaluate, tokenizer_of
from evaladapt.judge.records.folder import ADAPTED
from evaladapt.judge.records.ledger import charges_in
from evaladapt.judge.records.record import RunRecord
from evaladapt.judge.request import Request

Result = Literal["pass", "fail", "cannot be repeated here"]
PASS: Result = "pass"
FAIL: Result = "fail"
ELSEWHERE: Result = "cannot be repeated here"
NATS_TOLERANCE = 0.01
"""By which one target may cost more or less in step mode; rounding alone stays far below."""
SIZE_TOLERANCE, ROUNDING_BYTES = 0.001, 16
CLOSE = 1e-9
SAME_ARITHMETIC = ("evaladapt", "python", "packages", "platform", "threads", "device", "processes")
MakeProgress = Callable[[str], Progress]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, with what was found."""

    name: str
    outcome: Result
    evidence: str


def own_numbers(record: Mapping[str, Any]) -> Check:
    """Whether the numbers of a record agree with each other: bits, bytes, nats, scores and differences."""
    wrong = []
    size = record["data"]["bytes"]
    for name in ("base", "adapted"):
        score = record[name]
        if score is None:
            continue
        if not math.isclose(score["bits"], score["nats"] / math.log(2) + score["boundary_bits"], rel_tol=CLOSE):
            wrong.append(f"{name}.bits is not nats / ln 2 with the boundaries")
        if not math.isclose(score["bits_per_byte"], score["bits"] / size, rel_tol=CLOSE):
            wrong.append(f"{name}.bits_per_byte is not bits / {size:,} bytes")
    final = record["adapted"]["bits_per_byte"]
    for name in ("bpb", "claimed_bpb"):
        if record[name] is not None and not math.isclose(record[name], final, rel_tol=CLOSE):
            wrong.append(f"{name} is {record[name]:.6f} and the pass came to {final:.6f}")
    if record["difference"] and record["base"]:
        gap = final - record["base"]["bits_per_byte"]
        if not math.isclose(record["difference"]["bpb"], gap, rel_tol=1e-6, abs_tol=1e-9):
            wrong.append(f"the difference is {record['difference']['bpb']:+.6f} and the passes are {gap:+.6f} apart")
    if wrong:
        return Check("numbers", FAIL, "; ".join(wrong))
    return Check("numbers", PASS, "bits, bytes, nats, scores and differences agree")


def own_ledger(record: Mapping[str, Any], folder: Path) -> Check:
    """Whether the ledger that lies beside a record gives its hash and its sum."""
    path = folder / f"{ADAPTED}.ledger"
    if not path.exists():
        return Check("ledger", ELSEWHERE, f"there is no {path.name} beside the record")
    charges, digest = charges_in(path)
    score = record["adapted"]
    if digest != score["ledger_sha256"]:
        return Check(
            "ledger", FAIL, f"{path.name} has the hash {digest[:16]}, the record {score['ledger_sha256'][:16]}"
        )
    if not math.isclose(-float(charges.sum()), score["nats"], rel_tol=1e-9):
        return Check(
            "ledger", FAIL, f"{path.name} sums to {-charges.sum():.6f} nats, the record says {score['nats']:.6f}"
        )
    return Check(
        "ledger", PASS, f"{path.name}: {len(charges):,} targets sum to the record's nats, sha256 {digest[:16]}"
    )


def again(record: Mapping[str, Any], request: Request, progress: MakeProgress) -> Check:
    """A second run."""
    second = evaluate(replace(request, with_base=record["base"] is not None), progress)
    if not isinstance(second, RunRecord):
        return Check("again", FAIL, "a second run broke the contract, so the record's score is none")
    now = second.to_json()
    passes = [name for name in ("base", "adapted") if record[name] is not None]
    different = [name for name in passes if record[name]["ledger_sha256"] != now[name]["ledger_sha256"]]
    if not different:
        return Check("again", PASS, f"a second run gave the same ledger, sha256 {now['adapted']['ledger_sha256'][:16]}")
    name = different[0]
    apart = abs(now[name]["bits_per_byte"] - record[name]["bits_per_byte"])
    told = (
        f"a second run of {record[name]['plugins']} gave {now[name]['bits_per_byte']:.6f} bits per byte and another"
        f" ledger; the record says {record[name]['bits_per_byte']:.6f}"
    )
    changed = what_differs(record, now)
    if changed and apart < 0.001:
        return Check("again", ELSEWHERE, f"{told}. It cannot be repeated here bit for bit, because {changed}")
    return Check("again", FAIL, f"{told} (clause D){f'. Other here: {changed}' if changed else ''}")


def what_differs(record: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between the run of a record and one here, as far as it changes arithmetic."""
    then, here = record["environment"], now["environment"]
    parts = [
        f"{name} was {then.get(name)} and is {here[name]}" for name in SAME_ARITHMETIC if then.get(name) != here[name]
    ]
    for before, after in zip(record["composition"], now["composition"], strict=False):
        for fact in ("version", "code_sha256"):
            if before.get(fact) != after[fact]:
                parts.append(f"{after['name']} has another {'version' if fact == 'version' else 'code'}")
    return "; ".join(parts)


def verify_slice(request: Request, stream: TokenStream, folder: Path, progress: MakeProgress) -> list[Check]:
    """Encode a stream in step mode, compare with block mode, and decode in another player.

    Args:
        request: of the record's run.
        stream: what to encode: the start of the record's text.
        folder: empty; files go here.
        progress: makes the callback for the pass of a name.
    """
    composed, settings = request.composed, request.settings
    tokenizer = tokenizer_of(request.model)
    in_block = replace(
        request, settings=replace(settings, mode="block"), open_text=lambda _: stream, with_base=False, folder=folder,
        doubt="off", boundaries="paid",
    )  # fmt: skip
    evaluate(in_block, lambda _: progress("block"))
    charged, _ = charges_in(folder / f"{ADAPTED}.ledger")
    coding = Coding(
        model=request.model, names=composed.names, options=composed.options, batch=settings.batch, seed=settings.seed,
        threads=request.threads, device=request.device, patience=request.patience, allow_read=request.allow_read,
    )  # fmt: skip
    text, path = text_from_stream(stream, tokenizer), folder / "slice.evz"
    with coding.seated() as seat:
        encoded = encode(seat, text, path, batch=settings.batch, seed=settings.seed, threads=request.threads,
                         with_charges=True, progress=progress("encode"))  # fmt: skip
    step = encoded.charges if encoded.charges is not None else np.zeros(0)
    payload = encoded.payload_bytes
    return [
        _same_charges(charged, step),
        _same_size(payload, encoded.file_bytes - payload, float(-charged.sum()) / np.log(2) / 8),
        _comes_back(request, tokenizer, text, path, folder / "decoded", progress),
    ]


def _same_charges(block: NDArray[np.float64], step: NDArray[np.float64]) -> Check:
    apart = np.abs(block - step)
    beyond = np.flatnonzero(apart > NATS_TOLERANCE)
    if not len(beyond):
        return Check("step", PASS, f"each of {len(block):,} targets costs the same one by one; largest difference"
                     f" {apart.max():.1e} nats")  # fmt: skip
    target = int(beyond[0]) + 1
    return Check(
        "step",
        FAIL,
        f"at target {target} block mode charged {-block[target - 1]:.4f} nats and step mode, where no later token is at"
        f" hand, {-step[target - 1]:.4f}: the score rests on something after the prefix (clause C1); {len(beyond):,} of"
        f" {len(block):,} targets differ",
    )


def _same_size(payload: int, beside: int, charged: float) -> Check:
    evidence = (
        f"{payload:,} bytes of coded text for {charged:,.1f} charged in block mode ({payload / charged - 1:+.3%}), and"
        f" {beside} bytes beside it"
    )
    near = abs(payload - charged) <= SIZE_TOLERANCE * charged + ROUNDING_BYTES
    return Check("size", PASS if near else FAIL, evidence)


def _comes_back(
    request: Request, tokenizer: Tokenizer, text: CodedText, path: Path, out: Path, progress: MakeProgress
) -> Check:
    decode(seats_for(request.model, request.device, request.patience), tokenizer, path, out,
           progress=progress("decode"))  # fmt: skip
    content = out.read_bytes()
    if content == text.content:
        return Check("decode", PASS, f"another sealed player, with model and file alone, gave back all {len(content):,}"
                     " bytes")  # fmt: skip
    return Check("decode", FAIL, f"another player gave back {len(content):,} bytes, and they are others")
