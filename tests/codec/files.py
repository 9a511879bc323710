"""Encoding and decoding with strategy classes that are not installed, for the tests of this room."""

from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.text import text_from_bytes
from evaladapt.testing.compositions import composition_of

SLIDING = {"sliding": {"stride": "4"}}
WORDS = (
    "The mask is the engine's. A strategy never builds it, and what it is handed is a copy.\n"
    "Ein Satz mit Umlauten: schöne grüne Bäume. Whoever wants to learn from a word must wait.\n"
).encode()


class KilledError(Exception):
    pass


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


def encode_with(frozen, content, out, *classes, options=None, **settings):
    composition = composition_of(*classes, options=options_of(classes, options))
    text = text_from_bytes(content, frozen.tokenizer, "text")
    return encode(frozen, text, composition, out, **{"batch": 3, **settings})


def decode_with(frozen, path, out, *classes, **settings):
    def compose_by(names, options):
        return composition_of(*classes, options=options)

    return decode(frozen, path, out, compose_by=compose_by, **settings)


def round_trip(frozen, folder, content, *classes, **settings):
    """Encode and decode; returns what encoding came to and the file."""
    path, out = folder / "text.evz", folder / "text.out"
    encoded = encode_with(frozen, content, path, *classes, **settings)
    decoded = decode_with(frozen, path, out, *classes)
    assert out.read_bytes() == content
    assert sorted(one.name for one in folder.iterdir()) == ["text.evz", "text.out"]
    if encoded.outcome:
        assert decoded.outcome.digest == encoded.outcome.digest
    return encoded, path
