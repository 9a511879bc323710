"""Every changed, missing or additional byte is one typed error. Never a crash, never a silent load."""

import pytest

from evaladapt.artifact import DamagedArtifact
from evaladapt.errors import ArtifactError
from tests.artifact.forge import check


def header_length(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def flipped(data: bytes, position: int, mask: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)


def test_the_undamaged_file_is_accepted(golden):
    assert check(golden).bytes == len(golden)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_the_header_is_an_artifact_error(golden, bit):
    for position in range(header_length(golden)):
        with pytest.raises(ArtifactError):
            check(flipped(golden, position, 1 << bit))


@pytest.mark.parametrize("mask", [0x10])
def test_every_flipped_byte_of_the_payload_is_damage(golden, mask):
    for position in range(header_length(golden), len(golden)):
        with pytest.raises(DamagedArtifact):
            check(flipped(golden, position, mask))


def test_truncation_at_every_length_is_an_artifact_error(golden):
    for length in range(len(golden)):
        with pytest.raises(ArtifactError):
            check(golden[:length])


@pytest.mark.parametrize("tail", [b"\0", b"\n", b"PK\x05\x06" + bytes(18), b"%PDF-1.7\n", bytes(4096)])
def test_trailing_bytes_are_damage(golden, tail):
    with pytest.raises(DamagedArtifact, match="follow the last tensor"):
        check(golden + tail)


def test_a_damaged_tensor_is_named(golden):
    with pytest.raises(DamagedArtifact, match=r"x\.eva: Tensor 'tokenizer' is damaged"):
        check(flipped(golden, golden.rindex(bytes((37 * k * k + 11) % 251 for k in range(8))), 1))


def test_a_change_that_only_the_seal_sees_is_damage(golden):
    position = golden.index(b'\\"steps\\":3') + len(b'\\"steps\\":')
    with pytest.raises(DamagedArtifact, match="sealed"):
        check(flipped(golden, position, 1))
