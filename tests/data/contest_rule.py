"""The contest's count of bytes, which published scores rest on: an independent writing to hold ours against."""

import numpy as np
import numpy.typing as npt

from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SPACE_MARK


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
