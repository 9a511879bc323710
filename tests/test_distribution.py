"""The source distribution and the wheel made from it: what a user gets who never sees the checkout."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import evaladapt

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(sources)], check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_sources_are_whole_and_say_how_to_cite_them(sources):
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "mkdocs.yml", "docs/index.md"} <= names
    assert {"artifacts/FORMAT.md", "plugins/example-model/pyproject.toml", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith(("runs/", "site/", ".git/", ".hypothesis/"))]


def test_the_version_is_the_same_wherever_it_stands():
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert declared
    assert cited
    assert declared[1] == cited[1] == evaladapt.__version__


def test_the_wheel_holds_the_core_the_strategies_and_the_artifact_and_no_example(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "evaladapt/engine/loop.py" in names
    assert "evaladapt/py.typed" in names
    assert {"evaladapt_plugins/ttt.py", "evaladapt_plugins/README.md", "evaladapt_models/MODELS.md"} <= set(names)
    assert "evaladapt/lm_eval/model.py" in names
    assert "evaladapt/artifact/shipped/default.eva" in names
    assert any(name.startswith("evaladapt/train/presets/") for name in names)
    assert not [name for name in names if "example" in name or name.startswith(("tests", "plugins/"))]


def test_a_run_from_the_unpacked_wheel_finds_its_strategies_and_its_artifact(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    # The checkout may be installed in this environment too; -S and one path keep it out of reach.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    code = (
        f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path += {packages!r};"
        "from evaladapt.cli.main import invoke; import evaladapt;"
        f"assert evaladapt.__file__.startswith({str(site)!r}), evaladapt.__file__;"
        "sys.exit(invoke(['run', '--plugins', 'evaladapt:slot-lbfgs', '--limit-tokens', '300', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert Path(record["artifact"]["path"]).is_relative_to(site)
    assert record["verdict"] == "CAUSAL"
