"""Runs with sealed players on the tiny artifact."""

import os
from contextlib import ExitStack

import pytest

from evaladapt.data.building import stream_from_documents
from evaladapt.engine.loop import MOST_MEMORY, Settings
from evaladapt.judge.charging import Charging, Rules
from evaladapt.judge.player.performers import seat_all
from evaladapt.judge.request import Composed, Request
from tests.conftest import TEXT
from tests.judge.strangers import INSTALLED
from tests.processes import ROOT

STRIDE = {"sliding": {"stride": "4"}}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A stranger's distribution, on the path of this process and of players."""
    folder = tmp_path_factory.mktemp("strangers")
    info = folder / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    lines = [f"{alias} = {cls.__module__}:{cls.__qualname__}" for alias, cls in INSTALLED.items()]
    (folder / "leaves_at_import.py").write_text("import sys\nsys.exit(9)\n")
    lines.append("leaves-at-import = leaves_at_import:Nothing")
    (info / "entry_points.txt").write_text("[evaladapt.strategies]\n" + "\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        for place in (ROOT, folder):
            patch.syspath_prepend(str(place))
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
        yield


@pytest.fixture(scope="session")
def stream(tiny_tokenizer):
    """Four documents, 400 and some targets."""
    parts = TEXT.splitlines()
    documents = ["\n".join(parts[:3]), parts[3], "\n".join(parts[4:9]), "\n".join(parts[9:])]
    return stream_from_documents(documents, tiny_tokenizer, "four documents")


@pytest.fixture(scope="session")
def ask(installed, tiny_artifact, stream):
    """Makes requests: ``ask("a", "b", options={…}, …)``."""

    def call(*names, options=None, text=stream, batch=4, mode="block", memory=MOST_MEMORY, **fields):
        given = {"with_base": False, "threads": 1, **fields}
        return Request(
            model=str(tiny_artifact),
            composed=Composed(names=names, options={**STRIDE, **(options or {})}),
            open_text=lambda _: text,
            settings=Settings(batch=batch, mode=mode, memory=memory),
            **given,
        )

    return call


@pytest.fixture
def perform(stream):
    """Plays a request through a sealed player, without looks; its patience counts from the seal on."""

    def call(request, patience=60.0):
        with ExitStack() as stack:
            (seat,) = seat_all([request.recipe(base=False)], 120.0, stack)
            seat.player.patience = patience
            return seat.perform(Charging(stream, Rules(mode=request.settings.mode, rows=request.settings.batch,
                                                       boundaries=request.boundaries)))  # fmt: skip

    return call
