"""Encoding and decoding in this process, with strategy classes that are not installed, for the tests of this room."""

import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.text import text_from_bytes
from evaladapt.contract.composition import compose
from evaladapt.engine.loop import Engine, Settings
from evaladapt.engine.player.setup import Setup
from evaladapt.judge.outcome import outcome_of
from evaladapt.testing.compositions import composition_of

SLIDING = {"sliding": {"stride": "4"}}
WORDS = (
    "The mask is the engine's. A strategy never builds it, and what it is handed is a copy.\n"
    "Ein Satz mit Umlauten: schöne grüne Bäume. Whoever wants to learn from a word must wait.\n"
).encode()


@dataclass(frozen=True)
class InThisProcess:
    """A performer that is not sealed."""

    setup: Setup

    @cached_property
    def ready(self):
        return {**self.setup.description(), "files": []}

    def perform(self, charging):
        started, setup = time.perf_counter(), self.setup
        engine = Engine(setup.opened.backend, setup.composition, setup.settings, charging, vocabulary=setup.vocabulary)
        return outcome_of(charging, engine.run(), time.perf_counter() - started)


class KilledError(Exception):
    pass


class Count:
    """A progress that counts batches."""

    def __init__(self):
        self.batches = 0

    def __call__(self, done, total):
        self.batches += 1


def killer(batches):
    """A progress that ends a run after so many batches, as a kill would."""

    def progress(done, total):
        nonlocal batches
        batches -= 1
        if not batches:
            raise KilledError

    return progress


def options_of(classes, options=None):
    names = {cls.__name__.lower() for cls in classes} | {"sliding"}
    return {alias: given for alias, given in {**SLIDING, **(options or {})}.items() if alias in names}


def performer(opened, composition, batch=16, seed=0):
    """A composition in step mode in this process."""
    settings = Settings(batch=batch, seed=seed, mode="step")
    return InThisProcess(Setup(opened, composition, settings, with_canary=True))


def seated_by(opened, compose_by=compose):
    """Makes performers by a file's recipe."""

    @contextmanager
    def seated(recipe):
        composition = compose_by(recipe.plugins, recipe.options)
        yield performer(opened, composition, recipe.batch, recipe.seed)

    return seated


def encode_by(opened, content, out, composition, *, batch=3, seed=0, **settings):
    text = text_from_bytes(content, opened.tokenizer, "text") if isinstance(content, bytes) else content
    return encode(performer(opened, composition, batch, seed), text, out, batch=batch, seed=seed, **settings)


def decode_by(opened, path, out, compose_by=compose, **settings):
    return decode(seated_by(opened, compose_by), opened.tokenizer, path, out, **settings)


def encode_with(opened, content, out, *classes, options=None, **settings):
    return encode_by(opened, content, out, composition_of(*classes, options=options_of(classes, options)), **settings)


def decode_with(opened, path, out, *classes, **settings):
    def compose_by(names, options):
        return composition_of(*classes, options=options)

    return decode_by(opened, path, out, compose_by, **settings)


def round_trip(opened, folder, content, *classes, **settings):
    """Encode and decode; returns what encoding came to and the file."""
    path, out = folder / "text.evz", folder / "text.out"
    encoded = encode_with(opened, content, path, *classes, **settings)
    decoded = decode_with(opened, path, out, *classes)
    assert out.read_bytes() == content
    assert sorted(one.name for one in folder.iterdir()) == ["text.evz", "text.out"]
    if encoded.outcome:
        assert decoded.outcome.digest == encoded.outcome.digest
    return encoded, path
