"""The zoo as an installed distribution, so that a sealed player can load any cheat by its name."""

from pathlib import Path

from tests.zoo import adapting, ahead, distribution, hiding, outside, pages, passes, process, rare, together, twinning
from tests.zoo.importing import base, device, fork, pipe, reading, ready, unsealed, vocabulary
from tests.zoo.thief import CHEATS

MODULES = (
    adapting,
    distribution,
    passes,
    hiding,
    process,
    outside,
    ahead,
    together,
    twinning,
    pages,
    rare,
    base,
    device,
    fork,
    pipe,
    reading,
    ready,
    unsealed,
    vocabulary,
)
ROOT = Path(__file__).resolve().parents[2]


def install(folder: Path, monkeypatch, tokens=(), path="") -> None:
    """Lay the distribution out in ``folder`` and put it on the path of this process and of players.

    ``tokens`` are the text that some cheats bring along, and ``path`` is where it lies.
    """
    brought = f"TOKENS = {[int(one) for one in tokens]}\nPATH = {str(path)!r}\n"
    (folder / "zoo_brought.py").write_text(brought)
    info = folder / "zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
    lines = [f"{one.alias} = {one.cls.__module__}:{one.cls.__qualname__}" for one in CHEATS]
    (info / "entry_points.txt").write_text("[evaladapt.strategies]\n" + "\n".join(lines) + "\n")
    for place in (ROOT, folder):
        monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}:{ROOT / 'plugins'}")


__all__ = ["MODULES", "install"]
