"""Which files a process has read, as Python tells it: modules that were imported and files that were opened.

It lists what an honest program used, so that its size can be told. A program that hides a file from it must have been
able to read one, which is what the seal is about.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

OURS = "evaladapt"
CACHE_SUFFIX = ".pyc"
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/lib/", "/lib/", "/lib64/")


class FilesRead:
    """Listens from its making on; a hook cannot be taken out of an interpreter again."""

    def __init__(self) -> None:
        self._opened: set[str] = set()
        self._program = program_folders()
        sys.addaudithook(self._hear)

    def listed(self) -> list[dict[str, Any]]:
        """Path, bytes and SHA-256 of every file outside of the interpreter, evaladapt and what evaladapt depends on."""
        modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        places = {os.path.realpath(path) for path in (*self._opened, *modules) if path}
        files = (Path(place) for place in sorted(places) if not self._is_program(place))
        return [_described(path) for path in files if path.is_file()]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[0].endswith(CACHE_SUFFIX):
            self._opened.add(os.path.abspath(arguments[0]))

    def _is_program(self, place: str) -> bool:
        return place.startswith((*SYSTEM, *self._program)) or ".dist-info/" in place or place.endswith(".pth")


def _described(path: Path) -> dict[str, Any]:
    """Of a file that was asked for and refused nothing is known but that."""
    try:
        content = path.read_bytes()
    except OSError:
        return {"path": str(path), "bytes": 0, "sha256": "refused"}
    return {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@cache
def program_folders() -> tuple[str, ...]:
    """The standard library, evaladapt, and the packages that it asks for, whatever version of them."""
    site = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    library = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    folders = [str(Path(__file__).resolve().parents[1]) + os.sep]
    folders += [os.path.join(os.path.realpath(root), name) for root in site for name in _packages_needed()]
    for root in {os.path.realpath(one) for one in library}:
        folders += [os.path.join(root, name) for name in os.listdir(root) if name != "site-packages"]
    return tuple(folders)


def _packages_needed() -> set[str]:
    """Folders and modules of evaladapt's dependencies, optional ones too, and of theirs."""
    found, waiting = set[str](), [OURS]
    seen = set(waiting)
    while waiting:
        try:
            one = distribution(waiting.pop())
        except PackageNotFoundError:
            continue
        said = one.metadata  # parsed whenever it is asked for
        ours = said["Name"] == OURS
        if not ours:
            found |= _top_names(one)
        for wanted in said.get_all("Requires-Dist") or ():
            name = re.split(r"[\s;<>=!~\[(]", wanted, maxsplit=1)[0].lower()
            if name not in seen and (ours or "extra ==" not in wanted):
                seen.add(name)
                waiting.append(name)
    return found


def _top_names(one: Distribution) -> set[str]:
    """First parts of the paths in its list of files, by text: torch lists 20,000, and a path object each takes long."""
    lines = (one.read_text("RECORD") or "").splitlines()
    return {re.split("[/,]", line.lstrip('"'), maxsplit=1)[0] for line in lines} - {"..", ""}
