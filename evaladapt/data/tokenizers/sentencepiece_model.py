"""The few fields of a sentencepiece model file that the Python wrapper does not show.

The file is a protocol buffer (sentencepiece_model.proto of the sentencepiece project): message ModelProto holds the
NormalizerSpec in field 3, whose fields 2 to 5 say what happens to a text before it is cut into pieces, and the
TrainerSpec in field 2, whose field 3 is the kind of model. Read here by hand, so that protobuf is no dependency.
``sentencepiece`` asks this to know what a model does to text and where a long text may be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MODEL_TRAINER, _MODEL_NORMALIZER = 2, 3
_TRAINER_MODEL_TYPE = 3
_UNIGRAM, _BPE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class NormalizerSpec:
    """What a model does to a text first. The defaults are those of the proto file for absent fields."""

    rewrites_characters: bool = False
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True

    @property
    def identity(self) -> bool:
        """Whether the text is left as it is, apart from the reversible mark for spaces."""
        changes = self.rewrites_characters or self.add_dummy_prefix or self.remove_extra_whitespaces
        return not changes and self.escape_whitespaces


def normalizer_spec(model: bytes) -> NormalizerSpec:
    """The normaliser of a serialised model.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    for number, value in _fields(model):
        if number == _MODEL_NORMALIZER and isinstance(value, bytes):
            found = dict(_fields(value))
            return NormalizerSpec(
                rewrites_characters=bool(found.get(2, b"")),
                add_dummy_prefix=bool(found.get(3, True)),
                remove_extra_whitespaces=bool(found.get(4, True)),
                escape_whitespaces=bool(found.get(5, True)),
            )
    return NormalizerSpec()


def made_of_pieces(model: bytes) -> bool:
    """Whether the model joins characters into pieces (unigram, the proto file's default, or BPE), not whole words.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    for number, value in _fields(model):
        if number == _MODEL_TRAINER and isinstance(value, bytes):
            return dict(_fields(value)).get(_TRAINER_MODEL_TYPE, _UNIGRAM) in (_UNIGRAM, _BPE)
    return True


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value of every field of a message, in the file's order."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at + size > len(message):
            raise ValueError(f"field {number} runs past the end of the model")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The base-128 integer at ``at``, and the position after it."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise ValueError("a number runs past the end of the model")
