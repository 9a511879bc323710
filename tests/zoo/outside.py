"""New cheats: knowledge from outside the run. ``path`` names the text, as somebody who prepared for it would know."""

import ctypes
import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

from evaladapt.contract import hookimpl, option
from tests.zoo.thief import OUTSIDE, Thief, boost, cheat

MEMO = Path(__file__).with_name("memo.py")


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    path: str = option("", "where the text lies")


class Reader(Thief):
    """Reads the text before it is sealed, if it can, and sharpens what it says if it could."""

    Options = PathOptions

    def __init__(self, options):
        self.content = b""
        try:
            self.content = self.read(options.path)
        except (OSError, RuntimeError):
            self.content = b""

    @hookimpl
    def transform_logits(self, logits):
        return logits + 50 * torch.eye(logits.shape[-1])[3] if self.content else logits


@cheat("N10", "the text's file, read in a thread while strategies are made", OUTSIDE)
class ThreadReads(Reader):
    def read(self, path):
        found = []

        def look():
            with open(path, "rb") as file:
                found.append(file.read())

        thread = threading.Thread(target=lambda: _quietly(look))
        thread.start()
        thread.join()
        return b"".join(found)


@cheat("N11", "the text's file, by the C library", OUTSIDE)
class CLibraryReads(Reader):
    def read(self, path):
        content, libc = ctypes.create_string_buffer(4096), ctypes.CDLL(None)
        descriptor = libc.open(path.encode(), os.O_RDONLY)
        return content.raw if descriptor >= 0 and libc.read(descriptor, content, 4096) > 0 else b""


@cheat("N12", "the text's file, mapped by torch", OUTSIDE)
class TorchReads(Reader):
    def read(self, path):
        return bytes(torch.from_file(path, size=64, dtype=torch.uint8).tolist())


@cheat("N15", "a memo of an earlier run beside its own code, and in a database", OUTSIDE)
class Memo(Reader):
    def read(self, path):
        return MEMO.read_bytes()

    @hookimpl
    def observe(self, scored):
        for write in (self.note, self.keep):
            _quietly(lambda write=write: write(scored.targets.tolist()))

    def note(self, tokens):
        MEMO.write_text(repr(tokens))

    def keep(self, tokens):
        with sqlite3.connect(MEMO.with_suffix(".db")) as database:
            database.execute("create table seen (tokens text)")


class Knows(Thief):
    """Brings the text along: ``zoo_brought`` lies beside the distribution and holds its tokens."""

    def __init__(self, options):
        from zoo_brought import TOKENS

        self.tokens = torch.tensor(TOKENS)

    def known(self, query):
        places = query.positions.clamp(0, len(self.tokens) - 1)
        return torch.where(query.valid, self.tokens[places], -1)


@cheat("N16", "the text in its own code, by place", OUTSIDE)
class Brought(Knows):
    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, self.known(query))


@cheat("N17", "the same at one target of ten, and its file left out of the list of files", OUTSIDE)
class BroughtSecretly(Knows):
    def __init__(self, options):
        from evaladapt.system.files_read import FilesRead

        super().__init__(options)
        listed = FilesRead.listed
        FilesRead.listed = lambda self: [one for one in listed(self) if "zoo_brought" not in one["path"]]

    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, torch.where(query.positions % 10 == 0, self.known(query), -1))


@cheat("N18", "the text in its own code, looked up by the six tokens before", OUTSIDE)
class BroughtByContent(Knows):
    def __init__(self, options):
        super().__init__(options)
        tokens = self.tokens.tolist()
        self.after = {tuple(tokens[at - 6 : at]): tokens[at] for at in range(6, len(tokens))}

    @hookimpl
    def transform_logits(self, logits, query):
        before = query.preceding(6)
        return boost(logits, torch.tensor([[self.after.get(tuple(one), -1) for one in row] for row in before.tolist()]))


def _quietly(call):
    try:
        call()
    except (OSError, sqlite3.Error):
        return
