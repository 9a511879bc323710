"""Whether a tokenizer keeps text whole, tried on texts made to break it.

What a tokenizer says about itself has been wrong: a sentencepiece model without a piece for the space declares no
normalisation at all and yet writes every space as the three bytes of its mark. So the claim is put to the test, once
for a tokenizer, in some milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from evaladapt.data.tokenizer import Tokenizer

SPELLINGS = 1000
"""Spellings of control ids and added tokens that are tried inside a text."""

_WHITE_SPACE = (
    " ", "  ", " a", "  a", "a ", "a  ", "a b", "a  b", "a   b", "\n", "\n\n", "a\n b", "\t", "\t\ta", "a \t b", "\r\n",
    "\r", "\v\f", "\u00a0", "a\u00a0b", "\u2003", "\u3000", "\u200b", "\ufeffa", "a\ufeff", "\u2028", "\x85",
)  # fmt: skip
_MARKS = (
    "\u2581",
    "a\u2581b",
    " \u2581",
    "\u2581 ",
    "\u2581\u2581",
    "\u0120",
    "\u010a",
    "##a",
    "</w>",
    "\ufffd",
    "\u2047",
)
_COMPATIBLE = (
    "e\u0301", "\u00e9", "\ufb01", "\uff21", "\u00bd", "\u212b", "\u00c5", "A\u030a", "\u1100\u1161", "\uac00",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u0130", "\u00df", "ABC", "\u2026", "\u2019", "I'm", "1,000.5",
)  # fmt: skip
_SPELLED = ("<s>", "</s>", "<unk>", "<|endoftext|>", "[MASK]", "<0x41>", "<0x0A>", "\0", "a\0b")


def keeps_text(tokenizer: Tokenizer) -> bool:
    """Whether every trial text comes back byte for byte."""
    return first_changed(tokenizer) is None


def first_changed(tokenizer: Tokenizer) -> str | None:
    """The first trial text that the tokenizer does not give back, or None."""
    for text in trial_texts(tokenizer):
        if tokenizer.decode_bytes(tokenizer.encode(text)) != text.encode("utf-8"):
            return text
    return None


def trial_texts(tokenizer: Tokenizer) -> Iterator[str]:
    """White space in every place, every byte of UTF-8, marks that tokenizers use, what normalisers change."""
    yield from _WHITE_SPACE
    yield from _MARKS
    yield from _COMPATIBLE
    yield from _SPELLED
    yield from _every_byte()
    for spelling in tokenizer.spellings_to_try[:SPELLINGS]:
        yield f"a {spelling} b"


def _every_byte() -> Iterator[str]:
    """Every byte that UTF-8 can hold: all characters of one and two bytes, and some from every row of longer ones."""
    yield "".join(map(chr, range(0x20)))
    yield "".join(map(chr, range(0x20, 0x800)))
    yield " ".join(map(chr, range(0x20, 0x800)))
    beyond = [code for code in range(0x800, 0x110000, 61) if not 0xD800 <= code <= 0xDFFF]
    yield "".join(map(chr, beyond))
    yield chr(0x10FFFF)
