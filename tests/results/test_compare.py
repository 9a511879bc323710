"""Every cell is what the run alone is, is run once, and any two rows are compared on the same documents."""

import json
import shutil

import numpy as np
import pytest

import evaladapt as ea
from evaladapt.engine.paired import paired_difference
from evaladapt.errors import DataError, UsageError
from evaladapt.results import grid
from evaladapt.results.statistics import holm

TEXTS = {
    "cats": ["The cat sat on the mat, and the cat sat on the mat again. " * 3, "A dog ran. " * 9, "The cat sat. " * 8],
    "dogs": ["A dog ran through the garden, and a dog ran home. " * 4, "Home is where the dog ran. " * 5],
}
ASKED = {
    "model": "micro",
    "text": TEXTS,
    "plugins": ["bias", "ngram"],
    "sweep": {"ngram.max_order": [3, 4]},
    "seeds": [0, 1],
    "inline": True,
}


@pytest.fixture(scope="module")
def comparison():
    return ea.compare(**ASKED)


def test_a_cell_is_what_the_run_alone_is(comparison):
    alone = ea.run("micro", TEXTS["dogs"], plugins="ngram[max_order=4]", seed=1, inline=True)
    (cell,) = [one for one in comparison.of_row("ngram[max_order=4]") if (one.text, one.seed) == ("dogs", 1)]
    assert cell.record.adapted.ledger_sha256 == alone.record.adapted.ledger_sha256
    assert cell.record.base.ledger_sha256 == alone.record.base.ledger_sha256
    assert cell.record.difference == alone.record.difference
    assert list(cell.result.documents()) == list(alone.documents())


def test_rows_are_means_and_are_ranked(comparison):
    assert comparison.names == ["sliding", "bias", "ngram[max_order=3]", "ngram[max_order=4]"]
    assert len(comparison.cells) == 2 * (1 + 3 * 2)
    for row in comparison.rows:
        scores = {(one.text, one.seed): one.record.adapted.bits_per_byte for one in comparison.of_row(row.name)}
        assert row.bpb == pytest.approx(np.mean([np.mean([v for (at, _), v in scores.items() if at == text])
                                                 for text in TEXTS]))  # fmt: skip
    ranked = sorted((row.bpb, row.rank) for row in comparison.rows if row.rank)
    assert [rank for _, rank in ranked] == [1, 2, 3]
    assert comparison.rows[0].rank is None
    assert comparison.rows[2].state_bytes > 0


def test_any_two_rows_are_paired_over_the_documents_of_all_texts(comparison):
    found = comparison.difference("ngram[max_order=3]", "bias")
    nats = {}
    for name in ("ngram[max_order=3]", "bias"):
        by_cell = {
            (one.text, one.seed): [row.bits for row in one.result.documents()] for one in comparison.of_row(name)
        }
        nats[name] = np.concatenate([np.mean([by_cell[text, 0], by_cell[text, 1]], axis=0) for text in TEXTS])
    sizes = np.array([len(one.encode()) for text in TEXTS.values() for one in text])
    naive = paired_difference(nats["ngram[max_order=3]"] * np.log(2), nats["bias"] * np.log(2), sizes)
    assert found.bpb == pytest.approx(naive.bpb)
    assert (found.low, found.high) == pytest.approx((naive.low, naive.high))
    assert (found.better, found.worse, found.documents) == (naive.better, naive.worse, 5)


def test_a_percentage_is_told_where_it_is_one():
    one = ea.compare("micro", TEXTS["cats"], ["ngram"], inline=True).rows[1]
    assert one.percent == pytest.approx(100 * one.difference.bpb / one.base_bpb)
    assert one.bpb - one.base_bpb == pytest.approx(one.difference.bpb)


def test_over_several_texts_a_change_is_no_difference_of_means(comparison):
    row = comparison.rows[2]
    assert row.percent is None
    assert row.bpb - row.base_bpb != pytest.approx(row.difference.bpb)
    assert "change pools the documents of all texts" in comparison.table(80)
    assert "bpb: mean over 2 texts of the mean over 2 seeds" in comparison.table(80)


def test_p_values_are_corrected_for_all_rows(comparison):
    rows = comparison.rows[1:]
    assert [row.p_holm for row in rows] == pytest.approx(holm([row.p for row in rows]))
    assert comparison.rows[0].p is None
    for row in rows:
        assert row.contest == comparison.contest("sliding", row.name)
        assert row.contest.nats * comparison.contest("sliding", row.name).needed_bpb / 0.005 == pytest.approx(
            -row.difference.bpb
        )


def test_an_unknown_row_is_told_the_near_miss(comparison):
    with pytest.raises(UsageError, match="Did you mean 'bias'"):
        comparison.difference("sliding", "bia")


def test_it_is_a_data_frame_and_a_folder(comparison, tmp_path):
    frame = comparison.to_pandas()
    assert len(frame) == len(comparison.cells)
    assert frame["gain"].to_list() == pytest.approx((frame["base_bpb"] - frame["bpb"]).to_list())
    comparison.save(tmp_path / "kept")
    again = ea.open_comparison(tmp_path / "kept")
    assert again.table(80) == comparison.table(80)
    assert json.dumps(again.to_json()) == json.dumps(comparison.to_json())
    with pytest.raises(UsageError, match="there already"):
        comparison.save(tmp_path / "kept")


@pytest.mark.parametrize("width", [80, 130, 200])
def test_the_table_fits(comparison, width):
    lines = comparison.table(width).splitlines()
    assert all(len(line) <= width for line in lines if "per byte" not in line)
    assert f"{comparison.rows[1].bpb:.4f}" in comparison.table(width)


class Killed(BaseException):
    """Ends a comparison like a signal does."""


def test_killed_and_resumed_it_is_the_same_and_nothing_is_run_twice(comparison, tmp_path, monkeypatch):
    runs, real, most = [], grid.carry_out, 6

    def counted(request, *arguments, **named):
        if len(runs) == most:
            raise Killed
        runs.append(request.folder.name)
        return real(request, *arguments, **named)

    monkeypatch.setattr(grid, "carry_out", counted)
    with pytest.raises(Killed):
        ea.compare(**ASKED, folder=tmp_path / "grid")
    with pytest.raises(DataError, match=r"not finished.*--resume"):
        ea.open_comparison(tmp_path / "grid")
    before = list(runs)
    monkeypatch.setattr(
        grid, "carry_out", lambda request, *a, **n: (runs.append(request.folder.name), real(request, *a, **n))[1]
    )
    again = ea.compare(**ASKED, folder=tmp_path / "grid", resume=True)
    assert len(before) == 6
    assert len(runs) == len(set(runs)) == len(comparison.cells)
    same = [[one.record.adapted.ledger_sha256 for one in each.cells] for each in (again, comparison)]
    assert same[0] == same[1]
    assert [(row.name, row.bpb, row.p_holm, row.rank) for row in again.rows] == [
        (row.name, row.bpb, row.p_holm, row.rank) for row in comparison.rows
    ]


def test_another_comparison_in_the_folder_is_refused(comparison, tmp_path):
    comparison.save(tmp_path / "grid")
    with pytest.raises(UsageError, match="holds a comparison already"):
        ea.compare(**ASKED, folder=tmp_path / "grid")
    with pytest.raises(UsageError, match=r"another comparison: its seeds are \[0, 1\]"):
        ea.compare(**{**ASKED, "seeds": [0]}, folder=tmp_path / "grid", resume=True)


def test_a_text_that_changed_in_between_is_noticed(comparison, tmp_path):
    comparison.save(tmp_path / "grid")
    victim = next(one for one in comparison.cells if one.text == "dogs" and not one.place.is_base)
    other = next(one for one in comparison.cells if one.text == "cats" and one.composition == victim.composition)
    shutil.rmtree(tmp_path / "grid" / victim.place.name)
    shutil.copytree(tmp_path / "grid" / other.place.name, tmp_path / "grid" / victim.place.name)
    with pytest.raises(DataError, match="another text"):
        ea.open_comparison(tmp_path / "grid")


def test_several_models_have_a_base_each_and_rows_of_their_own():
    found = ea.compare(["micro", "default"], TEXTS["cats"], ["bias"], inline=True)
    assert found.names == ["sliding · micro", "bias · micro", "sliding · default", "bias · default"]
    assert found.base_of("bias · default") == "sliding · default"
    change = found.difference("sliding · micro", "sliding · default")
    assert change.bpb == pytest.approx(found.rows[2].bpb - found.rows[0].bpb, abs=2e-3)


def test_a_module_in_memory_is_compared(tmp_path):
    import torch

    from evaladapt.model.families import open_model

    opened = open_model("eva:micro", torch.device("cpu"))
    model = ea.wrap(opened.backend, opened.tokenizer)
    found = ea.compare(model, TEXTS["cats"], ["bias"])
    file = ea.compare("micro", TEXTS["cats"], ["bias"], inline=True)
    assert [row.bpb for row in found.rows] == pytest.approx([row.bpb for row in file.rows])
    assert {row.verdict for row in found.rows} == {"UNCHECKED"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plugins": []}, "no composition"),
        ({"seeds": [1, 1]}, "two of the seeds"),
        ({"text": {}}, "no text"),
        ({"model": ["micro", "micro"]}, "two of the models"),
        ({"sweep": {"ngrm.max_order": [1]}}, "Did you mean 'ngram'"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, said):
    with pytest.raises(UsageError, match=said):
        ea.compare(**{**ASKED, **change})
