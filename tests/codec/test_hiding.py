"""Cheats that no probe convicts in their own process: their bytes do not decode."""

import sys

import pytest

from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.text import text_from_bytes
from evaladapt.contract.composition import compose
from evaladapt.errors import ContractViolation
from tests.codec.files import WORDS, decode_with, encode_with
from tests.distributions import lay_out
from tests.zoo.undetected import Actor

CONTENT = WORDS[:140]
READS_WHEN_IMPORTED = """
from pathlib import Path
from evaladapt.contract import Capabilities, Stage, hookimpl

KNOWN = Path("KEPT").read_text()

class Early:
    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)
    def __init__(self, options): pass
    @hookimpl
    def transform_logits(self, logits):
        return logits * (1 + len(KNOWN) / 1000)
"""


def test_what_behaves_while_it_is_audited_does_not_decode(frozen, tmp_path):
    plain = encode_with(frozen, CONTENT, tmp_path / "plain.evz")
    cheated = encode_with(frozen, CONTENT, tmp_path / "x.evz", Actor)
    assert cheated.bits < 0.9 * plain.bits
    with pytest.raises(ContractViolation, match="does not come back") as caught:
        decode_with(frozen, tmp_path / "x.evz", tmp_path / "x.txt", Actor)
    assert caught.value.clause == "C1"
    assert not (tmp_path / "x.txt").exists()


def test_a_file_read_while_the_module_is_imported_is_not_there_for_the_decoder(frozen, tmp_path, monkeypatch):
    kept = tmp_path / "kept.txt"
    kept.write_text("the text")
    source = READS_WHEN_IMPORTED.replace("KEPT", str(kept))
    lay_out(tmp_path, monkeypatch, "early", "1", "early_reader", source, early="Early")
    text = text_from_bytes(CONTENT, frozen.tokenizer, "text")
    encode(frozen, text, compose(["sliding", "early"], {"sliding": {"stride": 4}}), tmp_path / "x.evz", batch=3)
    monkeypatch.delitem(sys.modules, "early_reader")  # a decoder is another process, and imports for itself
    with pytest.raises(ContractViolation, match="tried to read"):
        decode(frozen, tmp_path / "x.evz", tmp_path / "x.txt")
