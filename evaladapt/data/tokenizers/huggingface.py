"""``tokenizer.json`` files, read by the ``tokenizers`` package, as tokenizers that know the bytes of every token.

Two spellings of bytes are understood. *Byte-level* (GPT-2, Pythia, Qwen, SmolLM, Llama 3) writes every byte as one
printable character, by GPT-2's table. *Metaspace with byte fallback* (Llama 2, Gemma, Mistral) writes a space as U+2581
and a character that is no piece as ``<0xNN>`` tokens. Anything else is refused, because the bytes of a token would be
a guess. Needs the extra ``hf``; imports neither transformers nor torch.

A text that spells a special token (``<|endoftext|>``) is text here: it never becomes that token, or a document could
open another. Where a metaspace tokenizer puts a space before a document that has none, a document that has one gets
another, so that both come back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaladapt.data.text import read_bytes
from evaladapt.data.tokenizer import TokenIds, Tokenizer, refuse_surrogates
from evaladapt.errors import DataError
from evaladapt.system.strict_json import read_json

if TYPE_CHECKING:
    import tokenizers

SETTINGS = "tokenizer_config.json"
SPACE_MARK = "\u2581"
BYTE_PIECE = re.compile("<0x[0-9A-Fa-f]{2}>")


class HuggingFaceTokenizer(Tokenizer):
    """A ``tokenizer.json``.

    Args:
        content: of the file.
        bos_id: what opens a document; :func:`open_tokenizer_json` finds it.
        vocab_size: of the model, where it has more ids than the tokenizer; ids above stand for nothing.

    Raises:
        DataError: not a tokenizer, or one whose tokens do not say their bytes.
    """

    def __init__(self, content: bytes, bos_id: int, vocab_size: int | None = None) -> None:
        self.content = content
        self._model = _parsed(content)
        self._spelling = _spelling(json.loads(self._model.to_str()))  # as the package understood what is written
        self._ids = {index: piece for piece, index in self._model.get_vocab(with_added_tokens=True).items()}
        self._size = max(self._ids, default=-1) + 1 if vocab_size is None else vocab_size
        self._bos_id = bos_id
        if not 0 <= bos_id < self._size or max(self._ids, default=0) >= self._size:
            raise DataError(
                f"The tokenizer has ids up to {max(self._ids, default=0)} and opens documents with {bos_id}; the model"
                f" has {self._size} ids. They do not belong together."
            )

    @property
    def vocab_size(self) -> int:
        """The model's."""
        return self._size

    @property
    def bos_id(self) -> int:
        """As given."""
        return self._bos_id

    @cached_property
    def sha256(self) -> str:
        """Of the file and the opening token."""
        return hashlib.sha256(self.content + f"{self._bos_id} {self._size}".encode()).hexdigest()

    @cached_property
    def pieces(self) -> list[str]:
        """The tokens as the file spells them; nothing for ids that it lacks."""
        return [self._ids.get(index, "") for index in range(self._size)]

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Special tokens, the unknown token, and ids without a token."""
        special = {index for index, added in self._added.items() if added.special}
        unknown = self._model.token_to_id(getattr(self._model.model, "unk_token", None) or "")
        absent = set(range(self._size)) - set(self._ids)
        return frozenset(special | absent | {self._bos_id} | ({unknown} if unknown is not None else set()))

    @cached_property
    def piece_bytes(self) -> list[bytes]:
        """The bytes each id adds to the decoded text."""
        return [self._bytes_of(index) for index in range(self._size)]

    @property
    def spellings_to_try(self) -> list[str]:
        """Of added tokens, which are cut out of a text before anything else, some with the spaces beside them."""
        return [self._ids[index] for index in sorted(self._added)]

    @property
    def drops_leading_space(self) -> bool:
        """Whether encoding puts a space before a document."""
        return self._spelling.puts_space_first

    def encode(self, text: str) -> TokenIds:
        """Token ids of one document, int32, without BOS.

        Raises:
            DataError: the text holds a lone surrogate, which has no UTF-8 bytes.
        """
        refuse_surrogates(text)
        if self._spelling.spares_leading_space and text.startswith(" "):
            text = " " + text
        return np.asarray(self._model.encode(text, add_special_tokens=False).ids, dtype=np.int32)

    @cached_property
    def _added(self) -> dict[int, tokenizers.AddedToken]:
        return dict(self._model.get_added_tokens_decoder())

    def _bytes_of(self, index: int) -> bytes:
        if index in self.special_ids:
            return b""
        piece = self._ids[index]
        if index in self._added:
            return piece.encode("utf-8")
        if self._spelling.byte_level:
            return _from_byte_level(piece)
        if BYTE_PIECE.fullmatch(piece):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE_MARK, " ").encode("utf-8")


def open_tokenizer_json(
    path: Path, vocab_size: int | None = None, config: Mapping[str, Any] | None = None
) -> HuggingFaceTokenizer:
    """Read a ``tokenizer.json`` with the ``tokenizer_config.json`` beside it, if there is one.

    What opens a document is the first that there is of: the BOS of the tokenizer's settings, the ``bos_token_id`` of
    the model's ``config``, and then the same two of EOS, which models without a BOS saw between documents.

    Raises:
        DataError: it cannot be used, or nothing opens a document.
    """
    content, settings = read_bytes(path), _settings(path.with_name(SETTINGS))
    model = _parsed(content)
    ids = (
        _id_of(model, settings.get("bos_token")),
        _first((config or {}).get("bos_token_id")),
        _id_of(model, settings.get("eos_token")),
        _first((config or {}).get("eos_token_id")),
    )
    opening = next((index for index in ids if index is not None), None)
    if opening is None:
        raise DataError(
            f"{path}: nothing names a BOS or an end-of-text token, and every document has to open with one. Say which"
            f' token it is, in {SETTINGS} beside it: {{"bos_token": "..."}}'
        )
    return HuggingFaceTokenizer(content, opening, vocab_size)


def _settings(path: Path) -> dict[str, Any]:
    settings = read_json(path) if path.is_file() else {}
    return settings if isinstance(settings, dict) else {}


def _id_of(model: tokenizers.Tokenizer, token: Any) -> int | None:
    """A token in the settings is a string, an object with its content, or null."""
    spelled = token.get("content") if isinstance(token, dict) else token
    return model.token_to_id(spelled) if isinstance(spelled, str) else None


def _first(index: Any) -> int | None:
    return index[0] if isinstance(index, list) and index else index if isinstance(index, int) else None


@dataclass(frozen=True)
class _Spelling:
    """How a tokenizer writes bytes and spaces."""

    byte_level: bool
    puts_space_first: bool
    """One space is put before every document, and decoding takes it away."""
    spares_leading_space: bool
    """It is not put where the document starts with one."""


def _parsed(content: bytes) -> tokenizers.Tokenizer:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would not survive a fork
    try:
        import tokenizers
    except ImportError:
        raise DataError(
            'A tokenizer.json needs the package "tokenizers". Install it: pip install "evaladapt[hf]"'
        ) from None
    try:
        model = tokenizers.Tokenizer.from_buffer(content)
    except Exception as error:  # the package raises plain Exception for whatever it cannot read
        raise DataError(f"Not a tokenizer.json: {error}") from error
    model.no_truncation()
    model.no_padding()
    model.encode_special_tokens = True
    return model


def _spelling(content: dict[str, Any]) -> _Spelling:
    decoders = list(_steps(content.get("decoder"), "decoders"))
    before = list(_steps(content.get("pre_tokenizer"), "pretokenizers"))
    normalizers = list(_steps(content.get("normalizer"), "normalizers"))
    kinds = {step["type"] for step in decoders}
    if "ByteLevel" in kinds:
        return _Spelling(True, False, False)
    spaces = [step for step in decoders if step["type"] in ("Replace", "Metaspace")]
    if not spaces or content.get("model", {}).get("type") not in ("BPE", "Unigram"):
        raise DataError(
            f"This tokenizer decodes by {', '.join(sorted(kinds)) or 'nothing'}: that does not say a token's bytes."
            " Byte-level tokenizers and metaspace ones (U+2581 for a space) do."
        )
    strips = any(step["type"] == "Strip" and step.get("start") for step in decoders)
    metaspaces = [step for step in before if step["type"] == "Metaspace" and _prepends(step)]
    prepended = any(step["type"] == "Prepend" for step in normalizers)
    decoder_strips = any(step["type"] == "Metaspace" and _prepends(step) for step in decoders)
    puts = (bool(metaspaces) or prepended) and (strips or decoder_strips)
    return _Spelling(False, puts, bool(metaspaces) and not prepended)


def _prepends(metaspace: dict[str, Any]) -> bool:
    return bool(
        metaspace.get("prepend_scheme", "always" if metaspace.get("add_prefix_space", True) else "never") != "never"
    )


def _steps(step: dict[str, Any] | None, inner: str) -> Iterator[dict[str, Any]]:
    """A step, or those of a sequence."""
    if step is None:
        return
    if step.get("type") == "Sequence":
        for one in step.get(inner, []):
            yield from _steps(one, inner)
    else:
        yield step


def _byte_characters() -> dict[str, int]:
    """GPT-2's table (``bytes_to_unicode`` in its encoder.py): printable bytes as themselves, others from U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [value for value in range(256) if value not in printable]
    return {chr(v): v for v in printable} | {chr(0x100 + place): value for place, value in enumerate(others)}


_BYTES = _byte_characters()


def _from_byte_level(piece: str) -> bytes:
    """The bytes of a piece; one with other characters in it stands for itself, as its own decoder has it."""
    if any(character not in _BYTES for character in piece):
        return piece.encode("utf-8")
    return bytes(_BYTES[character] for character in piece)
