from pathlib import Path

import numpy as np
import pytest
import torch

from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError, UsageError
from evaladapt.train.loader import Loader, Source

ROWS, CONTEXT = 5, 16


@pytest.fixture
def numbered(tmp_path: Path) -> tuple[Source, Source]:
    """Tokens that tell where they are: 0.. in two shards of the first source, 5000.. in the second."""
    write_shard(tmp_path / "a" / "train_000000.bin", np.arange(200))
    write_shard(tmp_path / "a" / "train_000001.bin", np.arange(1000, 1150))
    write_shard(tmp_path / "b" / "train_000000.bin", np.arange(5000, 5400))
    return Source(tmp_path / "a", 3.0), Source(tmp_path / "b", 1.0)


def loader(sources: tuple[Source, ...], seed: int = 0) -> Loader:
    return Loader(sources, 6000, ROWS, CONTEXT, seed)


def test_targets_are_the_inputs_one_token_later(numbered: tuple[Source, Source]) -> None:
    batch = loader(numbered).next_batch()
    assert batch.inputs.shape == batch.targets.shape == (ROWS, CONTEXT)
    assert batch.inputs.dtype == torch.int64
    assert torch.equal(batch.targets, batch.inputs + 1)


def test_sources_get_their_share_of_rows_at_every_moment(numbered: tuple[Source, Source]) -> None:
    reader = loader(numbered)
    from_a = 0
    for step in range(1, 50):
        from_a += int((reader.next_batch().inputs[:, 0] < 5000).sum())
        assert abs(from_a - 0.75 * step * ROWS) <= 1
    assert reader.state() == [from_a, 49 * ROWS - from_a]


def test_a_pass_visits_every_window_once_and_the_next_pass_differs(numbered: tuple[Source, Source]) -> None:
    reader = loader(numbered[:1])
    per_pass = (200 - CONTEXT) // CONTEXT + (150 - CONTEXT) // CONTEXT
    firsts = torch.cat([reader.next_batch().inputs[:, 0] for _ in range(8)]).tolist()
    one, two = firsts[:per_pass], firsts[per_pass : 2 * per_pass]
    assert len(set(one)) == per_pass
    assert len({first % CONTEXT for first in one if first < 1000}) == 1
    assert all(abs(x - y) >= CONTEXT for x in one for y in one if x != y)
    assert one != two


def test_equal_seeds_give_equal_batches_and_others_do_not(numbered: tuple[Source, Source]) -> None:
    one, same, other = loader(numbered), loader(numbered), loader(numbered, seed=1)
    batches = [[r.next_batch().inputs for _ in range(10)] for r in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(batches[0], batches[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(batches[0], batches[2], strict=True))


def test_a_loaded_state_continues_where_it_was_saved(numbered: tuple[Source, Source]) -> None:
    reader = loader(numbered)
    for _ in range(13):
        reader.next_batch()
    continued = loader(numbered)
    continued.load_state(reader.state())
    for _ in range(20):
        assert torch.equal(reader.next_batch().inputs, continued.next_batch().inputs)


def test_a_state_with_other_sources_is_refused(numbered: tuple[Source, Source]) -> None:
    with pytest.raises(DataError, match="has 1 sources, this command names 2"):
        loader(numbered).load_state([3])


def test_source_arguments(tmp_path: Path) -> None:
    assert Source.parse("some/web=0.6") == Source(Path("some/web"), 0.6)
    assert Source.parse("some/web") == Source(Path("some/web"), 1.0)
    for wrong in ("web=0", "web=x", "web=-1", "web=inf", "web=nan"):
        with pytest.raises(UsageError, match="not a positive number"):
            Source.parse(wrong)


def test_missing_and_short_shards_are_told(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"holds no train_\*\.bin.*evaladapt data prepare"):
        Loader([Source(tmp_path)], 300, ROWS, CONTEXT, 0)
    write_shard(tmp_path / "train_000000.bin", np.arange(20))
    with pytest.raises(DataError, match="too short: no train shard has 32 tokens"):
        Loader([Source(tmp_path)], 300, ROWS, CONTEXT, 0)
