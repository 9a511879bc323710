"""Fixtures that several rooms' tests share."""

import gc
import os
from pathlib import Path

# Before torch reads it: every process of the suite, this one and those it starts, computes alike on every machine.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch

from tests.tiny import tiny_model

# No test asserts wall time, and the same run tries the same examples.
hypothesis.settings.register_profile("evaladapt", deadline=None, derandomize=True)
hypothesis.settings.load_profile("evaladapt")

TEXT = (
    "The mask is the engine's. A strategy never builds it, and what it is handed is a copy.\n"
    "Whoever wants to learn from a word must wait until the word is in the ledger.\n"
    "Ein Satz mit Umlauten: schöne grüne Bäume. 数 is a sign, and so is 🙂.\n"
) * 4


def pytest_collection_finish() -> None:
    """Modules and tests live to the end: no collection need look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever the test before has set: tiny tensors gain nothing from threads, and sums are cut by their number."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    from evaladapt.data.tokenizers.sentencepiece import train_tokenizer

    return train_tokenizer([TEXT], 320)


@pytest.fixture(scope="session")
def tiny_artifact(tmp_path_factory, tiny_tokenizer) -> Path:
    """A frozen artifact of a random tiny model with a real tokenizer."""
    from evaladapt.artifact import write_artifact

    model = tiny_model(vocabulary=tiny_tokenizer.vocab_size)
    path = tmp_path_factory.mktemp("artifact") / "tiny.eva"
    tensors = dict(model.named_parameters())
    write_artifact(path, model.config.to_dict(), tensors, tiny_tokenizer.model_bytes, {"made by": "tests"})
    return path


@pytest.fixture(scope="session")
def text_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """A Hugging Face folder by the name of its architecture, and the model in it as transformers has it; made once."""
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    from tests.families.folders import write_folder

    made = {}

    def folder_of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = (folder, write_folder(folder, name))
        return made[name]

    return folder_of
