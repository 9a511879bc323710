"""Where artifacts that come with evaladapt live: inside the installed package, or in ``artifacts/`` of a checkout."""

from __future__ import annotations

from pathlib import Path

from evaladapt.artifact.problems import NotAnArtifact
from evaladapt.errors import near_miss

SUFFIX = ".eva"
PACKAGE_FOLDER = Path(__file__).resolve().parent / "shipped"
CHECKOUT_FOLDER = Path(__file__).resolve().parents[2] / "artifacts"


def shipped_artifacts() -> dict[str, Path]:
    """Path by name; a file in the package comes before one in the checkout."""
    folders = (CHECKOUT_FOLDER, PACKAGE_FOLDER)
    return {path.stem: path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_artifact(name_or_path: str | Path) -> Path:
    """The file meant by a shipped artifact's name (``"default"``) or by a path.

    Raises:
        NotAnArtifact: neither; the message lists what ships.
    """
    shipped = shipped_artifacts()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if path.exists():
        return path
    names = ", ".join(sorted(shipped)) or "none (this installation has no artifact inside)"
    raise NotAnArtifact(
        f"No artifact {str(name_or_path)!r}: no such file, and none of that name ships."
        f"{near_miss(str(name_or_path), shipped)} Shipped: {names}. Make one: evaladapt pack CHECKPOINT --out MODEL.eva"
    )
