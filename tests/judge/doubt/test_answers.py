"""Answers are kept until the looks are drawn, in memory or, where they are large, on the disk."""

import numpy as np
import pytest

from evaladapt.judge.doubt import answers


@pytest.mark.parametrize("in_memory", [10**6, 50])
def test_each_target_s_distribution_comes_back(monkeypatch, in_memory):
    monkeypatch.setattr(answers, "IN_MEMORY", in_memory)
    said = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    kept = answers.Answers()
    for piece in (said[:3], said[3:]):
        kept.add(piece)
        assert (kept.of(1) == said[1]).all()
    assert kept.vocabulary == 5
    assert all((kept.of(place) == said[place]).all() for place in range(7))
    kept.close()
