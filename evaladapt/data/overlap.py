"""No text may stand on both sides: the hash by which documents are told apart, and the refusal where train meets
validation.

A document's fingerprint ignores what tokenizers and exports change without changing the text: compatibility forms of
characters (NFKC) and every run of white space. A document with its line breaks and the same one on a single line are
the same document.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

from evaladapt.errors import DataError


def fingerprint(document: str) -> str:
    """SHA-256 (64 hex digits) of the document in NFKC with its white space collapsed."""
    normal = " ".join(unicodedata.normalize("NFKC", document).split())
    return hashlib.sha256(normal.encode("utf-8")).hexdigest()


def refuse_overlap(train_fingerprints: Iterable[str], validation: Sequence[str], name: str) -> None:
    """Refuse a validation text of which a document was trained on.

    Args:
        train_fingerprints: fingerprints of the training documents.
        validation: the documents to be scored.
        name: what to call the validation text in the message.

    Raises:
        DataError: names how many documents overlap and shows the first.
    """
    trained = set(train_fingerprints)
    shared = [(number, text) for number, text in enumerate(validation, 1) if fingerprint(text) in trained]
    if shared:
        number, text = shared[0]
        start = " ".join(text.split())[:60]
        raise DataError(
            f"{len(shared)} of the {len(validation)} documents of {name} are in the training text; the first is "
            f"document {number}: {start!r}. A score on them would be a score on training data. "
            f"Leave them out with: evaladapt data prepare … --exclude {name}"
        )
