"""How many bytes each token is worth: the denominator of bits per byte.

A token is worth the UTF-8 bytes it adds to the decoded text; summed over a stream that is the length of the text, and
:class:`~evaladapt.data.stream.TokenStream` refuses a stream where it is not. The contest counts by a table instead,
which agrees on its text; the tests hold both against each other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaladapt.data.tokenizer import Tokenizer

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
