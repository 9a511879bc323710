import pytest

from evaladapt.contract import hookimpl
from evaladapt.errors import EvaladaptError, PluginError
from evaladapt.judge import charging
from tests.codec.files import WORDS, Count, KilledError, decode_with, encode_with, killer
from tests.strategies import EVERY_KIND, StreamUnigram

CONTENT = WORDS[:100]


class Breaks(StreamUnigram):
    """Raises once a few batches are in the ledger."""

    @hookimpl
    def observe(self, scored):
        super().observe(scored)
        if scored.positions[-1] > 40:
            raise ValueError("broken")


@pytest.fixture(autouse=True)
def _snapshot_after_every_batch(monkeypatch):
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_an_encoding_killed_anywhere_ends_in_the_same_file(opened, tmp_path):
    whole = Count()
    encode_with(opened, CONTENT, tmp_path / "whole.evz", *EVERY_KIND, progress=whole)
    expected = (tmp_path / "whole.evz").read_bytes()
    for after in (1, 3, whole.batches):
        path = tmp_path / str(after) / "x.evz"
        with pytest.raises(KilledError):
            encode_with(opened, CONTENT, path, *EVERY_KIND, progress=killer(after))
        assert names(path.parent) == ["x.evz.checkpoint.ledger", "x.evz.checkpoint.snapshot"][:after]
        count = Count()
        encode_with(opened, CONTENT, path, *EVERY_KIND, resume=True, progress=count)
        assert count.batches == whole.batches - (after - 1)  # a kill in a batch comes before its snapshot
        assert path.read_bytes() == expected
        assert names(path.parent) == ["x.evz"]


def test_a_decoding_killed_anywhere_ends_in_the_text(opened, tmp_path):
    whole = Count()
    encode_with(opened, CONTENT, tmp_path / "x.evz", *EVERY_KIND, progress=whole)
    for after in (1, 3, whole.batches):
        out = tmp_path / str(after) / "x.txt"
        with pytest.raises(KilledError):
            decode_with(opened, tmp_path / "x.evz", out, *EVERY_KIND, progress=killer(after))
        assert names(out.parent) == ["x.txt.checkpoint.ledger", "x.txt.checkpoint.snapshot"][:after]
        count = Count()
        settings = {"resume": True, "progress": count}
        decode_with(opened, tmp_path / "x.evz", out, *EVERY_KIND, **settings)
        assert count.batches == whole.batches - (after - 1)  # a kill in a batch comes before its snapshot
        assert out.read_bytes() == CONTENT
        assert names(out.parent) == ["x.txt"]


def test_what_a_broken_strategy_ended_is_not_kept(opened, tmp_path):
    path = tmp_path / "encoding" / "x.evz"
    with pytest.raises(PluginError, match="broken"):
        encode_with(opened, CONTENT, path, Breaks)
    assert names(path.parent) == []


def test_the_checkpoint_of_another_text_is_not_continued(opened, tmp_path):
    path = tmp_path / "x.evz"
    with pytest.raises(KilledError):
        encode_with(opened, CONTENT, path, *EVERY_KIND, progress=killer(3))
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises(EvaladaptError, match="belongs to another run: text "):
        encode_with(opened, CONTENT[::-1], path, *EVERY_KIND, resume=True)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    encode_with(opened, CONTENT[::-1], path, *EVERY_KIND)
    decode_with(opened, path, tmp_path / "x.txt", *EVERY_KIND)
    assert (tmp_path / "x.txt").read_bytes() == CONTENT[::-1]
