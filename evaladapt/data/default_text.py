"""The text a run scores when none is given: a fixed slice of the manual topics that every CPython carries.

``pydoc_data.topics`` is technical prose that needs no download. It differs between Python versions, so the name of the
slice says which one it is, and a record carries its hash.
"""

from __future__ import annotations

import platform

from evaladapt.errors import DataError

MAX_BYTES = 160_000
DEFAULT_NAME = f"pydoc-topics-{platform.python_version()}"


def default_documents() -> list[str]:
    """Whole topics in the order of their keys, one document each, until the next would pass 160,000 bytes.

    Raises:
        DataError: this Python was installed without ``pydoc_data``.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "This Python comes without pydoc_data, the default text. Name a text file: --data FILE."
        ) from None
    documents: list[str] = []
    size = 0
    for key in sorted(topics):
        size += len(topics[key].encode("utf-8"))
        if size > MAX_BYTES:
            break
        documents.append(topics[key])
    return documents
