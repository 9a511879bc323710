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
import torch

from evaladapt.bench.codec_report import CodecReport, Row
from evaladapt.bench.report import Figure
from evaladapt.bench.rivals import RIVALS, Rival
from evaladapt.codec.decode import decode
from evaladapt.codec.encode import Encoded, encode
from evaladapt.codec.text import text_from_stream
from evaladapt.contract.composition import Composition, compose
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.engine.frozen import Frozen, load_frozen
from evaladapt.engine.loop import Engine, Progress, Settings
from evaladapt.engine.record import environment
from evaladapt.errors import EvaladaptError
from evaladapt.system.threads import threads

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
    frozen = load_frozen(settings.artifact, torch.device("cpu"))
    stream = _cut(load_stream(settings.data, frozen.tokenizer), settings.limit_bytes)
    content = text_from_stream(stream, frozen.tokenizer).content
    rows = [measure_rival(rival, content) for rival in RIVALS if not rival.missing]
    compositions = [compose(names) for names in dict.fromkeys((PLAIN, settings.composition))]
    with threads(min(torch.get_num_threads(), MOST_THREADS)):
        measured = [_measure(one, frozen, stream, progress) for one in compositions]
        machine = environment("cpu")
    return CodecReport(
        text=stream.name,
        text_bytes=len(content),
        text_targets=stream.targets,
        text_sha256=stream.text_sha256,
        artifact=str(frozen.artifact.path),
        artifact_bytes=frozen.artifact.bytes,
        rows=(*rows, *(one.row for one in measured)),
        figures=tuple(figure for one in measured for figure in one.figures),
        missing=tuple(rival.package for rival in RIVALS if rival.package and rival.missing),
        environment=machine,
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


def _measure(composition: Composition, frozen: Frozen, stream: TokenStream, progress: MakeProgress | None) -> Measured:
    text, line = text_from_stream(stream, frozen.tokenizer), composition.line

    def shown(what: str) -> Progress | None:
        return progress(f"{line}: {what}") if progress else None

    block = Engine(frozen.model, stream, composition, Settings(), progress=shown("block mode")).run()
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        path, out = Path(folder) / "text.evz", Path(folder) / "text"
        encoded, to = _timed(lambda: encode(frozen, text, composition, path, progress=shown("compressing")))
        _, back = _timed(lambda: decode(frozen, path, out, progress=shown("decompressing")))
        _compare(f"evaladapt {line}", out.read_bytes(), text.content)
    row = Row(f"evaladapt {line}", encoded.file_bytes, frozen.artifact.bytes, to, back)
    bound = 1000 / PROMISED_RATE if line == ",".join(PLAIN) else None
    over = {"the run's own bits": encoded.bits, "block mode's bits": block.bits}
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
    return 100 * (8 * encoded.payload_bytes / bits - 1)


def _compare(name: str, found: bytes, content: bytes) -> None:
    if found != content:
        raise EvaladaptError(f"{name} did not give the text back: {len(found):,} bytes came of {len(content):,}")
