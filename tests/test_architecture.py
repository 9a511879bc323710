"""Imports run downwards only: cli, bench, testing, audit and codec, judge, engine, the rooms it is made of, system.

Training stands beside the engine and knows nothing of it.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {
    "errors": set(),
    "system": {"errors"},
    "toolbox": {"errors"},
    "contract": {"errors", "system"},
    "data": {"errors", "system"},
    "model": {"errors", "system", "data"},
    "artifact": {"errors", "system"},
    "calibration": {"errors", "system", "data", "model"},
    "train": {"errors", "system", "data", "model", "artifact", "toolbox"},
}
BELOW["engine"] = {"errors", "system", "data", "model", "artifact", "contract"}
BELOW["judge"] = {*BELOW["engine"], "engine"}
BELOW["codec"] = BELOW["audit"] = {*BELOW["judge"], "judge"}
BELOW["results"] = {*BELOW["audit"], "audit", "codec"}
BELOW["lm_eval"] = {*BELOW["results"], "results"}
BELOW["testing"] = {*BELOW["audit"], "audit"}
BELOW["bench"] = {*BELOW["results"], *BELOW["train"], "results", "train", "testing", "calibration"}
BELOW["cli"] = {*BELOW["bench"], "bench"}
FOR_STRATEGIES = {"contract", "toolbox"}
FOR_FAMILIES = {"model", "data", "artifact", "errors", "system"}
PLUGIN_PACKAGES = sorted(path.parent.name for path in (ROOT / "plugins").glob("evaladapt_*/__init__.py"))


def imported_modules(path: Path) -> set[str]:
    """Every module that a file names in an import, also inside functions and under TYPE_CHECKING."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


def rooms_of(modules: set[str]) -> set[str]:
    parts = [name.split(".") for name in modules]
    return {part[1] for part in parts if part[0] == "evaladapt" and len(part) > 1} - {"__version__"}


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_every_room_is_placed():
    rooms = {path.name for path in (ROOT / "evaladapt").iterdir() if path.is_dir() and files_of(path)}
    assert rooms <= set(BELOW)


@pytest.mark.parametrize("room", sorted(BELOW))
def test_a_room_imports_only_rooms_below_it(room):
    place = ROOT / "evaladapt" / room
    for path in files_of(place) or [place.with_suffix(".py")]:
        upwards = rooms_of(imported_modules(path)) - BELOW[room] - {room}
        assert not upwards, f"{path.relative_to(ROOT)} imports {sorted(upwards)}"


def test_the_core_imports_no_strategy():
    for path in files_of(ROOT / "evaladapt"):
        strangers = {name for name in imported_modules(path) if name.split(".")[0] in PLUGIN_PACKAGES}
        assert not strangers, f"{path.relative_to(ROOT)} imports {sorted(strangers)}"


def reached_from(module: str) -> set[str]:
    """Every module of evaladapt that importing ``module`` can lead to, also inside functions.

    The package itself imports nothing; what it names for people is imported when they ask for it.
    """
    found, waiting = {"evaladapt"}, [module]
    while waiting:
        name = waiting.pop()
        path = ROOT.joinpath(*name.split("."))
        place = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in found or not name.startswith("evaladapt") or not place.exists():
            continue
        found.add(name)
        waiting += [name.rpartition(".")[0], *imported_modules(place)]
    return found


def test_nothing_of_the_judge_can_be_reached_from_a_player():
    reached = reached_from("evaladapt.engine.player.program")
    assert {"evaladapt.engine.loop", "evaladapt.system.seal.seal", "evaladapt.contract.composition"} <= reached
    assert not {name for name in reached if rooms_of({name}) & {"judge", "audit", "codec", "cli", "testing", "bench"}}


@pytest.mark.parametrize("family", PLUGIN_PACKAGES)
def test_the_judge_imports_no_strategy_and_no_family(family):
    """Not while it is imported; the model is opened and the strategies are composed by the player."""
    code = (
        "import sys, importlib, pathlib, evaladapt.judge as judge;"
        "names = [one.stem for one in pathlib.Path(judge.__file__).parent.glob('*.py')];"
        "[importlib.import_module(f'evaladapt.judge.{name}') for name in names];"
        f"sys.exit(any(name.split('.')[0] == {family!r} for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PLUGIN_PACKAGES)
def test_plugins_import_only_the_rooms_made_for_them(package):
    allowed = FOR_FAMILIES if package == "evaladapt_models" else FOR_STRATEGIES
    for path in files_of(ROOT / "plugins" / package):
        rooms = rooms_of(imported_modules(path))
        assert rooms <= allowed, f"{path.relative_to(ROOT)} imports {sorted(rooms - allowed)}"


def test_help_starts_without_torch():
    code = (
        "import sys; from evaladapt.cli.main import invoke; invoke(['--help']);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


@pytest.mark.parametrize("command", [["list"], ["show", "eva"], ["show", "default"]], ids=" ".join)
def test_models_are_listed_and_shown_without_torch(command):
    code = f"import sys; from evaladapt.cli.main import invoke; invoke({['models', *command]!r});"
    code += "sys.exit(bool({'torch', 'transformers', 'tokenizers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "eva" in done.stdout
