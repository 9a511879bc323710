"""From an ``.eva`` file to weights, refusing everything that is not exactly one artifact.

Order of checks: what kind of file it is, the container's layout, the manifest, the seal, then one tensor at a time.
Nothing is allocated for a size the limits have not granted. The engine calls :func:`read_artifact`; ``evaladapt
artifact show`` stops at :func:`open_artifact`, which needs neither torch nor the coder.
"""

from __future__ import annotations

import builtins
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaladapt.artifact.coding import coders
from evaladapt.artifact.container import Container, StoredTensor, parse_container
from evaladapt.artifact.files import read_regular_file, refuse_other_kinds
from evaladapt.artifact.limits import Limits
from evaladapt.artifact.manifest import TOKENIZER_NAME, Manifest, TensorEntry, checksum, parse_manifest
from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.artifact.quantize import FLOAT16, Float32, Grid, QuantizedMatrix, dequantize, largest_code
from evaladapt.errors import ArtifactError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Artifact:
    """A frozen model with its tokenizer."""

    path: Path
    bytes: int
    """The file's size: the number that limits are about."""
    sha256: str
    """Of the whole file."""
    model_config: dict[str, Any]
    tensors: dict[str, Tensor]
    """Float32 weights by name, on the CPU."""
    tokenizer_model: builtins.bytes
    metadata: dict[str, Any]


@dataclass(frozen=True)
class SealedFile:
    """A checked but not yet decoded artifact."""

    path: Path
    bytes: int
    sha256: str
    header_bytes: int
    manifest: Manifest
    stored: dict[str, StoredTensor]

    def stored_bytes(self, name: str) -> int:
        """What weight ``name`` takes in the file, codes and scales, without its share of the header."""
        return sum(len(self.stored[part].data) for part in self.manifest.tensors[name].stored_names(name))


def read_artifact(path: str | Path, limits: Limits | None = None) -> Artifact:
    """Read and decode the artifact at ``path``.

    Raises:
        ArtifactError: one of the kinds in ``problems``; the message begins with the path.
    """
    import torch

    limits = limits or Limits()
    file = open_artifact(path, limits)
    try:
        tensors = {name: torch.from_numpy(_decode(file, name)) for name in file.manifest.tensors}
        tokenizer = _decode_tokenizer(file)
    except ArtifactError as error:
        raise type(error)(f"{path}: {error}") from error
    return Artifact(file.path, file.bytes, file.sha256, file.manifest.model, tensors, tokenizer, file.manifest.metadata)


def open_artifact(path: str | Path, limits: Limits | None = None) -> SealedFile:
    """Read the file, check its layout, manifest, seal and checksums, and decode nothing.

    Raises:
        ArtifactError: as :func:`read_artifact`.
    """
    limits = limits or Limits()
    return check_content(Path(path), read_regular_file(path, limits), limits)


def tokenizer_in(file: SealedFile) -> builtins.bytes:
    """The tokenizer inside a checked file; no weight is decoded and torch not imported.

    Raises:
        ArtifactError: as :func:`read_artifact`.
    """
    try:
        return _decode_tokenizer(file)
    except ArtifactError as error:
        raise type(error)(f"{file.path}: {error}") from error


def check_content(path: Path, content: builtins.bytes, limits: Limits) -> SealedFile:
    """:func:`open_artifact` for bytes already read; ``path`` is for messages."""
    try:
        refuse_other_kinds(content)
        container = parse_container(content, limits)
        manifest = parse_manifest(container.manifest, limits)
        _check_tensors(container, manifest)
        if not container.seal_holds(content):
            raise DamagedArtifact("The file's header was changed after it was sealed. Fetch it again.")
    except ArtifactError as error:
        raise type(error)(f"{path}: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    return SealedFile(path, len(content), digest, container.header_bytes, manifest, container.tensors)


def _check_tensors(container: Container, manifest: Manifest) -> None:
    """Every stored tensor belongs to the manifest, has the dtype and size it must have, and its checksum."""
    expected: dict[str, tuple[str, tuple[int, ...] | None, str]] = {}
    expected[TOKENIZER_NAME] = ("U8", None, manifest.tokenizer.crc32)
    for name, entry in manifest.tensors.items():
        for part, check in zip(entry.stored_names(name), entry.crc32, strict=True):
            if part in expected:
                raise DamagedArtifact(f"Two weights claim the stored tensor {part!r}.")
            expected[part] = (*_stored_form(entry, part), check)
    odd = sorted(set(expected) ^ set(container.tensors))
    if odd:
        where = "the manifest lacks" if odd[0] in container.tensors else "the file lacks"
        raise DamagedArtifact(f"Manifest and file disagree: {where} {odd[0][:80]!r}.")
    for name, (dtype, shape, check) in expected.items():
        tensor = container.tensors[name]
        if tensor.dtype != dtype or (len(tensor.shape) != 1 if shape is None else tensor.shape != shape):
            raise DamagedArtifact(f"Tensor {name!r} is {tensor.dtype} {list(tensor.shape)}; the manifest disagrees.")
        if checksum(tensor.data) != check:
            raise DamagedArtifact(f"Tensor {name!r} is damaged: its checksum differs. Fetch the file again.")


def _stored_form(entry: TensorEntry, part: str) -> tuple[str, tuple[int, ...] | None]:
    """dtype and shape in the container; codes are as long as coding made them."""
    if entry.quantizer == FLOAT16:
        return "F16", entry.shape
    return ("U8", None) if part.endswith(".codes") else ("F16", (entry.scales,))


def _decode(file: SealedFile, name: str) -> Float32:
    entry = file.manifest.tensors[name]
    parts = [file.stored[part].data for part in entry.stored_names(name)]
    try:
        if entry.quantizer == FLOAT16:
            values = np.frombuffer(parts[0], "<f2").astype(np.float32)
        else:
            values = _decode_codes(entry, *parts)
        if not np.isfinite(values).all():
            raise DamagedArtifact("it holds NaN or infinity")
    except ArtifactError as error:
        raise type(error)(f"weight {name!r}: {error}.") from error
    return values.reshape(entry.shape)


def _decode_codes(entry: TensorEntry, codes: bytes, scales: bytes) -> Float32:
    matrix = coders.decode_codes(entry.coder, codes, entry.matrix_shape, largest_code(entry.bits))
    factors = np.frombuffer(scales, "<f2").astype(np.float16)
    return dequantize(QuantizedMatrix(matrix, Grid(factors, entry.exponent, entry.bits)))


def _decode_tokenizer(file: SealedFile) -> bytes:
    entry, data = file.manifest.tokenizer, file.stored[TOKENIZER_NAME].data
    if entry.coder == coders.LZMA:
        return coders.lzma_decode(data, entry.size)
    if len(data) != entry.size:
        raise DamagedArtifact(f"the tokenizer has {len(data)} bytes and declares {entry.size}")
    return data
