"""The manifest: what an artifact says about itself, as one JSON string in the container's metadata.

The writer builds a :class:`Manifest` and stores its canonical text; the reader parses that text field by field.
Nothing is optional and nothing unknown is skipped: a field that a reader ignores is a place to hide a difference.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaladapt.artifact.coding.coders import CODE_CODERS, CODERS, LZMA, RAW, unknown_coder
from evaladapt.artifact.container import SEAL_NAME, parse_part, whole_numbers
from evaladapt.artifact.limits import Limits
from evaladapt.artifact.problems import DamagedArtifact, LimitExceeded, UnsupportedArtifact
from evaladapt.artifact.quantize import FLOAT16, INT_MATRIX, MAX_BITS, MAX_EXPONENT, MIN_BITS, QUANTIZERS
from evaladapt.errors import near_miss
from evaladapt.system.strict_json import canonical_json

FORMAT = "eva"
VERSION = 1
TOKENIZER_NAME = "tokenizer"
RESERVED_NAMES = (TOKENIZER_NAME, SEAL_NAME)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}")


@dataclass(frozen=True)
class TensorEntry:
    """How one weight is stored. ``float16@1`` has 16 ``bits`` and ``exponent`` 0 and stores neither."""

    shape: tuple[int, ...]
    quantizer: str
    bits: int
    exponent: int
    coder: str
    crc32: tuple[str, ...]
    """Of the stored tensors, in the order of :meth:`stored_names`."""

    @property
    def values(self) -> int:
        """How many numbers the weight has."""
        return math.prod(self.shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of the code matrix: the first axis, and the others together."""
        rows = self.shape[0] if len(self.shape) > 1 else 1
        return rows, self.values // rows

    @property
    def scales(self) -> int:
        """How many scales are stored."""
        return 1 if self.quantizer == INT_MATRIX else self.matrix_shape[0]

    def stored_names(self, name: str) -> tuple[str, ...]:
        """Names in the container of what belongs to weight ``name``."""
        return (name,) if self.quantizer == FLOAT16 else (f"{name}.codes", f"{name}.scales")


@dataclass(frozen=True)
class TokenizerEntry:
    """The tokenizer model: its length after decoding, and how it is coded."""

    size: int
    coder: str
    crc32: str


@dataclass(frozen=True)
class Manifest:
    """Everything but the numbers."""

    model: dict[str, Any]
    metadata: dict[str, Any]
    tensors: dict[str, TensorEntry]
    tokenizer: TokenizerEntry

    def to_json(self) -> str:
        """The canonical text."""
        return canonical_json(
            {
                "format": FORMAT,
                "version": VERSION,
                "model": self.model,
                "metadata": self.metadata,
                "tensors": {name: _entry_fields(entry) for name, entry in self.tensors.items()},
                "tokenizer": {
                    "bytes": self.tokenizer.size,
                    "coder": self.tokenizer.coder,
                    "crc32": self.tokenizer.crc32,
                },
            }
        )


def checksum(data: bytes) -> str:
    """CRC-32 as eight hexadecimal digits. It names the damaged tensor; the seal is what vouches for the file."""
    return f"{zlib.crc32(data):08x}"


def check_name(name: str) -> None:
    """Refuse names of weights that could be taken for paths or for tensors of the format itself."""
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise DamagedArtifact(
            f"{name[:80]!r} cannot name a weight: letters, digits, '_', '-' and single dots, at most 128, "
            f"and not {' or '.join(RESERVED_NAMES)}."
        )


def parse_manifest(text: str, limits: Limits) -> Manifest:
    """Read a manifest.

    Raises:
        UnsupportedArtifact: another format version, or a quantiser or coder unknown here.
        LimitExceeded: more values, or larger numbers in the configuration, than allowed.
        DamagedArtifact: anything else that is not as :meth:`Manifest.to_json` writes it.
    """
    fields = parse_part(text, "The manifest", limits)
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise DamagedArtifact(f"The manifest does not say that its format is {FORMAT!r}.")
    _check_version(fields.get("version"))
    _check_fields(fields, "format version model metadata tensors tokenizer", "The manifest")
    if canonical_json(fields) != text:
        raise DamagedArtifact("The manifest is not canonical JSON (sorted keys, no spaces, ASCII).")
    for key in ("model", "metadata", "tensors", "tokenizer"):
        if not isinstance(fields[key], dict):
            raise DamagedArtifact(f"The manifest's {key!r} is not an object.")
    _check_config(fields["model"], limits)
    tensors = {name: _parse_entry(name, entry) for name, entry in fields["tensors"].items()}
    values = sum(entry.values for entry in tensors.values())
    if values > limits.values:
        raise LimitExceeded(f"The weights have {values} numbers; the limit is {limits.values}.")
    return Manifest(fields["model"], fields["metadata"], tensors, _parse_tokenizer(fields["tokenizer"], limits))


def _check_version(version: object) -> None:
    if type(version) is not int or version < 1:
        raise DamagedArtifact(f"The manifest's version is {str(version)[:40]!r}, not a positive whole number.")
    if version > VERSION:
        raise UnsupportedArtifact(
            f"The artifact has format version {version}; this evaladapt reads version {VERSION}. "
            "Update it: pip install -U evaladapt"
        )


def _check_fields(fields: object, expected: str, where: str) -> None:
    names = set(expected.split())
    if not isinstance(fields, dict):
        raise DamagedArtifact(f"{where} is not an object.")
    if set(fields) != names:
        odd = sorted(set(fields) ^ names)
        raise DamagedArtifact(f"{where} lacks or does not know {', '.join(repr(name[:40]) for name in odd[:4])}.")


def _check_config(model: Mapping[str, Any], limits: Limits) -> None:
    """Cap the numbers before anyone builds a model from them."""
    for key, value in model.items():
        if isinstance(value, int | float) and abs(value) > limits.config_number:
            raise LimitExceeded(f"The model's {key[:40]!r} is {value:.4g}; the limit is {limits.config_number}.")


def _entry_fields(entry: TensorEntry) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "shape": list(entry.shape),
        "quantizer": entry.quantizer,
        "coder": entry.coder,
        "crc32": list(entry.crc32),
    }
    if entry.quantizer != FLOAT16:
        fields |= {"bits": entry.bits, "exponent": entry.exponent}
    return fields


def _parse_entry(name: str, fields: Any) -> TensorEntry:
    check_name(name)
    where = f"The manifest's entry for {name!r}"
    quantizer = fields.get("quantizer") if isinstance(fields, dict) else None
    if not isinstance(quantizer, str):
        raise DamagedArtifact(f"{where} names no quantiser.")
    if quantizer not in QUANTIZERS:
        raise UnsupportedArtifact(
            f"{where}: quantiser {quantizer[:40]!r} is unknown.{near_miss(quantizer, QUANTIZERS)} "
            f"Known here: {', '.join(QUANTIZERS)}. A newer evaladapt may read it: pip install -U evaladapt"
        )
    whole = quantizer == FLOAT16
    _check_fields(fields, "shape quantizer coder crc32" + ("" if whole else " bits exponent"), where)
    shape = whole_numbers(fields["shape"], where)
    if 0 in shape or len(shape) > 8 or (not shape and not whole):
        raise DamagedArtifact(f"{where} has shape {list(shape)}.")
    bits = 16 if whole else _bounded(fields["bits"], MIN_BITS, MAX_BITS, f"{where}: bits")
    exponent = 0 if whole else _bounded(fields["exponent"], -MAX_EXPONENT, MAX_EXPONENT, f"{where}: exponent")
    coder = _known_coder(fields["coder"], (RAW,) if whole else CODE_CODERS, where)
    checks = fields["crc32"]
    if not isinstance(checks, list) or len(checks) != (1 if whole else 2):
        raise DamagedArtifact(f"{where} has the wrong number of checksums.")
    return TensorEntry(shape, quantizer, bits, exponent, coder, tuple(_crc(value, where) for value in checks))


def _parse_tokenizer(fields: Any, limits: Limits) -> TokenizerEntry:
    where = "The manifest's entry for the tokenizer"
    _check_fields(fields, "bytes coder crc32", where)
    size = _bounded(fields["bytes"], 0, 2**63, f"{where}: bytes")
    if size > limits.tokenizer_bytes:
        raise LimitExceeded(f"The tokenizer declares {size} bytes; the limit is {limits.tokenizer_bytes}.")
    return TokenizerEntry(size, _known_coder(fields["coder"], (LZMA, RAW), where), _crc(fields["crc32"], where))


def _known_coder(value: object, allowed: tuple[str, ...], where: str) -> str:
    if not isinstance(value, str):
        raise DamagedArtifact(f"{where} names no coder.")
    if value not in CODERS:
        raise unknown_coder(value, CODERS)
    if value not in allowed:
        raise DamagedArtifact(f"{where}: coder {value} does not apply; possible are {', '.join(allowed)}.")
    return value


def _bounded(value: object, low: int, high: int, where: str) -> int:
    if type(value) is not int or not low <= value <= high:
        raise DamagedArtifact(f"{where} is {str(value)[:40]}, not a whole number from {low} to {high}.")
    return value


def _crc(value: object, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{8}", value):
        raise DamagedArtifact(f"{where} has a checksum that is not eight hexadecimal digits.")
    return value
