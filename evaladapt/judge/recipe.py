"""What a player is told to open and compose, and all that it may see of the system it is started in."""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import evaladapt
from evaladapt.engine.loop import Settings

IMPORTED = (".py", ".so", ".dist-info", ".egg-info", ".libs")
"""What else of a folder on the import path may be read, beside its packages."""
PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES",
             "CUBLAS_WORKSPACE_CONFIG", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS",
             "OMP_WAIT_POLICY")  # fmt: skip
TO_MEET = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
           "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID", "GLOO_SOCKET_IFNAME",
           "NCCL_SOCKET_IFNAME")  # fmt: skip
"""What players need to find each other where several compute one run."""
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

    def to_json(self) -> bytes:
        """For the player."""
        content = {name: value for name, value in asdict(self).items() if name not in ("model_files", "allow_read")}
        readable = [*_program(), *self.model_files, *self.allow_read, *_devices(self.device)]
        readable += map(Path, NAMES) if self.processes > 1 else ()
        places = {"readable": readable, "listable": [path for path in map(Path, sys.path) if path.is_dir()]}
        return json.dumps(content | {name: [str(one) for one in paths] for name, paths in places.items()}).encode()


def environment_of(recipe: Recipe) -> dict[str, str]:
    """The variables of a player's process: few, and none that names a text or its folder."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    fixed = {
        "OMP_NUM_THREADS": str(recipe.threads),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HOME": "/nonexistent",
        "PATH": "/nonexistent",  # a player starts no program; ctypes looks for a compiler there and wants a file for it
        "USER": "player",
        "LOGNAME": "player",
    }
    if recipe.device == "cpu":
        fixed["CUDA_VISIBLE_DEVICES"] = ""
    if recipe.processes > 1:
        passed |= {name: value for name, value in os.environ.items() if name in TO_MEET}
        fixed["USE_LIBUV"] = "0"  # it would ask for io_uring, by which a process could do what its filter refuses
    fixed["PYTHONPATH"] = os.pathsep.join(_import_path(passed.get("PYTHONPATH", "")))
    return passed | fixed


def _import_path(given: str) -> list[str]:
    """Where a player imports from first: this evaladapt, and what this process was given; without site, all it has."""
    here = str(Path(evaladapt.__file__).resolve().parents[1])
    return [here, *(filter(None, sys.path) if sys.flags.no_site else filter(None, given.split(os.pathsep)))]


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
