"""``evaladapt plugins new NAME``: write the package of a new strategy, ready to be installed, tested and changed.

The files come from ``evaladapt/cli/templates``; NAME and what follows from it are filled in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from evaladapt.errors import UsageError
from evaladapt.system.files import write_text_atomically

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TEMPLATES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "strategy.py.txt": "$module/__init__.py",
    "test_strategy.py.txt": "tests/test_$module.py",
}
"""Template to the path it becomes."""


@dataclass(frozen=True)
class Names:
    """What follows from a strategy's name: ``recent-words`` becomes a distribution, a module and a class."""

    alias: str

    @property
    def distribution(self) -> str:
        """``evaladapt-recent-words``."""
        return f"evaladapt-{self.alias}"

    @property
    def module(self) -> str:
        """``evaladapt_recent_words``."""
        return self.distribution.replace("-", "_")

    @property
    def cls(self) -> str:
        """``RecentWords``."""
        return "".join(word.capitalize() for word in self.alias.split("-"))

    def fill(self, text: str) -> str:
        """A template with the names in it."""
        return Template(text).substitute(
            alias=self.alias, distribution=self.distribution, module=self.module, cls=self.cls
        )


@click.command("new", epilog="Example:  evaladapt plugins new recent-words && pip install -e evaladapt-recent-words")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(),
              help="Where the package's folder is made.  [default: here]")  # fmt: skip
def new(name: str, folder: Path) -> None:
    """Write the package of a new strategy called NAME (words in lower case, joined by hyphens)."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a strategy; write words in lower case joined by hyphens: my-strategy"
        )
    names = Names(name)
    _refuse_taken(names)
    target = folder / names.distribution
    if target.exists():
        raise UsageError(f"{target} is there already; choose another name or --folder")
    write_package(names, target)
    click.echo(f"{target} is written. Next:")
    click.echo(f"  pip install -e {target}")
    click.echo(f"  evaladapt run --plugins {name}")
    click.echo(f"  pytest {target}")


def write_package(names: Names, target: Path) -> None:
    """Write all files of the package into ``target``.

    Raises:
        EvaladaptError: the disk refuses.
    """
    templates = files("evaladapt.cli") / "templates"
    for template, path in TEMPLATES.items():
        content = names.fill((templates / template).read_text(encoding="utf-8"))
        write_text_atomically(target / names.fill(path), content)


def _refuse_taken(names: Names) -> None:
    from evaladapt.contract.registry import installed

    for one in installed():
        if one.alias == names.alias:
            raise UsageError(f"a strategy {names.alias!r} is installed already, by {one.distribution} {one.version}")
