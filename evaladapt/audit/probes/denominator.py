"""BYTES and FULL: what the bits are divided by, and that all of the text is scored.

Every document is decoded from its tokens again; the bytes must be the text's by count and by hash. FULL says which part
of the text that was given is scored.

Cannot see: whether the text is the one somebody meant; its hash is in the record for that.
"""

from __future__ import annotations

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.data.stream import documents_from_tokens, hash_documents


def denominator(bench: Bench) -> list[Finding]:
    """Decode and count again."""
    return [_bytes(bench), _full(bench)]


def _bytes(bench: Bench) -> Finding:
    stream = bench.subject.stream
    if stream.tokenizer is None:
        return bench.not_covered("C2", "BYTES", f"{stream.name} was made without a tokenizer")
    if stream.bytes_from:
        return bench.not_covered("C2", "BYTES", f"the bytes are those of {stream.bytes_from}, not the tokens'")
    documents = list(documents_from_tokens(stream.tokens, stream.tokenizer))
    size, digest = sum(map(len, documents)), hash_documents(documents)
    counted = int(stream.byte_lengths.sum())
    wrong = ""
    if not size == counted == stream.text_bytes or digest != stream.text_sha256:
        wrong = (
            f"the tokens decode to {size} bytes, are counted as {counted}, and the score divides by {stream.text_bytes}"
        )
    elif stream.raw_bytes != stream.text_bytes:
        wrong = f"the tokenizer turned {stream.raw_bytes} bytes of text into {stream.text_bytes} and those are scored"
    evidence = f"{len(documents)} documents decode to {size} bytes, those of the text, sha256 {digest[:16]}"
    return bench.finding("C2", "BYTES", evidence, changed="nothing", difference=wrong, bytes=size)


def _full(bench: Bench) -> Finding:
    stream = bench.subject.stream
    charged = len(bench.plain.logprobs)
    wrong = "" if charged == stream.targets else f"{stream.targets - charged} targets were not scored"
    evidence = f"{charged} of {stream.targets} targets of {stream.name}, tokens sha256 {stream.sha256[:16]}"
    return bench.finding("C4", "FULL", evidence, changed="nothing", difference=wrong, targets=charged)


PROBE = Probe("BYTES", ("C2", "C4"), "the denominator is the text's bytes, and all of it is scored", denominator)
