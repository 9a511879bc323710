from __future__ import annotations

import pytest

from evaladapt.data.overlap import fingerprint, refuse_overlap
from evaladapt.errors import DataError


def test_white_space_and_compatibility_forms_do_not_hide_a_document() -> None:
    assert fingerprint("One  text\r\nhere ﬁne\n") == fingerprint(" One text here fine")
    assert fingerprint("One text") != fingerprint("One text.")
    assert fingerprint("One text") != fingerprint("one text")


def test_the_first_overlapping_document_is_named() -> None:
    trained = [fingerprint(text) for text in ("alpha", "beta\ngamma")]
    with pytest.raises(DataError, match=r"2 of the 4 documents of val\.jsonl .* document 2: 'beta gamma'"):
        refuse_overlap(trained, ["new", "beta gamma", "newer", "alpha"], "val.jsonl")
    refuse_overlap(trained, ["new", "alpha beta gamma"], "val.jsonl")
