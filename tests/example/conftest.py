"""A fresh environment in which distributions are installed and removed as a user would, by pip."""

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Environment:
    """A virtual environment that also sees the packages of this one."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        library = Path(self.call("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
        lines = [f"import site; site.addsitedir({one!r})" for one in sorted(folders)]
        (library / "outer.pth").write_text("\n".join([*lines, str(ROOT), str(ROOT / "plugins"), ""]))

    def call(self, *arguments, code=0, cwd=None):
        """Run Python in it; returns stdout."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        done = subprocess.run(
            [str(self.python), *arguments], check=False, capture_output=True, text=True, env=environment, cwd=cwd
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def evaladapt(self, *arguments, code=0):
        """Run the command."""
        return self.call("-c", "from evaladapt.cli.main import main; main()", *map(str, arguments), code=code)

    def pip(self, *arguments):
        """Run pip on it."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *arguments]
        done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"

    def install(self, *folders):
        """Install distributions from their folders; they are copied first, so that a build leaves nothing there."""
        isolation = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
        self.pip("install", "--quiet", "--no-deps", *isolation, *folders)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here")
    return Environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy of the example's folder."""
    folder = tmp_path_factory.mktemp("example") / "example-uniform-mix"
    shutil.copytree(ROOT / "plugins" / "example-uniform-mix", folder)
    return folder
