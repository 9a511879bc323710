"""The code of a page, and how a test runs it: a reader sees the blocks, and their classes say what is left out here.

``.in-process``: without a seal, which is not the point there; ``.step``: sealed, and target by target, so that nobody
need be asked; ``.elsewhere``: the same lines run on another page; ``.not-run``: needs what a test has not, or takes too
long; ``.included``: a file.
"""

import functools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import evaladapt as ea
from evaladapt.cli.main import invoke
from evaladapt.cli.plugins_new import NAME

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(
    r"^``` ?(?:\{ ?(?P<classes>[^}]+)\}|(?P<language>\w+))\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
MORE = {"in-process": "--inline", "step": "--mode=step"}


@dataclass(frozen=True)
class Block:
    language: str
    classes: frozenset[str]
    code: str

    @property
    def commands(self):
        return self.code.replace("\\\n", " ").splitlines()


def blocks_of(page):
    found = []
    for match in BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        language, *classes = re.findall(r"[\w-]+", match["classes"] or match["language"])
        found.append(Block(language, frozenset(classes), match["code"]))
    return found


class Reader:
    """Does what a page says, from top to bottom, in an empty folder."""

    def __init__(self, monkeypatch, folder):
        self._monkeypatch, self._folder = monkeypatch, folder
        self._names = {"__name__": "__main__"}

    def follow(self, block):
        if block.language == "sh":
            for line in block.commands:
                self._command(line, block.classes)
        elif block.language == "python" and "included" not in block.classes:
            with self._monkeypatch.context() as here:
                if "in-process" in block.classes:
                    _run_inline(here)
                exec(compile(block.code, "the page", "exec"), self._names)

    def _command(self, line, classes):
        program, *arguments = shlex.split(line, comments=True)
        if program == "pip":
            self._install(arguments)
            return
        assert program == "evaladapt", line
        more = [MORE[one] for one in classes if one in MORE and arguments[0] in ("run", "compare")]
        assert invoke([*arguments, *more]) == 0, line

    def _install(self, arguments):
        """What pip would do for a package that was written a line before; ours is installed already."""
        if arguments == ["install", "evaladapt"]:
            return
        command, editable, package = arguments
        assert (command, editable) == ("install", "-e")
        alias = package.removeprefix("evaladapt-")
        assert NAME.fullmatch(alias)
        module, name = package.replace("-", "_"), "".join(one.capitalize() for one in alias.split("-"))
        info = self._folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[evaladapt.strategies]\n{alias} = {module}:{name}\n")
        for place in (self._folder, self._folder / package):
            self._monkeypatch.syspath_prepend(str(place))


def _run_inline(here):
    here.setattr(ea, "run", functools.partial(ea.run, inline=True), raising=False)
    try:
        from evaladapt.lm_eval import EvaladaptLM
    except ea.EvaladaptError:
        return
    here.setitem(EvaladaptLM.__init__.__kwdefaults__, "inline", True)
