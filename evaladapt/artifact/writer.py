"""Weights in, one ``.eva`` file out: quantise, code, describe, seal, and write whole or not at all.

``pack`` calls :func:`write_artifact` with what the trainer left; ``fit`` calls :func:`build_artifact` to learn the
size first. The same input gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaladapt.artifact.coding import coders
from evaladapt.artifact.container import StoredTensor, pack_container
from evaladapt.artifact.gptq import gptq
from evaladapt.artifact.manifest import (
    TOKENIZER_NAME,
    Manifest,
    TensorEntry,
    TokenizerEntry,
    check_name,
    checksum,
)
from evaladapt.artifact.plan import FLOAT_BITS, QuantisationPlan
from evaladapt.artifact.problems import ArtifactTooLarge
from evaladapt.artifact.quantize import FLOAT16, INT_MATRIX, INT_ROWS, Float32, nearest, to_float16
from evaladapt.artifact.reader import Artifact, read_artifact
from evaladapt.errors import ArtifactError
from evaladapt.system.files import write_atomically
from evaladapt.system.strict_json import canonical_json

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ArtifactContent:
    """What goes into an artifact, before quantisation. Weights are float32 arrays."""

    model_config: Mapping[str, Any]
    tensors: Mapping[str, Float32]
    tokenizer_model: bytes
    metadata: Mapping[str, Any]
    hessians: Mapping[str, Float32] = field(default_factory=dict)
    """Second moments of the inputs, by weight; where there is one, GPTQ rounds."""


def write_artifact(
    path: Path,
    model_config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    tokenizer_model: bytes,
    metadata: Mapping[str, Any],
    plan: QuantisationPlan | None = None,
    max_bytes: int | None = None,
    hessians: Mapping[str, Float32] | None = None,
) -> Artifact:
    """Write ``path`` and return it as the reader sees it: what is used later is what was stored.

    Args:
        path: the file; its folder is made if need be.
        model_config: the configuration as JSON-ready values.
        tensors: weights by name, any float type and device; every value finite.
        tokenizer_model: a sentencepiece model's bytes.
        metadata: JSON-ready facts about the making, shown by ``evaladapt artifact show``.
        plan: bits by weight.
        max_bytes: refuse to write more than this.
        hessians: second moments ``[C, C]`` of the inputs of weights ``[R, C]``, by name. These weights are rounded by
            GPTQ, all others to the nearest code.

    Raises:
        ArtifactError: a weight cannot be stored.
        ArtifactTooLarge: the file would exceed ``max_bytes``; nothing is written.
        DataError: the disk refuses; nothing half-written stays.
    """
    content = ArtifactContent(model_config, as_arrays(tensors), tokenizer_model, metadata, hessians or {})
    return save_artifact(path, build_artifact(content, plan or QuantisationPlan(), max_bytes))


def save_artifact(path: Path, data: bytes) -> Artifact:
    """Write what :func:`build_artifact` built, and return it as the reader sees it. Raises :class:`DataError`."""
    write_atomically(path, [data])
    return read_artifact(path)


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, Float32]:
    """Weights as float32 numpy arrays."""
    return {name: tensor.detach().cpu().float().contiguous().numpy() for name, tensor in tensors.items()}


def as_matrix(weights: Float32) -> Float32:
    """Rows and columns as the format counts them: the first axis, and the others together."""
    return weights.reshape(weights.shape[0] if weights.ndim > 1 else 1, -1)


def build_artifact(content: ArtifactContent, plan: QuantisationPlan, max_bytes: int | None = None) -> bytes:
    """The file's bytes.

    Raises:
        ArtifactError: a weight cannot be stored.
        ArtifactTooLarge: there would be more than ``max_bytes``.
    """
    stored: list[StoredTensor] = []
    entries: dict[str, TensorEntry] = {}
    for name, weights in sorted(content.tensors.items()):
        check_name(name)
        try:
            _check_values(weights)
            entries[name], parts = _store(name, weights, plan, content.hessians.get(name))
        except ArtifactError as error:
            raise ArtifactError(f"weight {name!r}: {error}") from error
        stored += parts
    tokenizer, payload = _tokenizer(content.tokenizer_model)
    stored.append(payload)
    name, times = Counter(tensor.name for tensor in stored).most_common(1)[0]
    if times > 1:
        raise ArtifactError(f"two weights would both be stored as {name!r}; rename one.")
    manifest = Manifest(_json_ready(content.model_config), _json_ready(content.metadata), entries, tokenizer)
    data = pack_container(stored, manifest.to_json())
    if max_bytes is not None and len(data) > max_bytes:
        raise ArtifactTooLarge(
            f"The file would take {len(data):,} bytes, {len(data) - max_bytes:,} over the limit of {max_bytes:,}. "
            "Lower --bits, or leave them out and let --max-bytes choose."
        )
    return data


def _check_values(weights: Float32) -> None:
    if not weights.size:
        raise ArtifactError(f"has no values (shape {list(weights.shape)})")
    if not np.isfinite(weights).all():
        raise ArtifactError("holds NaN or infinity; the training diverged")


def _store(
    name: str, weights: Float32, plan: QuantisationPlan, hessian: Float32 | None
) -> tuple[TensorEntry, list[StoredTensor]]:
    shape = weights.shape
    if plan.bits_for(name, shape) == FLOAT_BITS:
        data = to_float16(weights).astype("<f2").tobytes()
        entry = TensorEntry(shape, FLOAT16, FLOAT_BITS, 0, coders.RAW, (checksum(data),))
        return entry, [StoredTensor(name, "F16", shape, data)]
    matrix = as_matrix(weights)
    grid = plan.grid_for(name, shape, matrix)
    quantized = nearest(matrix, grid) if hessian is None else gptq(matrix, grid, hessian)
    coder, codes = coders.encode_codes(quantized.codes, grid.largest, plan.coders)
    scales = grid.scales.astype("<f2").tobytes()
    quantizer = INT_MATRIX if len(grid.scales) == 1 else INT_ROWS
    entry = TensorEntry(shape, quantizer, grid.bits, grid.exponent, coder, (checksum(codes), checksum(scales)))
    codes_name, scales_name = entry.stored_names(name)
    return entry, [
        StoredTensor(codes_name, "U8", (len(codes),), codes),
        StoredTensor(scales_name, "F16", grid.scales.shape, scales),
    ]


def _tokenizer(model: bytes) -> tuple[TokenizerEntry, StoredTensor]:
    if not model:
        raise ArtifactError("the tokenizer model is empty")
    packed = coders.lzma_encode(model)
    coder, data = (coders.LZMA, packed) if len(packed) < len(model) else (coders.RAW, model)
    return TokenizerEntry(len(model), coder, checksum(data)), StoredTensor(TOKENIZER_NAME, "U8", (len(data),), data)


def _json_ready(value: Mapping[str, Any]) -> dict[str, Any]:
    try:
        canonical_json(dict(value))
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"metadata and model configuration must be plain JSON values: {error}") from error
    return dict(value)
