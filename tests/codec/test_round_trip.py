import subprocess
import sys

import pytest

from evaladapt.bench.codec import BEST
from evaladapt.codec.container import CRC, HEAD, read_evz
from evaladapt.codec.text import text_from_bytes, text_from_stream
from evaladapt.contract.composition import compose
from evaladapt.data.building import stream_from_documents
from evaladapt.engine.loop import Settings
from evaladapt.errors import UsageError
from evaladapt.judge.inline import InlineRun
from tests.codec.contents import CONTENTS
from tests.codec.files import SLIDING, WORDS, decode_by, encode_by, encode_with, round_trip
from tests.strategies import EVERY_KIND, DocumentUnigram, Hedge, StreamUnigram, WindowBias

OVERHEAD_LIMIT = 200


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_any_bytes_come_back(opened, tmp_path, content):
    round_trip(opened, tmp_path, content, StreamUnigram)


@pytest.mark.parametrize("classes", [(one,) for one in (*EVERY_KIND, DocumentUnigram)] + [(*EVERY_KIND, Hedge)])
def test_every_kind_of_strategy_and_all_together(opened, tmp_path, classes):
    round_trip(opened, tmp_path, WORDS[:120], *classes)


def test_the_size_is_the_runs_own_bits_and_a_header(opened, tmp_path):
    content = WORDS * 5
    encoded, path = round_trip(opened, tmp_path, content, StreamUnigram)
    assert encoded.outcome.targets > 600
    assert encoded.bits <= 8 * encoded.payload_bytes <= encoded.bits * 1.001 + 8 * 8
    assert encoded.header_bytes == HEAD.size + len(read_evz(path).recipe.to_json()) + CRC.size
    assert encoded.document_bytes == 0
    assert path.stat().st_size == encoded.file_bytes


@pytest.mark.parametrize("names", [("sliding",), BEST], ids=",".join)
def test_all_that_is_not_text_stays_below_200_bytes(opened, tmp_path, names):
    """Header, checksum, strategies, versions and the checks inside the coded text."""
    text = text_from_bytes(WORDS[:90], opened.tokenizer, "x")
    encoded = encode_by(opened, text, tmp_path / "x.evz", compose(names), batch=16)
    assert 8 * encoded.file_bytes <= encoded.bits * 1.001 + 8 * OVERHEAD_LIMIT


def test_the_bits_are_those_of_a_run_in_block_mode(opened, tmp_path):
    stream = stream_from_documents([WORDS.decode()], opened.tokenizer, "text")
    composition = compose(["sliding"], SLIDING)
    block = InlineRun(opened.backend, stream, composition, Settings(batch=3)).run()
    encoded = encode_with(opened, WORDS, tmp_path / "x.evz")
    assert encoded.bits == pytest.approx(block.bits, rel=1e-5)


def test_several_documents_start_where_they_started(opened, tmp_path):
    stream = stream_from_documents(["One text.", "", "Another one.", "And a third."], opened.tokenizer, "texts")
    text = text_from_stream(stream, opened.tokenizer)
    encoded = encode_by(opened, text, tmp_path / "x.evz", compose([]))
    assert encoded.outcome.targets == stream.targets
    assert encoded.document_bytes == len(text.document_starts) - 1
    assert read_evz(tmp_path / "x.evz").document_starts.tolist() == text.document_starts.tolist()
    decode_by(opened, tmp_path / "x.evz", tmp_path / "x.out")
    assert (tmp_path / "x.out").read_bytes() == b"One text.Another one.And a third."


def test_the_same_text_gives_the_same_file(opened, tmp_path):
    for name in ("a", "b"):
        encode_with(opened, WORDS[:60], tmp_path / name, WindowBias)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_options_and_seed_travel_with_the_file(opened, tmp_path):
    composition = compose(["ttt"], {"ttt": {"chunk": 8, "lr": 0.25}, "sliding": {"documents": "independent"}})
    text = text_from_bytes(WORDS[:60], opened.tokenizer, "x")
    encode_by(opened, text, tmp_path / "x.evz", composition, batch=2, seed=9)
    recipe = read_evz(tmp_path / "x.evz").recipe
    assert (recipe.batch, recipe.seed) == (2, 9)
    assert recipe.options == {"ttt": {"chunk": 8, "lr": 0.25}, "sliding": {"documents": "independent"}}
    decode_by(opened, tmp_path / "x.evz", tmp_path / "x.out")
    assert (tmp_path / "x.out").read_bytes() == WORDS[:60]


def test_a_strategy_that_peeks_cannot_be_encoded(opened, tmp_path):
    from evaladapt.testing.compositions import composition_of
    from tests.strategies import PeekingSpy

    text = text_from_bytes(b"words", opened.tokenizer, "x")
    with pytest.raises(UsageError, match="peekingspy peeks"):
        encode_by(opened, text, tmp_path / "x.evz", composition_of(PeekingSpy, allow_noncausal=True))
    assert not list(tmp_path.iterdir())


def test_the_weights_are_what_they_were_afterwards(opened, tmp_path):
    before = [one.clone() for _, one in opened.backend.named_parameters()]
    round_trip(opened, tmp_path, WORDS[:60], *EVERY_KIND)
    assert all((a == b).all() for a, (_, b) in zip(before, opened.backend.named_parameters(), strict=True))


def test_a_sealed_player_decodes_from_artifact_and_file_alone(opened, tiny_artifact, tmp_path):
    composition = compose(["slot-lbfgs"])
    encode_by(opened, WORDS[:80], tmp_path / "x.evz", composition, batch=16)
    command = [sys.executable, "-m", "evaladapt", "decode", str(tiny_artifact), "x.evz", "--out", "x.out"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "x.out").read_bytes() == WORDS[:80]
