"""What several commands share: the options that say which text and strategies, and how they become a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.processes import rank
from evaladapt.errors import DataError, UsageError
from evaladapt.system.strict_json import read_toml
from evaladapt.system.text import safe

if TYPE_CHECKING:
    from evaladapt.data.stream import TokenStream
    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.judge.request import Request

Command = Callable[..., Any]
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
STANDARD_INPUT = "-"


def size_named(text: str | None) -> int | None:
    """``500M`` or ``2G`` as bytes; decimal.

    Raises:
        UsageError: it is no size.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)([kmg]?)b?", text.strip().replace("_", "").lower())
    if not found or not int(found[1]):
        raise UsageError(f"--memory {safe(text)} is no size; it is a number of bytes, as in: --memory 2G")
    return int(found[1]) * UNITS[found[2]]


_TEXT_OPTIONS = (
    click.option("-o", "--option", "assignments", multiple=True, metavar="ALIAS.KEY=VALUE",
                 help="Option of a strategy."),
    click.option("--config", type=click.Path(path_type=Path),
                 help="TOML file: plugins = [...], and a table per strategy."),
    click.option("--data", "paths", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
                 help="Text (.txt, .jsonl, .json, .parquet, also .gz, .xz, .zst; - is standard input) or token shards "
                      "(.bin).  [default: Python's help topics]"),
    click.option("--text-field", metavar="NAME", help="Field or column that holds the text.  [default: text]"),
    click.option("--limit-tokens", type=click.IntRange(min=1), help="Score only the first N targets."),
    click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True,
                 help="Windows forwarded together."),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--memory", metavar="SIZE", callback=lambda _c, _p, value: size_named(value),
                 help="Of distributions at once, as 2G; it says how many rows go together.  [default: a quarter of the"
                 " machine's, at most 4G]"),
    click.option("--mode", type=click.Choice(["block", "step"]), default="block", show_default=True,
                 help="step predicts one target at a time: slow, and the definition of the score."),
    click.option("--allow-noncausal", is_flag=True, help="Run strategies that peek; it is then no score."),
    click.option("--boundaries", type=click.Choice(["paid", "charged"]), default="paid", show_default=True,
                 help="Where documents start: told, and paid for as a code; or not told, and every BOS is charged."),
    click.option("--allow-read", multiple=True, type=click.Path(path_type=Path, exists=True), metavar="PATH",
                 help="A file or folder that strategies may read while they are loaded; the record lists it."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …; auto: CUDA if present."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Values of the options that :func:`text_options` adds."""

    assignments: tuple[str, ...]
    config: Path | None
    paths: tuple[Path, ...]
    text_field: str | None = None
    limit_tokens: int | None
    batch: int
    seed: int
    mode: str
    memory: int | None = None
    allow_noncausal: bool
    device: str
    boundaries: str = "paid"
    allow_read: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """Names of strategies in order, and options per alias as given."""

    names: tuple[str, ...]
    options: dict[str, dict[str, object]]


def text_options(command: Command) -> Command:
    """Add the options of :class:`TextOptions` to a command."""
    for add in reversed(_TEXT_OPTIONS):
        command = add(command)
    return command


def build_request(model: str, chosen: Chosen, given: TextOptions) -> Request:
    """What the options ask for; nothing is opened yet."""
    from evaladapt.data.load import load_stream, remarks
    from evaladapt.engine.loop import Settings
    from evaladapt.engine.parts import mode_named
    from evaladapt.judge.request import Composed, Request
    from evaladapt.system.working_memory import working_memory

    def open_text(tokenizer: Tokenizer) -> TokenStream:
        stream = load_stream(given.paths, tokenizer, text_field=given.text_field, limit_tokens=given.limit_tokens)
        for line in remarks(stream) if rank() == 0 else ():
            click.echo(safe(line), err=True)
        return stream

    return Request(
        model=model,
        composed=Composed(names=chosen.names, options=chosen.options, allow_noncausal=given.allow_noncausal),
        open_text=open_text,
        paths=tuple(str(path) if str(path) == STANDARD_INPUT else str(path.absolute()) for path in given.paths),
        text_field=given.text_field,
        settings=Settings(
            batch=given.batch,
            seed=given.seed,
            mode=mode_named(given.mode),
            memory=working_memory() if given.memory is None else given.memory,
        ),
        boundaries="paid" if given.boundaries == "paid" else "charged",
        device=given.device,
        allow_read=tuple(path.resolve() for path in given.allow_read),
        say=lambda line: click.echo(line, err=True),
    )


def split_names(text: str) -> tuple[str, ...]:
    """Split ``a,b`` into names."""
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    if "" in names:
        raise UsageError(f"--plugins {text!r} holds an empty name; write names with commas between: --plugins ttt,bias")
    return names


def split_assignment(text: str) -> tuple[str, str, str]:
    """Split ``alias.key=value`` into its three parts."""
    left, equals, value = text.partition("=")
    alias, dot, key = left.rpartition(".")
    if not (equals and dot and alias and key):
        raise UsageError(f"option {text!r} is not of the form alias.key=value, as in: -o ttt.epochs=2")
    return alias.strip(), key.strip(), value.strip()


def read_config(path: Path | None, line: str, assignments: Sequence[str]) -> Chosen:
    """Join a TOML file with the command line, which wins, and there the options that stand with a strategy.

    The file may hold ``plugins = ["a", "b"]`` and a table of options per alias; ``line`` is a composition,
    ``a[key=value],b``.
    """
    from evaladapt.contract.spelling import spelled

    written = spelled(line)
    from_file = _read_toml(path) if path else Chosen((), {})
    options = {alias: dict(given) for alias, given in from_file.options.items()}
    for text in assignments:
        alias, key, value = split_assignment(text)
        options.setdefault(alias, {})[key.replace("-", "_")] = value
    for alias, own in written.options.items():
        options[alias] = {**options.get(alias, {}), **own}
    return Chosen(written.names or from_file.names, options)


def _read_toml(path: Path) -> Chosen:
    try:
        content = read_toml(path)
    except DataError as error:
        raise UsageError(f"the configuration cannot be used: {error}") from error
    names = content.pop("plugins", [])
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise UsageError(f"{path}: plugins is a list of names, as in: plugins = ['ttt', 'slot-lbfgs']")
    for alias, given in content.items():
        if not isinstance(given, dict):
            raise UsageError(f"{path}: {alias!r} is neither 'plugins' nor a table of options like [ttt]")
    tables = {alias: {key.replace("-", "_"): value for key, value in given.items()} for alias, given in content.items()}
    return Chosen(tuple(names), tables)
