import pytest

from evaladapt.contract import hookimpl
from evaladapt.engine import loop
from evaladapt.errors import PluginError
from tests.codec.files import WORDS, KilledError, decode_with, encode_with, killer
from tests.strategies import EVERY_KIND, StreamUnigram

CONTENT = WORDS[:100]


class Breaks(StreamUnigram):
    """Raises once a few batches are in the ledger."""

    @hookimpl
    def observe(self, scored):
        super().observe(scored)
        if scored.positions[-1] > 40:
            raise ValueError("broken")


class Count:
    """A progress that counts batches."""

    def __init__(self):
        self.batches = 0

    def __call__(self, done, total):
        self.batches += 1


@pytest.fixture(autouse=True)
def _snapshot_after_every_batch(monkeypatch):
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_an_encoding_killed_anywhere_ends_in_the_same_file(frozen, tmp_path):
    encoded = encode_with(frozen, CONTENT, tmp_path / "whole.evz", *EVERY_KIND)
    expected = (tmp_path / "whole.evz").read_bytes()
    for after in (1, 3, encoded.outcome.batches):
        path = tmp_path / str(after) / "x.evz"
        with pytest.raises(KilledError):
            encode_with(frozen, CONTENT, path, *EVERY_KIND, progress=killer(after))
        assert names(path.parent) == ["x.evz.checkpoint.ledger", "x.evz.checkpoint.snapshot"]
        count = Count()
        encode_with(frozen, CONTENT, path, *EVERY_KIND, resume=True, progress=count)
        assert count.batches == encoded.outcome.batches - after
        assert path.read_bytes() == expected
        assert names(path.parent) == ["x.evz"]


def test_a_decoding_killed_anywhere_ends_in_the_text(frozen, tmp_path):
    encoded = encode_with(frozen, CONTENT, tmp_path / "x.evz", *EVERY_KIND)
    for after in (1, 3, encoded.outcome.batches):
        out = tmp_path / str(after) / "x.txt"
        with pytest.raises(KilledError):
            decode_with(frozen, tmp_path / "x.evz", out, *EVERY_KIND, progress=killer(after))
        assert names(out.parent) == ["x.txt.checkpoint.ledger", "x.txt.checkpoint.snapshot"]
        count = Count()
        settings = {"resume": True, "progress": count}
        decode_with(frozen, tmp_path / "x.evz", out, *EVERY_KIND, **settings)
        assert count.batches == encoded.outcome.batches - after
        assert out.read_bytes() == CONTENT
        assert names(out.parent) == ["x.txt"]


def test_what_a_broken_strategy_ended_is_not_kept(frozen, tmp_path):
    path = tmp_path / "encoding" / "x.evz"
    with pytest.raises(PluginError, match="broken"):
        encode_with(frozen, CONTENT, path, Breaks)
    assert names(path.parent) == []


def test_the_checkpoint_of_another_text_is_not_continued(frozen, tmp_path):
    path = tmp_path / "x.evz"
    with pytest.raises(KilledError):
        encode_with(frozen, CONTENT, path, *EVERY_KIND, progress=killer(3))
    encode_with(frozen, CONTENT[::-1], path, *EVERY_KIND, resume=True)
    decode_with(frozen, path, tmp_path / "x.txt", *EVERY_KIND)
    assert (tmp_path / "x.txt").read_bytes() == CONTENT[::-1]
