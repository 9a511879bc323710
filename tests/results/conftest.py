"""Small runs for everything that looks at their results: one in one process, and some that were sealed."""

import pytest

import evaladapt as ea

DOCUMENTS = ["The cat sat on the mat, and the cat sat on the mat again. " * 4, "Grüße, über 数 und 🙂! " * 5, "A"]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "one"


@pytest.fixture(scope="session")
def result(run_folder):
    return ea.run("micro", DOCUMENTS, plugins="ngram", inline=True, folder=run_folder)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Sealed: two seeds, and what stands for the model before quantising; in step mode nothing needs to be asked."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 0):
        ea.run("micro", DOCUMENTS, plugins="ngram", seed=seed, mode="step", folder=folder / f"run{seed}")
    ea.run("micro", DOCUMENTS, mode="step", folder=folder / "before")
    return folder
