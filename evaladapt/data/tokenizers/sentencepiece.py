"""Sentencepiece models as tokenizers that know the bytes of every token.

From here come token ids (for the stream, the shards and the trainer) and ``piece_bytes``, the bytes each id adds to the
decoded text, on which all byte accounting stands. A tokenizer is *lossless* when every text comes back unchanged; the
ones trained by :func:`train_tokenizer` are, the contest's are not (they normalise).

The round trip of a lossless tokenizer has one trap. Sentencepiece writes a space as U+2581, so a U+2581 of the text
itself would come back as a space. It is therefore never shown to sentencepiece: its three UTF-8 bytes become three byte
tokens.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import sentencepiece

from evaladapt.data.text import read_bytes
from evaladapt.data.tokenizer import TokenIds, Tokenizer, refuse_surrogates
from evaladapt.data.tokenizers.sentencepiece_model import made_of_pieces, normalizer_spec
from evaladapt.errors import DataError

SPACE_MARK = "\u2581"
TRAINING_LINE_CHARS = 4000
CHUNK_CHARS = 65_536


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model and its byte table."""

    def __init__(self, model_bytes: bytes) -> None:
        self.model_bytes = model_bytes
        self._model = sentencepiece.SentencePieceProcessor()
        try:
            self._model.LoadFromSerializedProto(model_bytes)
            self._normalizer = normalizer_spec(model_bytes)
            self._made_of_pieces = made_of_pieces(model_bytes)
            self._piece_bytes = [self._bytes_of(index) for index in range(self.vocab_size)]
        except (RuntimeError, ValueError) as error:
            raise DataError(f"Not a sentencepiece model: {error}") from error
        if self.bos_id < 0:
            raise DataError(
                "The tokenizer has no BOS piece, and every document starts with one. Train it with bos_id set."
            )

    @classmethod
    def load(cls, path: str | Path) -> SentencePieceTokenizer:
        """Read a ``.model`` file.

        Raises:
            DataError: missing, empty, or not a sentencepiece model with a BOS piece.
        """
        try:
            return cls(read_bytes(Path(path)))
        except DataError as error:
            if str(path) in str(error):
                raise
            raise DataError(f"{path}: {error}") from error

    @cached_property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return int(self._model.vocab_size())

    @cached_property
    def bos_id(self) -> int:
        """The BOS piece."""
        return int(self._model.bos_id())

    @cached_property
    def sha256(self) -> str:
        """Of the model file."""
        return hashlib.sha256(self.model_bytes).hexdigest()

    @cached_property
    def drops_leading_space(self) -> bool:
        """Whether decoding drops one space at the start of a document, because encoding put one there."""
        return self._normalizer.add_dummy_prefix

    @cached_property
    def drops_leading_spaces(self) -> bool:
        """Whether decoding drops all spaces at the start of a document, as encoding did."""
        return self._normalizer.remove_extra_whitespaces

    @property
    def piece_bytes(self) -> list[bytes]:
        """The bytes each id adds to the decoded text, one entry an id; control and unknown pieces add none."""
        return self._piece_bytes

    def _bytes_of(self, index: int) -> bytes:
        model = self._model
        piece: str = model.id_to_piece(index)
        if model.is_control(index) or model.is_unknown(index) or model.is_unused(index):
            return b""
        if model.is_byte(index):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE_MARK, " ").encode("utf-8")

    @cached_property
    def pieces(self) -> list[str]:
        """The pieces as the model spells them, with U+2581 for a space."""
        return [self._model.id_to_piece(index) for index in range(self.vocab_size)]

    @cached_property
    def byte_piece_ids(self) -> frozenset[int]:
        """Ids of the pieces that stand for one byte each."""
        return frozenset(index for index in range(self.vocab_size) if self._model.is_byte(index))

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of control, unknown and unused pieces."""
        model = self._model
        return frozenset(
            i for i in range(self.vocab_size) if model.is_control(i) or model.is_unknown(i) or model.is_unused(i)
        )

    @cached_property
    def _byte_ids(self) -> list[int] | None:
        ids = {self.piece_bytes[index][0]: index for index in self.byte_piece_ids}
        return [ids[value] for value in range(256)] if len(ids) == 256 else None

    @cached_property
    def _joined_pairs(self) -> frozenset[str]:
        """Every two characters that stand side by side in some piece; between any others a text has a token's end."""
        spelled = (piece.replace(SPACE_MARK, " ") for piece in self.pieces)
        return frozenset(piece[at : at + 2] for piece in spelled for at in range(len(piece) - 1))

    def chunks(self, blocks: Iterable[str]) -> Iterator[str]:
        """Stretches of about 65,536 characters, each ending between two characters that no piece holds together.

        BPE merges into pieces only, so no token changes. A unigram model's best path is a sum of rounded numbers: in a
        document of several stretches, near ties may fall otherwise than sentencepiece's. A model that rewrites text, or
        is made of whole words, gets the document whole.
        """
        if not (self._normalizer.identity and self._byte_ids and self._made_of_pieces):
            yield "".join(blocks)
            return
        held, wanted = "", CHUNK_CHARS
        for block in blocks:
            for start in range(0, len(block), CHUNK_CHARS):
                held += block[start : start + CHUNK_CHARS]
                while len(held) > wanted:
                    cut = self._last_cut(held, wanted)
                    if cut:
                        yield held[:cut]
                        held = held[cut:]
                    wanted = CHUNK_CHARS if cut else wanted + CHUNK_CHARS
        if held:
            yield held

    def _last_cut(self, text: str, end: int) -> int:
        """The last place in the chunk before ``end`` that no piece reaches over; 0 where there is none."""
        pairs = self._joined_pairs
        places = range(end, max(0, end - CHUNK_CHARS), -1)
        return next((at for at in places if text[at - 1 : at + 1] not in pairs), 0)

    def encode(self, text: str) -> TokenIds:
        """Token ids of one document, int32, without BOS.

        A long document goes through sentencepiece in chunks, whose working memory is many times the text.

        Raises:
            DataError: the text holds a lone surrogate, which has no UTF-8 bytes.
        """
        refuse_surrogates(text)
        if self._byte_ids is None or not self._normalizer.identity:
            return np.asarray(self._model.encode(text), dtype=np.int32)
        mark = np.array([self._byte_ids[value] for value in SPACE_MARK.encode("utf-8")], dtype=np.int32)
        arrays: list[TokenIds] = []
        for chunk in self.chunks([text]):
            for number, part in enumerate(chunk.split(SPACE_MARK)):
                arrays += [mark] if number else []
                arrays.append(np.asarray(self._model.encode(part), dtype=np.int32))
        return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, dtype=np.int32), *arrays])


def train_tokenizer(documents: Iterable[str], vocab_size: int) -> SentencePieceTokenizer:
    """Train a lossless byte-pair tokenizer of ``vocab_size`` pieces on the documents. The same text gives the same
    model.

    Raises:
        DataError: the vocabulary cannot be filled from this text, or does not hold the 256 bytes.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_training_lines(documents),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=0.9995,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            byte_fallback=True,
            split_digits=True,
            user_defined_symbols=["\n"],
            unk_id=0,
            bos_id=1,
            eos_id=-1,
            pad_id=-1,
            max_sentence_length=8 * TRAINING_LINE_CHARS,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(f"Cannot train a tokenizer of {vocab_size} pieces: {error}") from error
    return SentencePieceTokenizer(model.getvalue())


def _training_lines(documents: Iterable[str]) -> Iterator[str]:
    """Lines as the trainer wants them: no NUL, no literal U+2581, and not longer than it would silently skip."""
    for document in documents:
        for line in document.replace("\0", "").replace(SPACE_MARK, "").split("\n"):
            for start in range(0, len(line), TRAINING_LINE_CHARS):
                yield line[start : start + TRAINING_LINE_CHARS]
