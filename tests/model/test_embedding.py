"""What the input reads of the token before, and where it does not."""

import torch

from evaladapt.model.embedding import BigramHash, Previous, SmearGate
from tests.model.features import BOS, CONFIGS

TOKENS = torch.tensor([[7, 9, BOS, 8, 8]])
OTHER = torch.tensor([[7, 33, BOS, 8, 8]])


def smeared(tokens: torch.Tensor, previous: Previous | None = None) -> torch.Tensor:
    """With embeddings that tell every token apart."""
    gate = SmearGate(CONFIGS["SmearGate"])
    return gate(tokens[..., None].float().expand(-1, -1, 32), tokens, previous)[..., 0]


def test_the_gate_halves_at_first_and_reads_nothing_across_a_boundary() -> None:
    expected = [3.5, 8.0, BOS / 2, (8 + BOS) / 2, 8.0]
    assert smeared(TOKENS)[0].tolist() == expected
    assert torch.equal(smeared(TOKENS)[:, 2:], smeared(OTHER)[:, 2:])


def test_a_document_opens_like_a_row() -> None:
    assert torch.equal(smeared(TOKENS)[:, 2:], smeared(TOKENS[:, 2:]))
    bigram = BigramHash(CONFIGS["BigramHash"])
    assert torch.equal(bigram.buckets(TOKENS, None)[:, 2:], bigram.buckets(TOKENS[:, 2:], None))


def test_a_bigram_does_not_read_across_a_boundary() -> None:
    bigram = BigramHash(CONFIGS["BigramHash"])
    before, after = bigram.buckets(TOKENS, None), bigram.buckets(OTHER, None)
    assert (before != after).tolist() == [[False, True, False, False, False]]
    assert before[0, 0] == before[0, 2] == 36


def test_buckets_are_the_published_hash() -> None:
    buckets = BigramHash(CONFIGS["BigramHash"]).buckets(TOKENS, None)
    assert buckets[0, 1] == (36313 * 9 ^ 27191 * 7) % 36
    assert buckets[0, 4] == (36313 * 8 ^ 27191 * 8) % 36


def test_a_continued_row_reads_its_last_token() -> None:
    previous = Previous(TOKENS[:, 2:3], torch.full((1, 1, 32), float(BOS)))
    assert torch.equal(smeared(TOKENS[:, 3:], previous), smeared(TOKENS)[:, 3:])
    bigram = BigramHash(CONFIGS["BigramHash"])
    assert torch.equal(bigram.buckets(TOKENS[:, 3:], previous), bigram.buckets(TOKENS, None)[:, 3:])


def test_a_new_table_of_bigrams_adds_nothing() -> None:
    assert not BigramHash(CONFIGS["BigramHash"])(TOKENS, None).any()
