"""Where the code of a strategy comes from: its distribution, its version, and a hash of what it says today.

A version is what somebody wrote into a file; a strategy under development changes without it. So whatever is recorded,
resumed or decoded says the hash as well.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaladapt.contract.registry import StrategyType

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Origin:
    """What a run has to say about the code of one strategy.

    Attributes:
        name: ``distribution:alias``.
        version: of the distribution.
        code: SHA-256 over every Python file of the package that the class stands in; ``unknown`` where there is none.
    """

    name: str
    version: str
    code: str


def origin_of(strategy: StrategyType) -> Origin:
    """The origin of an imported strategy, by the files as they are now."""
    return Origin(strategy.listing.qualified, strategy.listing.version, code_hash(strategy.cls))


def code_hash(cls: type[Any]) -> str:
    """SHA-256 over the names and the content of the Python files of the class's package, or of its lone module.

    A class that was written at a prompt or in a notebook has no package; then it is its own source that counts.
    """
    package = cls.__module__.split(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None)
    if package != "__main__" and file:
        path = Path(file)
        return hash_of_folder(path.parent) if path.name == "__init__.py" else _hash_of_files(path.parent, (path,))
    try:
        return hashlib.sha256(inspect.getsource(cls).encode()).hexdigest()
    except (OSError, TypeError):
        return UNKNOWN


@lru_cache
def hash_of_folder(folder: Path) -> str:
    """SHA-256 over the names and the content of all Python files of a folder."""
    return _hash_of_files(folder, tuple(sorted(folder.rglob("*.py"))))


def _hash_of_files(folder: Path, paths: tuple[Path, ...]) -> str:
    hasher = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        hasher.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        hasher.update(content)
    return hasher.hexdigest()
