"""What a release is checked by, each in an environment of its own: ``pip install nox && nox``.

``nox -s tests-3.12`` runs one session; an interpreter that is not at hand is skipped.
"""

import tempfile
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, without a warning and without a link that leads nowhere."""
    session.install("-c", "constraints.txt", "-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "--site-dir", str(Path(session.create_tmp()) / "site"),
                env={"NO_MKDOCS_2_WARNING": "1"})  # fmt: skip


@nox.session(python=PYTHONS)
def build(session: nox.Session) -> None:
    """The source distribution, the wheel made from it, and a run of the wheel away from the checkout."""
    session.install("build")
    out = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", out)
    (wheel,) = Path(out).glob("*.whl")
    session.install("-c", "constraints.txt", str(wheel))
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("evaladapt", "run", "micro", "--plugins", "ngram", "--limit-tokens", "200")
