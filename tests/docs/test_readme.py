"""The README's commands are taken by the command line, the page's Python runs, and what is quick is run too.

Its blocks carry no classes, which would show where it is read most: what a test leaves out stands here.
"""

import functools
import json
import shlex
from pathlib import Path

import pytest

import evaladapt as ea
from evaladapt.cli.main import cli, invoke
from tests.docs.examples import DOCS, blocks_of

PAGES = ["../README.md", "../artifacts/README.md", "../plugins/README.md", "../plugins/MODELS.md",
         *sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))]  # fmt: skip
QUICK = ("evaladapt plugins ", "evaladapt run --plugins ttt --data ")
"""Commands of ``Use it`` that are run, in this process, with the smaller model and on a few tokens."""
DOCUMENTS = ["The cat sat on the mat, and the cat sat on the mat.", "A dog ran home, and a dog ran out."]


def commands_of(page):
    """Every command of evaladapt on a page; ``&&`` joins several, and what makes one of another's words is left out."""
    lines = [line for block in blocks_of(page) if block.language == "sh" for line in block.commands]
    found = [one.strip() for line in lines if "$(" not in line for one in line.split("&&")]
    return [one for one in found if one.startswith("evaladapt ")]


WITH_COMMANDS = {page: found for page in PAGES if (found := commands_of(page))}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the page calls its own texts."""
    lines = "".join(json.dumps({"text": one}) + "\n" for one in DOCUMENTS)
    for name in ("my.jsonl", "wiki.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(lines)
    (tmp_path / "a.txt").write_text(DOCUMENTS[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_shown_is_taken(page):
    for line in WITH_COMMANDS[page]:
        command, arguments, context = cli, shlex.split(line, comments=True)[1:], None
        while hasattr(command, "resolve_command"):
            context = command.make_context("evaladapt", list(arguments), parent=context)
            _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        command.make_context(command.name, list(arguments), parent=context)


def test_what_is_quick_does_what_it_says(folder, capsys):
    ran = [line for line in commands_of("../README.md") if line.startswith(QUICK)]
    assert len(ran) == len(QUICK) + 1
    for line in ran:
        arguments = shlex.split(line, comments=True)[1:]
        more = [] if arguments[0] == "plugins" else ["micro", "--inline", "--limit-tokens", "12"]
        assert invoke([*arguments, *more]) == 0, line


def test_its_python_runs(folder, tiny_artifact, monkeypatch, capsys):
    pytest.importorskip("pandas", reason="an extra is not installed")
    first = next(block for block in blocks_of("../README.md") if block.language == "python")
    for name in ("run", "compare"):
        call = functools.partial(getattr(ea, name), limit_tokens=12, inline=True)
        monkeypatch.setattr(ea, name, lambda _, *given, call=call, **more: call(str(tiny_artifact), *given, **more))
    names = {}
    exec(compile(first.code, "README.md", "exec"), names)
    assert names["result"].bpb < names["result"].base_bpb + 1
    assert len(Path("targets.csv").read_text().splitlines()) == 13
    assert Path("page.html").stat().st_size > 1000
