from __future__ import annotations

import platform
import sys
from pydoc_data.topics import topics

import pytest

from evaladapt.data.default_text import DEFAULT_NAME, MAX_BYTES, default_documents
from evaladapt.errors import DataError


def test_the_slice_is_whole_topics_in_key_order() -> None:
    documents = default_documents()
    size = sum(len(document.encode()) for document in documents)
    assert documents == [topics[key] for key in sorted(topics)][: len(documents)]
    assert size <= MAX_BYTES < size + len(topics[sorted(topics)[len(documents)]].encode())
    assert platform.python_version() in DEFAULT_NAME


def test_a_python_without_the_topics_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="without pydoc_data"):
        default_documents()
