"""The codec beside general compressors, on the same bytes: bits per byte and speed, ``evaladapt bench codec``.

Every file is decoded and compared before it counts. evaladapt's size is given as the file's, and once more with the
artifact's bytes added, because a compressor without its model decodes nothing. Times are those of one run, without
loading the artifact.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from evaladapt.bench.codec_report import CodecReport, Row
from evaladapt.bench.report import Figure
from evaladapt.bench.rivals import RIVALS, Rival
from evaladapt.codec.decode import decode
from evaladapt.codec.encode import Encoded, encode
from evaladapt.codec.seats import Coding, seats_for
from evaladapt.codec.text import text_from_stream
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.errors import EvaladaptError
from evaladapt.judge.charging import Progress
from evaladapt.judge.evaluate import evaluate, tokenizer_of
from evaladapt.judge.records.record import RunRecord, environment
from evaladapt.judge.request import Composed, Request, model_files
from evaladapt.system.cores import default_threads

PLAIN = ("sliding",)
BEST = ("ttt", "slot-lbfgs", "bias", "ngram", "hedge")
"""The composition that the README's table shows beside ``sliding``."""
MOST_THREADS = 2
PROMISED_RATE = 150
"""Targets per second with ``sliding`` and the artifact that ships, on two cores."""
PROMISED_PERCENT = 0.1
"""By which the coded text may be longer than the run's own bits."""
PROMISED_HEADER = 200
"""Bytes of a file beside its coded text, apart from the lengths of documents: those grow with the text."""

MakeProgress = Callable[[str], Progress]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class CodecSettings:
    """What a person may choose; ``composition`` is measured beside ``sliding``."""

    artifact: str = "default"
    data: tuple[Path, ...] = ()
    limit_bytes: int = 65_536
    composition: tuple[str, ...] = BEST


@dataclass(frozen=True)
class Measured:
    """One composition: its row of the table, and what was promised of it."""

    row: Row
    figures: tuple[Figure, ...]


def run(settings: CodecSettings, progress: MakeProgress | None = None) -> CodecReport:
    """Measure with the given artifact on the first bytes of the given text.

    Raises:
        EvaladaptError: a compressor did not give the text back.
    """
    tokenizer, files = tokenizer_of(settings.artifact), model_files(settings.artifact)
    stream = _cut(load_stream(settings.data, tokenizer), settings.limit_bytes)
    content = text_from_stream(stream, tokenizer).content
    rows = [measure_rival(rival, content) for rival in RIVALS if not rival.missing]
    threads = min(default_threads(), MOST_THREADS)
    size = sum(file.stat().st_size for file in files)
    measured = [
        _measure(Coding(model=settings.artifact, names=names, threads=threads), stream, size, progress)
        for names in dict.fromkeys((PLAIN, settings.composition))
    ]
    return CodecReport(
        text=stream.name,
        text_bytes=len(content),
        text_targets=stream.targets,
        text_sha256=stream.text_sha256,
        artifact=str(files[0]),
        artifact_bytes=size,
        rows=(*rows, *(one.row for one in measured)),
        figures=tuple(figure for one in measured for figure in one.figures),
        missing=tuple(rival.package for rival in RIVALS if rival.package and rival.missing),
        environment=environment("cpu", threads),
    )


def measure_rival(rival: Rival, content: bytes) -> Row:
    """Compress, decompress and compare.

    Raises:
        EvaladaptError: it did not give the content back.
    """
    coder = rival.load()
    packed, compress_seconds = _timed(lambda: coder.compress(content))
    found, decompress_seconds = _timed(lambda: coder.decompress(packed))
    _compare(rival.name, found, content)
    return Row(rival.name, len(packed), 0, compress_seconds, decompress_seconds)


def _measure(coding: Coding, stream: TokenStream, model_bytes: int, progress: MakeProgress | None) -> Measured:
    """Starts of players are not in the times: they are the same for a long text and a short one."""
    tokenizer = tokenizer_of(coding.model)
    text = text_from_stream(stream, tokenizer)

    block = evaluate(
        Request(model=coding.model, composed=Composed(names=tuple(coding.names)), open_text=lambda _: stream,
                doubt="off", with_base=False, threads=coding.threads),
    )  # fmt: skip
    if not isinstance(block, RunRecord):
        raise EvaladaptError(f"{','.join(coding.names)} breaks the contract, so there is nothing to measure")
    line = block.adapted.plugins

    def shown(what: str) -> Progress | None:
        return progress(f"{line}: {what}") if progress else None

    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        path, out = Path(folder) / "text.evz", Path(folder) / "text"
        with coding.seated() as seat:
            encoded = encode(seat, text, path, threads=coding.threads, progress=shown("compressing"))
        decoded = decode(seats_for(coding.model), tokenizer, path, out, progress=shown("decompressing"))
        _compare(f"evaladapt {line}", out.read_bytes(), text.content)
    to, back = (one.outcome.seconds if one.outcome else 0.0 for one in (encoded, decoded))
    row = Row(f"evaladapt {line}", encoded.file_bytes, model_bytes, to, back)
    bound = 1000 / PROMISED_RATE if line == ",".join(PLAIN) else None
    over = {"the run's own bits": encoded.bits, "block mode's bits": block.adapted.bits}
    figures = (
        *(
            Figure(f"{line}: coded text over {what}", _percent_over(encoded, bits), "%", PROMISED_PERCENT)
            for what, bits in over.items()
        ),
        Figure(f"{line}: header, strategies and checksum", encoded.header_bytes, "bytes", PROMISED_HEADER),
        Figure(f"{line}: lengths of the documents", encoded.document_bytes, "bytes"),
        Figure(f"{line}: compressing", 1000 * to / stream.targets, "ms a target", bound),
        Figure(f"{line}: decompressing", 1000 * back / stream.targets, "ms a target", bound),
    )
    return Measured(row, figures)


def _cut(stream: TokenStream, limit_bytes: int) -> TokenStream:
    """The stream of the first whole tokens within a number of bytes; at least one."""
    within = int(np.searchsorted(np.cumsum(stream.byte_lengths), limit_bytes, side="right")) - 1
    return stream.limit(max(1, within))


def _timed(action: Callable[[], Result]) -> tuple[Result, float]:
    """What an action returns, and the seconds it takes."""
    started = time.perf_counter()
    result = action()
    return result, time.perf_counter() - started


def _percent_over(encoded: Encoded, bits: float) -> float:
    return 100 * (8 * (encoded.payload_bytes + encoded.document_bytes) / bits - 1)


def _compare(name: str, found: bytes, content: bytes) -> None:
    if found != content:
        raise EvaladaptError(f"{name} did not give the text back: {len(found):,} bytes came of {len(content):,}")
