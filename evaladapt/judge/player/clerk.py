"""A stranger's tokenizer beside a text: asked in its own process, and believed as far as its tokens are the text."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import Any

import numpy as np

from evaladapt.data.tokenizer import TokenIds, Tokenizer, refuse_surrogates
from evaladapt.engine.loop import Settings
from evaladapt.engine.player.protocol import MOST_STATE, Kind
from evaladapt.errors import DataError, PluginError
from evaladapt.judge.player.players import Player, refuse_unsealed
from evaladapt.judge.player.ready import MOST_TOKENS
from evaladapt.judge.player.recipe import Recipe
from evaladapt.system.strict_json import Fields, Malformed, parse_json

MOST_DESCRIPTION = 256 << 20
WHAT = "what the tokenizer's process says of it"


class ClerkTokenizer(Tokenizer):
    """A tokenizer in a sealed process; its table of bytes was fixed before the first text.

    The process ends with this object. It knows texts, so it stands still but while it is asked: what it does to the
    machine beside a player would tell that something.
    """

    def __init__(self, model: str, recipe: Recipe) -> None:
        """Start and seal it.

        Raises:
            EvaladaptError: it cannot be opened or sealed.
        """
        self._model, self._player = model, Player(recipe)
        self._end = weakref.finalize(self, self._player.close)
        try:
            self._said = _checked(self._player.receive({Kind.READY: MOST_DESCRIPTION})[1])
            unsealed = refuse_unsealed(self._player.seal())
        except BaseException:
            self._end()
            raise
        if unsealed:
            self._end()
            raise PluginError(f"{model}: its tokenizer is a stranger's code, and there is {unsealed}. Add --inline")

    @property
    def vocab_size(self) -> int:
        """Of its table."""
        return len(self._said["piece_bytes"])

    @property
    def bos_id(self) -> int:
        """As it said."""
        return int(self._said["bos_id"])

    @property
    def sha256(self) -> str:
        """As it said."""
        return str(self._said["sha256"])

    @cached_property
    def piece_bytes(self) -> list[bytes]:
        """As it said."""
        return [bytes.fromhex(piece) for piece in self._said["piece_bytes"]]

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """As it said."""
        return frozenset(self._said["special_ids"])

    @property
    def drops_leading_space(self) -> bool:
        """As it said."""
        return bool(self._said["drops_leading_space"])

    @property
    def drops_leading_spaces(self) -> bool:
        """As it said."""
        return bool(self._said["drops_leading_spaces"])

    def encode(self, text: str) -> TokenIds:
        """Ask it.

        Raises:
            DataError: its tokens are not the text's bytes; what it leaves out, nobody would be charged for.
        """
        refuse_surrogates(text)
        content = self._tokens_of(text.encode())
        ids = np.frombuffer(content[: len(content) // 4 * 4], "<i4").copy()
        within = not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < self.vocab_size)
        if not within or not self.special_ids.isdisjoint(ids.tolist()) or self.decode_bytes(ids) != text.encode():
            raise DataError(
                f"{self._model}: its tokenizer does not keep the text: the bytes of its tokens are others. A tokenizer"
                " of a stranger's family has to bring every text back byte for byte; --inline runs it UNCHECKED"
            )
        return ids

    def _tokens_of(self, document: bytes) -> bytes:
        self._player.child.go_on()
        self._player.say(Kind.DOCUMENT, document)
        content = self._player.receive({Kind.TOKENS: MOST_STATE})[1]
        self._player.child.stop()
        return content


def clerk_for(model: str, located: str, files: tuple[Any, ...]) -> ClerkTokenizer:
    """The tokenizer of a model of a stranger's family.

    Args:
        model: as it was named.
        located: the same from any folder.
        files: what the process may read.
    """
    return ClerkTokenizer(model, Recipe(model=located, model_files=files, names=(), options={}, settings=Settings(),
                                        tokenizer_only=True))  # fmt: skip


def _checked(content: bytes) -> dict[str, Any]:
    try:
        found = parse_json(content, WHAT)
        fields = Fields(found, WHAT)
        pieces = fields.each("piece_bytes")
        fields.whole("bos_id", 0, max(0, len(pieces) - 1))
        fields.text("sha256")
        special = fields.each("special_ids")
        if not 0 < len(pieces) <= MOST_TOKENS or not all(isinstance(one, int) for one in special):
            raise Malformed(f"{WHAT}: a table of {len(pieces)} tokens.")
        for piece in pieces:
            bytes.fromhex(piece)
        if any(pieces[one] for one in special):
            raise Malformed(f"{WHAT}: a special token that is text.")
        return {**found, "drops_leading_space": found["drops_leading_space"] is True,
                "drops_leading_spaces": found["drops_leading_spaces"] is True}  # fmt: skip
    except (Malformed, ValueError, TypeError, KeyError, IndexError) as error:
        raise PluginError(f"a tokenizer's process talks nonsense: {error}") from None
