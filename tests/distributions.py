"""Distributions on disk, as pip would leave them, for tests of discovery."""

import os
from pathlib import Path

import pytest


def lay_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, version: str, module: str, source: str, **aliases
):
    """Put a distribution with one module and the given ``alias="Class"`` entry points on the path, of players too."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{alias} = {module}:{cls}" for alias, cls in aliases.items()]
    (info / "entry_points.txt").write_text("[evaladapt.strategies]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])))
