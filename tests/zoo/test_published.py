"""The table of published leaks: zero stays zero, positive stays positive."""

import pytest

from tests.zoo.published import measured_table

FLIP_IS_BLIND = {"L16", "L17", "L24", "L30", "L21"}


@pytest.fixture(scope="module")
def rows():
    return {row.name: row for row in measured_table(hyper_texts=2, kraft_length=4)}


def leak(name):
    return name.split()[0]


def test_no_honest_row_is_convicted(rows):
    for row in rows.values():
        if row.honest:
            assert row.convicted_by == (), row
            assert abs(row.free_bits) < 1e-9
            assert row.tok == pytest.approx(1)


def test_every_leak_is_convicted(rows):
    for row in rows.values():
        assert row.honest or {"KRAFT", "TOK"} <= set(row.convicted_by), row


def test_a_flip_test_alone_misses_what_misuses_the_target_only(rows):
    for row in rows.values():
        if not row.honest:
            assert (row.flip == 0) == (leak(row.name) in FLIP_IS_BLIND), row
            assert (row.trunc == 0) == (leak(row.name) in FLIP_IS_BLIND), row


def test_a_declared_length_and_a_fixed_reverse_order_are_odd_but_codes(rows):
    cosine, reverse = rows["ok TTT, cosine over declared length"], rows["odd: fixed reverse order"]
    assert (cosine.flip, cosine.free_bits < 1e-9) == (0, True)
    assert cosine.trunc > 0.5
    assert reverse.flip == reverse.trunc == 1


def test_only_dropped_targets_are_unscored(rows):
    assert {leak(row.name) for row in rows.values() if row.unscored} == {"L30"}


def test_a_model_s_own_text_convicts_the_strong_leaks(rows):
    strong = {leak(row.name) for row in rows.values() if "HYPER" in row.convicted_by}
    assert {"L03", "L08", "L16", "L17", "L27", "L30"} <= strong
