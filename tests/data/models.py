"""Sentencepiece models of other kinds than ours, trained on a few words."""

from __future__ import annotations

import io

import sentencepiece

from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

WORDS = "the cat sat on the mat and the dog ran to the cat and the other dog sat down"


def other_tokenizer(words: str = WORDS, **options: object) -> SentencePieceTokenizer:
    """A tokenizer with sentencepiece's defaults (dummy prefix, extra spaces removed, NFKC) unless told otherwise."""
    model = io.BytesIO()
    settings = {"vocab_size": 300, "model_type": "bpe", "byte_fallback": True, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([words] * 4), model_writer=model, **settings)
    return SentencePieceTokenizer(model.getvalue())
