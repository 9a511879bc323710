"""The text's file, read while strategies are imported: plainly, by the C library, by torch, in a thread."""

import ctypes
import os
import threading

import torch

from evaladapt.contract import hookimpl
from tests.zoo.importing import in_player
from tests.zoo.thief import OUTSIDE, Thief, cheat

CONTENT = []


def plainly(path):
    with open(path, "rb") as file:
        return file.read(64)


def by_the_c_library(path):
    libc, content = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    return content.raw if libc.read(libc.open(path.encode(), os.O_RDONLY), content, 64) > 0 else b""


def by_torch(path):
    return bytes(torch.from_file(path, size=64, dtype=torch.uint8).tolist())


def attempt(read, path):
    try:
        CONTENT.append(read(path))
    except (OSError, RuntimeError):
        CONTENT.append(b"")


if in_player():
    from zoo_brought import PATH

    for way in (plainly, by_the_c_library, by_torch):
        thread = threading.Thread(target=attempt, args=(way, PATH))
        thread.start()
        thread.join()


@cheat("N19", "the text's file, read while its module is imported, in a thread, in three ways", OUTSIDE)
class ReadsAtImport(Thief):
    @hookimpl
    def transform_logits(self, logits):
        return logits + 50 * torch.eye(logits.shape[-1])[3] if any(CONTENT) else logits
