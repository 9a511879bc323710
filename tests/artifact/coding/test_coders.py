import lzma

import brotli
import numpy as np
import pytest

from evaladapt.artifact import DamagedArtifact, UnsupportedArtifact
from evaladapt.artifact.coding.coders import BELLS, LZMA, decode_codes, encode_codes, lzma_decode, lzma_encode
from evaladapt.artifact.quantize import nearest, searched_grid

KNOWN_STREAM = bytes.fromhex("e003e700120000000054e82a601c8fee402c1d7470cd34db0000")
"""What one liblzma made of 1,000 bytes ``k % 7``; every later one must read it."""


def trained_like(rows=512, columns=512):
    """Bell-shaped, with columns that differ in scale as the inputs of a trained matrix do."""
    generator = np.random.default_rng(0)
    weights = generator.standard_normal((rows, columns)) * np.exp(0.45 * generator.standard_normal(columns))
    weights = weights.astype(np.float32)
    return nearest(weights, searched_grid(weights, 6)).codes


def symbols(codes, largest=31):
    return (codes.astype(np.int16) + largest).astype(np.uint8).tobytes()


def test_range_coding_beats_lzma_and_brotli_where_columns_differ():
    codes = trained_like()
    coder, payload = encode_codes(codes, 31)
    others = [len(lzma.compress(symbols(codes), preset=9)), len(brotli.compress(symbols(codes), quality=11))]
    assert coder == BELLS
    assert len(payload) < 0.97 * min(others)


def test_codes_that_follow_no_bell_curve_come_back():
    """Two heaps and nothing between them."""
    generator = np.random.default_rng(0)
    heaps = np.where(generator.random((256, 256)) < 0.5, -20, 20)
    codes = (heaps + np.rint(3 * generator.standard_normal((256, 256)))).clip(-31, 31).astype(np.int8)
    coder, payload = encode_codes(codes, 31)
    assert (decode_codes(coder, payload, codes.shape, 31) == codes).all()


def test_only_the_named_coders_compete():
    codes = trained_like(64, 64)
    assert encode_codes(codes, 31, (LZMA,))[0] == LZMA


def test_lzma_is_taken_where_rows_repeat():
    codes = np.tile(trained_like(4, 64), (100, 1))
    coder, payload = encode_codes(codes, 31)
    assert coder == LZMA
    assert (decode_codes(coder, payload, codes.shape, 31) == codes).all()


def test_a_code_at_either_end_survives_lzma():
    codes = np.array([[-127, 127]] * 300, np.int8)
    assert (decode_codes(LZMA, lzma_encode(symbols(codes, 127)), codes.shape, 127) == codes).all()


def test_lzma_streams_of_today_are_read_for_ever():
    assert lzma_decode(KNOWN_STREAM, 1000) == bytes(k % 7 for k in range(1000))


@pytest.mark.parametrize("declared", [0, 1, 999, 1001, 10**9])
def test_lzma_output_must_be_what_was_declared(declared):
    with pytest.raises(DamagedArtifact, match="exactly"):
        lzma_decode(KNOWN_STREAM, declared)


def test_an_unknown_coder_is_named_with_the_near_miss():
    with pytest.raises(UnsupportedArtifact, match=r"'range@1' is unknown. Did you mean 'range@2'"):
        decode_codes("range@1", b"", (1, 1), 31)
