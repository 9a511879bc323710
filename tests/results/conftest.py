"""One small run in one process, for everything that looks at its result."""

import pytest

import evaladapt as ea

DOCUMENTS = ["The cat sat on the mat, and the cat sat on the mat again. " * 4, "Grüße, über 数 und 🙂! " * 5, "A"]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "one"


@pytest.fixture(scope="session")
def result(run_folder):
    return ea.run("micro", DOCUMENTS, plugins="ngram", inline=True, folder=run_folder)
