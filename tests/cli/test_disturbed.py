"""Ended by a signal or a full disk at a random moment, and done again, each command ends as if nothing had happened."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_OK
from evaladapt.train.checkpoint import read_tensors
from tests.train.conftest import shard_folders, tokenizer  # noqa: F401 -- fixtures of that room, for `train` and `pack`
from tests.train.test_cli import PRESET

MOMENTS = int(os.environ.get("EVALADAPT_KILLS", "0"))
"""How many of each kind; without the variable none, for one of each takes a minute; rooms have kills of their own."""
SMALL_DISK = 8 * 2**20
OTHERS = b"somebody's work, which stood there before"
EAGER = (
    "import sys; from evaladapt.judge import charging; charging.SNAPSHOT_SECONDS = 0.0;"
    "from evaladapt.cli.main import invoke; sys.exit(invoke(sys.argv[1:]))"
)
"""The command line, with a snapshot of a run after every batch."""

pytestmark = [
    pytest.mark.timeout(120 + 60 * MOMENTS),
    pytest.mark.skipif(os.name != "posix", reason="signals and small disks are POSIX"),
]


@dataclass(frozen=True)
class Work:
    """A command that leaves something in a folder: its arguments, and what is the same in every undisturbed end."""

    arguments: Callable[[Path], list[str]]
    result: Callable[[Path], str]
    resumes: bool = False

    def start(self, folder: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", EAGER, *self.arguments(folder), *more]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def again(self, folder: Path) -> None:
        """As a person would who reads what is said: the same command, with ``--resume`` where that is asked for."""
        first = self.start(folder)
        _, said = first.communicate()
        if first.returncode != EXIT_OK:
            assert self.resumes, said
            assert "--resume" in said
            second = self.start(folder, "--resume")
            _, said = second.communicate()
            assert second.returncode == EXIT_OK, said


def file_hash(name: str) -> Callable[[Path], str]:
    return lambda folder: hashlib.sha256((folder / name).read_bytes()).hexdigest()


def ledger_hash(folder: Path) -> str:
    return str(json.loads((folder / "run" / "record.json").read_text())["adapted"]["ledger_sha256"])


def weights_hash(folder: Path) -> str:
    tensors = read_tensors(folder / "training" / "final.safetensors").tensors
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


@pytest.fixture(scope="module")
def works(tiny_artifact, text_file, shard_folders, tokenizer, tmp_path_factory) -> dict[str, Work]:  # noqa: F811
    given = tmp_path_factory.mktemp("given")
    (given / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    (given / "mine.toml").write_text(PRESET + "checkpoint_minutes = 1e-9\n")
    (given / "text").write_bytes(text_file.read_bytes()[:400])
    model, text, coded, trained = str(tiny_artifact), str(given / "text"), str(given / "x.evz"), given / "training"
    train = ["train", "--data", str(shard_folders[0]), "--tokenizer", str(given / "tokenizer.model"),
             "--config", str(given / "mine.toml"), "--steps", "40"]  # fmt: skip
    strategies = ["--plugins", "bias,ngram"]
    assert invoke(["encode", model, "--in", text, "--out", coded, *strategies]) == EXIT_OK
    assert invoke([*train, "--out", str(trained)]) == EXIT_OK
    return {
        "run": Work(
            lambda folder: ["run", model, "--data", text, *strategies, "--no-base", "--batch", "8", "--out",
                            str(folder / "run"), "-o", "sliding.stride=2"], ledger_hash, resumes=True,
        ),
        "encode": Work(
            lambda folder: ["encode", model, "--in", text, "--out", str(folder / "x.evz"), *strategies],
            file_hash("x.evz"),
        ),
        "decode": Work(
            lambda folder: ["decode", model, coded, "--out", str(folder / "x.out")], file_hash("x.out")
        ),
        "train": Work(
            lambda folder: [*train, "--out", str(folder / "training")], weights_hash, resumes=True,
        ),
        "pack": Work(
            lambda folder: ["pack", str(trained), "--out", str(folder / "m.eva"), "--max-bytes", "40_000"],
            file_hash("m.eva"),
        ),
    }  # fmt: skip


@dataclass(frozen=True)
class Undisturbed:
    """What a command leaves and how long it takes when nobody disturbs it."""

    result: str
    seconds: float
    size: int


@pytest.fixture(scope="module", params=["run", "encode", "decode", "train", "pack"])
def work(request, works, tmp_path_factory) -> tuple[Work, Undisturbed]:
    chosen, folder, started = works[request.param], tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    running = chosen.start(folder)
    _, said = running.communicate()
    assert running.returncode == EXIT_OK, said
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    return chosen, Undisturbed(chosen.result(folder), time.monotonic() - started, size)


@pytest.mark.parametrize("number", range(MOMENTS))
def test_a_signal_at_any_moment_loses_nothing(work, tmp_path, number):
    chosen, undisturbed = work
    chance = random.Random(number)
    sent = chance.choice([signal.SIGTERM, signal.SIGKILL])
    (tmp_path / "others").write_bytes(OTHERS)
    running = chosen.start(tmp_path)
    time.sleep(chance.random() * undisturbed.seconds)
    running.send_signal(sent)
    _, said = running.communicate(timeout=60)
    assert "Traceback" not in said
    if running.returncode != EXIT_OK:
        chosen.again(tmp_path)
    assert chosen.result(tmp_path) == undisturbed.result
    assert (tmp_path / "others").read_bytes() == OTHERS


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 8 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("nobody here may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave about ``free`` bytes of the disk, in whole pages."""
    filler = disk / "filler"
    there = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - free)))
    return filler


@pytest.mark.parametrize("number", range(MOMENTS))
def test_a_full_disk_at_any_moment_loses_nothing(work, small_disk, number):
    """Its moment is when what was left of the disk is used up: anything from nothing to what the command leaves."""
    chosen, undisturbed = work
    (small_disk / "others").write_bytes(OTHERS)
    filler = fill(small_disk, random.Random(number).randrange(undisturbed.size))
    running = chosen.start(small_disk)
    _, said = running.communicate(timeout=120)
    filler.unlink()
    if running.returncode != EXIT_OK:
        assert "Traceback" not in said
        assert "No space left on device" in said
        assert str(small_disk) in said
        chosen.again(small_disk)
    assert chosen.result(small_disk) == undisturbed.result
    assert (small_disk / "others").read_bytes() == OTHERS
