"""The codec beside general compressors, on the same bytes: bits per byte and speed, ``evaladapt bench codec``.

Every file is decoded and compared before it counts. evaladapt's size is given as the file's, and once more with the
artifact's bytes added, because a compressor without its model decodes nothing.
"""

from __future__ import annotations

import lzma
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.text import CodedText, text_from_stream
from evaladapt.codec.threads import threads
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import installed
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.engine.frozen import Frozen, load_frozen
from evaladapt.engine.record import environment
from evaladapt.errors import EvaladaptError

TEXT_BYTES = 65_536
MOST_THREADS = 2
PROMISED_RATE = 150
"""Targets per second with ``sliding`` and the artifact that ships, on two cores."""
BEST = ("ttt", "slot-lbfgs")

Bytes = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Rival:
    """A general compressor at its strongest setting."""

    name: str
    compress: Bytes
    decompress: Bytes


def run(settings: BenchSettings) -> BenchReport:
    """Measure with the given artifact on the first 64 KiB of the given text."""
    frozen = load_frozen(settings.artifact, torch.device("cpu"))
    stream = load_stream(settings.data, frozen.tokenizer)
    text = text_from_stream(_cut(stream, settings.limit_tokens), frozen.tokenizer)
    figures = [Figure("text", len(text.content), "bytes"), Figure("artifact", frozen.artifact.bytes, "bytes")]
    for rival in rivals():
        figures += _measure_rival(rival, text.content)
    available = {one.alias for one in installed()}
    with threads(min(torch.get_num_threads(), MOST_THREADS)):
        for names in (("sliding",), BEST):
            if available.issuperset(names):
                figures += _measure_codec(names, frozen, text)
        return BenchReport("codec", tuple(figures), environment("cpu"))


def rivals() -> Iterator[Rival]:
    """Those whose packages are installed; xz always is."""
    yield Rival("xz -9e", lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME), lzma.decompress)
    if brotli := _package("brotli"):
        yield Rival("brotli -q 11", lambda content: brotli.compress(content, quality=11), brotli.decompress)
    if zstandard := _package("zstandard"):
        strongest = zstandard.ZstdCompressor(level=22)
        yield Rival("zstd -22", strongest.compress, zstandard.ZstdDecompressor().decompress)
    if pyppmd := _package("pyppmd"):
        options = {"max_order": 6, "mem_size": 16 << 20, "variant": "I"}
        yield Rival("PPMd order 6", lambda content: pyppmd.compress(content, **options),
                    lambda packed: pyppmd.decompress(packed, **options))  # fmt: skip


def _package(name: str) -> Any:
    return import_module(name) if find_spec(name) else None


def _cut(stream: TokenStream, limit_tokens: int | None) -> TokenStream:
    within = int(np.searchsorted(np.cumsum(stream.byte_lengths), TEXT_BYTES, side="right")) - 1
    return stream.limit(max(1, limit_tokens or within))


def _measure_rival(rival: Rival, content: bytes) -> list[Figure]:
    started = time.perf_counter()
    packed = rival.compress(content)
    seconds = time.perf_counter() - started
    _compare(rival.name, rival.decompress(packed), content)
    return [
        Figure(f"{rival.name}: size", 8 * len(packed) / len(content), "bits per byte"),
        Figure(f"{rival.name}: compressing", len(content) / seconds / 1000, "KB/s"),
    ]


def _measure_codec(names: tuple[str, ...], frozen: Frozen, text: CodedText) -> list[Figure]:
    size = len(text.content)
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        path, out = Path(folder) / "text.evz", Path(folder) / "text"
        encoded = encode(frozen, text, compose(names), path)
        decoded = decode(frozen, path, out)
        _compare("evaladapt", out.read_bytes(), text.content)
    if encoded.outcome is None or decoded.outcome is None:
        raise EvaladaptError("the text has no targets, so there is nothing to measure")
    label = f"evaladapt {','.join(names)}"
    payload = encoded.file_bytes - encoded.overhead
    figures = [
        Figure(f"{label}: size", 8 * encoded.file_bytes / size, "bits per byte"),
        Figure(f"{label}: size with the artifact", 8 * (encoded.file_bytes + frozen.artifact.bytes) / size,
               "bits per byte"),
        Figure(f"{label}: coded text over the run's own bits", 100 * (8 * payload / encoded.bits - 1), "%", 0.1),
    ]  # fmt: skip
    for what, outcome in (("encoding", encoded.outcome), ("decoding", decoded.outcome)):
        bound = 1000 / PROMISED_RATE if names == ("sliding",) else None
        figures += [
            Figure(f"{label}: {what}", size / outcome.seconds / 1000, "KB/s"),
            Figure(f"{label}: {what}, per target", 1000 * outcome.seconds / outcome.targets, "ms", bound),
        ]
    return figures


def _compare(name: str, found: bytes, content: bytes) -> None:
    if found != content:
        raise EvaladaptError(f"{name} did not give the text back")
