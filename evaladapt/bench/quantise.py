"""The same trained weights, quantised and coded in several ways: bytes and bits per byte, ``evaladapt bench quantise``.

Every coder gets the very same codes, one byte each and row by row: lzma and brotli all matrices in one piece, so that
they may use one for the next; the project's coder each matrix by itself, as a file stores it. Tables, levels and
factors are counted, scales are not (they are the same for all). Bits per byte are those of the weights as they come
back, over windows of the model's context, side by side.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from evaladapt.artifact.coding.coders import encode_codes
from evaladapt.artifact.gptq import gptq
from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.quantize import Float32, QuantizedMatrix, dequantize, nearest
from evaladapt.artifact.writer import as_arrays, as_matrix
from evaladapt.bench.report import BenchSettings
from evaladapt.calibration.moments import input_moments
from evaladapt.calibration.text import own_text
from evaladapt.data.load import load_stream
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import EvaladaptError, UsageError
from evaladapt.judge.records.record import environment
from evaladapt.model.backend import transformer_from_tensors
from evaladapt.train.checkpoint import TrainedModel, read_trained_model
from evaladapt.train.validation import HeldOut, bits_per_byte

CALIBRATION_ROWS = 32
DEFAULT_TARGETS = 65_536


@dataclass(frozen=True)
class Scheme:
    """A way to quantise matrices. The embedding, the most sensitive of them, has 8 bits in every scheme."""

    name: str
    bits: int
    gptq: bool
    row_scales: bool = False


SCHEMES = (
    Scheme("int8", 8, gptq=False),
    Scheme("int6", 6, gptq=False),
    Scheme("int6, a step per row", 6, gptq=False, row_scales=True),
    Scheme("int6 GPTQ", 6, gptq=True),
    Scheme("int5", 5, gptq=False),
    Scheme("int5 GPTQ", 5, gptq=True),
    Scheme("int4", 4, gptq=False),
    Scheme("int4 GPTQ", 4, gptq=True),
)


@dataclass(frozen=True)
class QuantiseRow:
    """One line of the table. Sizes in bytes; ``loss`` is relative to the float32 weights."""

    name: str
    bits_per_byte: float
    loss: float
    lzma: int
    brotli: int
    evaladapt: int | None

    @property
    def saving(self) -> float | None:
        """How much smaller the project's coder is than the better of the others, as a share."""
        return None if self.evaladapt is None else 1 - self.evaladapt / min(self.lzma, self.brotli)


@dataclass(frozen=True)
class QuantiseReport:
    """The table."""

    weights: str
    numbers: int
    targets: int
    rows: tuple[QuantiseRow, ...]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {**asdict(self), "rows": [{**asdict(row), "saving": row.saving} for row in self.rows]}

    def to_text(self) -> str:
        """As Markdown."""
        lines = [
            f"{self.weights}: {self.numbers:,} numbers in matrices; the embedding has 8 bits throughout; "
            f"bits per byte over {self.targets:,} targets",
            "",
            "| weights | bits per byte | loss | lzma -9 | brotli -q 11 | evaladapt | smaller by |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in self.rows:
            ours, saving = ("–", "–") if row.evaladapt is None else (f"{row.evaladapt:,}", f"{row.saving:.1%}")
            lines.append(
                f"| {row.name} | {row.bits_per_byte:.4f} | {row.loss:+.2%} | {row.lzma:,} | {row.brotli:,} "
                f"| {ours} | {saving} |"
            )
        return "\n".join(lines)


def run(settings: BenchSettings) -> QuantiseReport:
    """Measure on a finished training and a text that it has not seen."""
    if settings.weights is None:
        raise UsageError("bench quantise needs a finished training: --weights FOLDER. Make one with: evaladapt train")
    trained = read_trained_model(settings.weights)
    folder = settings.weights if settings.weights.is_dir() else settings.weights.parent
    tokenizer = SentencePieceTokenizer.load(folder / "tokenizer.model")
    stream = load_stream(settings.data, tokenizer)
    stream = stream.limit(min(stream.targets, settings.limit_tokens or DEFAULT_TARGETS))
    model = transformer_from_tensors(trained.model_config, trained.tensors)
    hessians = input_moments(model, own_text(model, CALIBRATION_ROWS, model.context, tokenizer.bos_id))
    windows = _windows(stream, model.context)
    arrays = as_arrays(trained.tensors)
    whole = _score(trained, {}, windows)
    rows = [_float_row(arrays, whole)]
    for scheme in SCHEMES:
        quantized = _quantise(arrays, scheme, hessians)
        rows.append(_row(scheme.name, quantized, _score(trained, quantized, windows), whole))
    numbers = sum(arrays[name].size for name in quantized)
    targets = windows.windows[:, 1:].size
    return QuantiseReport(str(settings.weights), numbers, targets, tuple(rows), environment("cpu"))


def _quantise(
    arrays: Mapping[str, Float32], scheme: Scheme, hessians: Mapping[str, Float32]
) -> dict[str, QuantizedMatrix]:
    plan = QuantisationPlan(matrix_bits=scheme.bits, row_scales=scheme.row_scales)
    result = {}
    for name, weights in arrays.items():
        if plan.bits_for(name, weights.shape) != FLOAT_BITS:
            matrix = as_matrix(weights)
            grid = plan.grid_for(name, weights.shape, matrix)
            careful = scheme.gptq and name in hessians
            result[name] = gptq(matrix, grid, hessians[name]) if careful else nearest(matrix, grid)
    return result


def _row(name: str, quantized: Mapping[str, QuantizedMatrix], score: float, whole: float) -> QuantiseRow:
    stream = b"".join(
        (one.codes.astype(np.int16) + one.grid.largest).astype(np.uint8).tobytes() for one in quantized.values()
    )
    ours = sum(len(encode_codes(one.codes, one.grid.largest)[1]) for one in quantized.values())
    return QuantiseRow(name, score, score / whole - 1, *_rivals(stream), ours)


def _float_row(arrays: Mapping[str, Float32], whole: float) -> QuantiseRow:
    plan = QuantisationPlan()
    matrices = [array for name, array in arrays.items() if plan.bits_for(name, array.shape) != FLOAT_BITS]
    return QuantiseRow("float32", whole, 0.0, *_rivals(b"".join(array.tobytes() for array in matrices)), None)


def _rivals(stream: bytes) -> tuple[int, int]:
    """Bytes under lzma and under brotli, each at its strongest."""
    try:
        import brotli
    except ImportError:
        raise EvaladaptError("bench quantise compares with brotli, which is missing: pip install brotli") from None
    return len(lzma.compress(stream, preset=9)), len(brotli.compress(stream, quality=11, lgwin=24))


def _score(trained: TrainedModel, quantized: Mapping[str, QuantizedMatrix], windows: HeldOut) -> float:
    tensors = dict(trained.tensors)
    for name, one in quantized.items():
        tensors[name] = torch.from_numpy(dequantize(one)).reshape(tensors[name].shape)
    model = transformer_from_tensors(trained.model_config, tensors)
    return bits_per_byte(model, windows, torch.device("cpu"))


def _windows(stream: TokenStream, context: int) -> HeldOut:
    """The stream cut into windows of ``context`` targets; what is left over at the end is not scored."""
    starts: Sequence[int] = range(0, len(stream.tokens) - context, context)
    if not starts:
        raise UsageError(f"bench quantise needs a text of more than {context} tokens; this one has {stream.targets}.")
    tokens = np.stack([stream.tokens[start : start + context + 1] for start in starts]).astype(np.int64)
    size = sum(int(stream.byte_lengths[start + 1 : start + context + 1].sum()) for start in starts)
    return HeldOut(stream.name, tokens, size)
