"""What a player is told to open and compose, and the files that it may read until it is sealed."""

from __future__ import annotations

import json
import site
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evaladapt.engine.loop import Settings

IMPORTED = (".py", ".so", ".dist-info", ".egg-info", ".libs")
"""What else of a folder on the import path may be read, beside its packages."""
NAMES = (
    "/sys/class/net",
    "/sys/bus/pci",
    "/sys/devices",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
)
SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf",
          "/etc/localtime", "/usr/share/zoneinfo", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/driver",
          "/sys/devices/system", "/dev/null", "/dev/urandom", "/dev/random")  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A composition that is made and thrown away."""

    names: tuple[str, ...]
    options: Mapping[str, Mapping[str, object]]
    allow_noncausal: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a player is to open and compose.

    Attributes:
        model: reference of a model, see :mod:`evaladapt.model.families`.
        model_files: where it may read the model from.
        names: of the strategies.
        base: the plan of the composition alone.
        threads: with how many to compute.
        with_canary: say a hash of one forward too, by which a decoder knows the encoder's arithmetic.
        processes: how many players compute it together, one for each that ``torchrun`` started.
        allow_read: further files and folders that strategies may read while they are loaded.
        tokenizer_only: open the model's tokenizer, and encode texts with it.
        trials: open no model; make these compositions, and say whether that can be done.
    """

    model: str
    model_files: tuple[Path, ...]
    names: tuple[str, ...]
    options: Mapping[str, Mapping[str, object]]
    settings: Settings
    device: str = "cpu"
    threads: int = 1
    base: bool = False
    allow_noncausal: bool = False
    with_canary: bool = False
    processes: int = 1
    allow_read: tuple[Path, ...] = ()
    tokenizer_only: bool = False
    trials: tuple[Trial, ...] = ()

    def to_json(self) -> bytes:
        """For the player."""
        content = {name: value for name, value in asdict(self).items() if name not in ("model_files", "allow_read")}
        readable = [*_program(), *self.model_files, *self.allow_read, *_devices(self.device)]
        readable += map(Path, NAMES) if self.processes > 1 else ()
        places = {"readable": readable, "listable": [path for path in map(Path, sys.path) if path.is_dir()]}
        return json.dumps(content | {name: [str(one) for one in paths] for name, paths in places.items()}).encode()


def _program() -> list[Path]:
    """What may be read before a text is told: the interpreter, what is installed, and the system's libraries."""
    places = {Path(one) for one in (sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages())}
    places |= {Path(one) for one in sysconfig.get_paths().values()} | {Path(one) for one in SYSTEM}
    for entry in sys.path:
        folder = Path(entry)
        if entry and folder.is_dir() and not any(folder.is_relative_to(place) for place in places):
            places |= {one for one in folder.iterdir() if one.suffix in IMPORTED
                       or (one / "__init__.py").exists()}  # fmt: skip
    return sorted(places)


def _devices(device: str) -> list[Path]:
    return [] if device == "cpu" else [one for one in Path("/dev").iterdir() if one.name.startswith("nvidia")]
