"""How many bytes each token is worth: the denominator of bits per byte.

A token is worth the UTF-8 bytes it adds to the decoded text; summed over a stream that is the length of the text, and
:class:`~evaladapt.data.stream.TokenStream` refuses a stream where it is not. The contest counts by a table instead;
that rule is here too, with a comparison, because published scores rest on it and the usual errors (a space counted
twice, a byte piece counted as the three bytes of U+FFFD, a missing space piece) show up as a difference between the
two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SPACE_MARK

EXAMPLES = 5

AnyIds = npt.NDArray[np.integer]


def byte_lengths(tokens: AnyIds, tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
    """Bytes that each token adds to the decoded text, int32 of the tokens' shape; BOS and other control ids add 0.

    Where the tokenizer drops spaces at the start of a document, the token that holds them is worth that much less.
    """
    table = np.array([len(piece) for piece in tokenizer.piece_bytes], dtype=np.int32)
    lengths: npt.NDArray[np.int32] = table[tokens]
    if tokenizer.drops_leading_space or tokenizer.drops_leading_spaces:
        spaced = np.array([piece.startswith(b" ") for piece in tokenizer.piece_bytes])
        opens = (tokens[:-1] == tokenizer.bos_id) & spaced[tokens[1:]]
        for position in np.flatnonzero(opens) + 1:
            _drop_leading(lengths, tokens, int(position), tokenizer)
    return lengths


def _drop_leading(lengths: npt.NDArray[np.int32], tokens: AnyIds, position: int, tokenizer: Tokenizer) -> None:
    """Take the dropped spaces off the tokens from ``position``, the first of its document, on."""
    if not tokenizer.drops_leading_spaces:
        lengths[position] -= 1
        return
    while position < len(tokens) and tokens[position] != tokenizer.bos_id:
        lengths[position] = len(tokenizer.piece_bytes[tokens[position]].lstrip(b" "))
        if lengths[position]:
            return
        position += 1


def contest_byte_lengths(tokens: TokenIds, tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
    """Bytes of each token by the contest's table (``build_sentencepiece_luts`` of the Parameter Golf baseline).

    Control, unknown and unused pieces 0; byte pieces 1; other pieces the UTF-8 length of their name without one leading
    U+2581, plus 1 for that mark unless the token before is a control, unknown or unused piece. The first token of a
    stream counts 0.
    """
    size = tokenizer.vocab_size
    base, lead, boundary = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for index, piece in enumerate(tokenizer.pieces):
        if index in tokenizer.special_ids:
            boundary[index] = True
        elif index in tokenizer.byte_piece_ids:
            base[index] = 1
        else:
            lead[index] = piece.startswith(SPACE_MARK)
            base[index] = len(piece.removeprefix(SPACE_MARK).encode("utf-8"))
    lengths = np.zeros(len(tokens), dtype=np.int32)
    lengths[1:] = base[tokens[1:]] + (lead[tokens[1:]] & ~boundary[tokens[:-1]])
    return lengths


@dataclass(frozen=True)
class Difference:
    """A token that the two rules count differently."""

    position: int
    piece: str
    own: int
    contest: int


@dataclass(frozen=True)
class ByteComparison:
    """Our count beside the contest's for one stream."""

    own: int
    contest: int
    differing: int
    examples: tuple[Difference, ...]

    @property
    def agree(self) -> bool:
        """Whether every single token has the same length under both rules."""
        return self.differing == 0

    def __str__(self) -> str:
        if self.agree:
            return f"{self.own:,} bytes by both rules"
        shown = "; ".join(f"token {e.position} {e.piece!r}: {e.own} and {e.contest}" for e in self.examples)
        share = 100 * (self.contest / self.own - 1) if self.own else 0.0
        return (
            f"{self.own:,} bytes added to the text, {self.contest:,} by the contest's table ({share:+.2f} %); "
            f"{self.differing:,} tokens differ: {shown}"
        )


def compare_rules(tokens: TokenIds, tokenizer: Tokenizer) -> ByteComparison:
    """Count a stream (``x_0`` is BOS) by both rules and show the first tokens on which they differ."""
    own, contest = byte_lengths(tokens, tokenizer), contest_byte_lengths(tokens, tokenizer)
    differing = np.flatnonzero(own != contest)
    examples = tuple(
        Difference(int(at), tokenizer.pieces[tokens[at]], int(own[at]), int(contest[at])) for at in differing[:EXAMPLES]
    )
    return ByteComparison(int(own.sum()), int(contest.sum()), len(differing), examples)
