"""A comparison whose names and text would break a page that does not escape them."""

import pytest

import evaladapt as ea

HOSTILE = '<script>alert("1")</script>&amp;'
TEXTS = {
    HOSTILE: ["The cat <b>sat</b> on the mat & the cat sat on the mat again. " * 6, "A dog ran home. " * 9],
    "plain": ["A dog ran through the garden, and a dog ran home. " * 6, "Grüße, 数 🙂. " * 8, "Words."],
}


@pytest.fixture(scope="session")
def comparison():
    return ea.compare("micro", TEXTS, ["bias", "ngram"], sweep={"ngram.max_order": [3, 4]}, inline=True)


@pytest.fixture(scope="session")
def page_file(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    comparison.report(path)
    return path
