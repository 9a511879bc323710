"""The outer shell of an artifact: a safetensors file with two dtypes, no holes and a seal.

``pack_container`` turns named byte strings into one file's bytes; ``parse_container`` turns them back after checking
every number in the header. The layout is that of https://github.com/huggingface/safetensors (little-endian header
length, JSON header, tensors back to back); that library reads these files, and this reader is stricter than it. The
last tensor, ``seal``, is the SHA-256 of every byte before it: no part of the file, header included, can change
unnoticed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evaladapt.artifact.limits import Limits
from evaladapt.artifact.problems import DamagedArtifact, LimitExceeded, NotAnArtifact
from evaladapt.system.strict_json import BeyondLimit, Malformed, TextLimits, canonical_json, parse_json

LENGTH_BYTES = 8
METADATA_KEY = "evaladapt"
SEAL_NAME = "seal"
SEAL_BYTES = 32
ITEM_BYTES = {"F16": 2, "U8": 1}


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as it lies in the file; ``dtype`` is ``"F16"`` or ``"U8"``."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Container:
    """A parsed file: tensors by name (the seal excluded) and the manifest text."""

    tensors: dict[str, StoredTensor]
    manifest: str
    header_bytes: int
    sealed_bytes: int
    """Length of what the seal covers."""
    seal: bytes

    def seal_holds(self, content: bytes) -> bool:
        """Whether ``content``, the whole file, is what was sealed."""
        return hashlib.sha256(content[: self.sealed_bytes]).digest() == self.seal


def pack_container(tensors: Iterable[StoredTensor], manifest: str) -> bytes:
    """The bytes of the file. Wider dtypes come first, so that F16 data is aligned; names decide the rest."""
    ordered = sorted(tensors, key=lambda tensor: (tensor.dtype != "F16", tensor.name))
    sealed = [*ordered, StoredTensor(SEAL_NAME, "U8", (SEAL_BYTES,), b"\0" * SEAL_BYTES)]
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: manifest}}
    start = 0
    for tensor in sealed:
        stop = start + len(tensor.data)
        header[tensor.name] = {"data_offsets": [start, stop], "dtype": tensor.dtype, "shape": list(tensor.shape)}
        start = stop
    text = canonical_json(header).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    content = b"".join([len(text).to_bytes(LENGTH_BYTES, "little"), text, *(tensor.data for tensor in ordered)])
    return content + hashlib.sha256(content).digest()


def parse_container(content: bytes, limits: Limits) -> Container:
    """Check and split a file's bytes. The seal is located but not yet compared, so that the caller can say more.

    Raises:
        NotAnArtifact: plain safetensors.
        DamagedArtifact: the header or the layout contradicts itself or the file's length.
        LimitExceeded: the header is longer, deeper or wider than ``limits`` allow.
    """
    header_length = _header_length(content, limits)
    header = _parse_header(content[LENGTH_BYTES : LENGTH_BYTES + header_length], limits)
    metadata = header.pop("__metadata__", None)
    if len(header) > limits.tensors:
        raise LimitExceeded(f"The header lists {len(header)} tensors; the limit is {limits.tensors}.")
    if SEAL_NAME not in header:
        raise NotAnArtifact(
            "This is a safetensors file, but not a sealed .eva artifact. What evaladapt train wrote is packed first:"
            " evaladapt pack FILE. A Hugging Face model opens as its folder: evaladapt run hf:FOLDER"
        )
    start = LENGTH_BYTES + header_length
    tensors = _split(header, memoryview(content)[start:])
    seal = tensors.pop(SEAL_NAME)
    if seal.dtype != "U8" or len(seal.data) != SEAL_BYTES or not content.endswith(seal.data):
        raise DamagedArtifact(f"The file does not end with a {SEAL_BYTES}-byte tensor {SEAL_NAME!r}.")
    manifest = _manifest_text(metadata)
    return Container(tensors, manifest, header_length, len(content) - SEAL_BYTES, seal.data)


def _header_length(content: bytes, limits: Limits) -> int:
    if len(content) < LENGTH_BYTES + 2:
        raise DamagedArtifact(f"The file has {len(content)} bytes, too few for any artifact: it is cut off.")
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if length > limits.header_bytes:
        raise LimitExceeded(
            f"The first 8 bytes announce a header of {length} bytes; the limit is {limits.header_bytes}. "
            "Usually such a file is no artifact at all, or its first bytes were changed."
        )
    if LENGTH_BYTES + length > len(content):
        raise DamagedArtifact(f"The header needs {length} bytes, the file ends after {len(content)}: it is cut off.")
    if length < 2 or content[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{":
        raise DamagedArtifact("The header does not start with '{'.")
    return length


def _parse_header(raw: bytes, limits: Limits) -> dict[str, Any]:
    header = parse_part(raw, "The header", limits)
    if not isinstance(header, dict):
        raise DamagedArtifact("The header is not a JSON object.")
    return header


def _manifest_text(metadata: object) -> str:
    if not isinstance(metadata, Mapping) or set(metadata) != {METADATA_KEY}:
        raise DamagedArtifact(f"The header's __metadata__ must hold the key {METADATA_KEY!r} and no other.")
    text = metadata[METADATA_KEY]
    if not isinstance(text, str):
        raise DamagedArtifact(f"__metadata__.{METADATA_KEY} is not a string.")
    return text


def _split(header: Mapping[str, Any], data: memoryview) -> dict[str, StoredTensor]:
    """Cut ``data`` at the offsets of ``header``, which must cover it exactly once."""
    entries = sorted((_entry(name, fields) for name, fields in header.items()), key=lambda entry: entry.offsets)
    tensors = {}
    expected = 0
    for entry in entries:
        start, stop = entry.offsets
        if start != expected:
            kind = "overlaps the tensor before it" if start < expected else "leaves a hole before it"
            raise DamagedArtifact(f"Tensor {entry.name[:80]!r} {kind}: it starts at {start}, not {expected}.")
        if stop > len(data):
            raise DamagedArtifact(
                f"Tensor {entry.name[:80]!r} ends at {stop}, the file's data at {len(data)}: it is cut off."
            )
        tensors[entry.name] = StoredTensor(entry.name, entry.dtype, entry.shape, bytes(data[start:stop]))
        expected = stop
    if expected != len(data):
        raise DamagedArtifact(f"{len(data) - expected} bytes follow the last tensor; an artifact ends with its seal.")
    return tensors


@dataclass(frozen=True)
class _Entry:
    name: str
    dtype: str
    shape: tuple[int, ...]
    offsets: tuple[int, int]


def _entry(name: str, fields: object) -> _Entry:
    where = f"Tensor {name[:80]!r}"
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise DamagedArtifact(f"{where} must have dtype, shape and data_offsets and nothing else.")
    dtype = fields["dtype"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise DamagedArtifact(f"{where} has dtype {str(dtype)[:40]!r}; artifacts hold {' and '.join(ITEM_BYTES)}.")
    shape, offsets = whole_numbers(fields["shape"], where), whole_numbers(fields["data_offsets"], where)
    if len(offsets) != 2 or 0 in shape:
        raise DamagedArtifact(f"{where} has an empty shape or offsets that are not a pair.")
    if len(shape) > 8 or offsets[1] - offsets[0] != math.prod(shape) * ITEM_BYTES[dtype]:
        raise DamagedArtifact(f"{where} has a shape that does not match its length of {offsets[1] - offsets[0]} bytes.")
    return _Entry(name, dtype, shape, (offsets[0], offsets[1]))


def parse_part(text: str | bytes, what: str, limits: Limits) -> Any:
    """Strict JSON inside an artifact; ``what`` names the part.

    Raises:
        LimitExceeded: nested deeper than ``limits`` allow.
        DamagedArtifact: anything that is not strict JSON.
    """
    try:
        return parse_json(text, what, TextLimits(depth=limits.json_depth))
    except BeyondLimit as error:
        raise LimitExceeded(str(error)) from error
    except Malformed as error:
        raise DamagedArtifact(str(error)) from error


def whole_numbers(value: object, where: str) -> tuple[int, ...]:
    """A JSON list of non-negative integers (no booleans) as a tuple. Raises :class:`DamagedArtifact`."""
    if not isinstance(value, list) or any(type(number) is not int or not 0 <= number < 2**63 for number in value):
        raise DamagedArtifact(f"{where}: {str(value)[:80]} is not a list of whole numbers.")
    return tuple(value)
