"""Files that are wrong in one chosen place and right everywhere else: checksums and seal are made to fit.

Without that, the seal alone would refuse every forgery and the checks before it would go untested.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evaladapt.artifact.container import StoredTensor, pack_container, parse_container
from evaladapt.artifact.limits import Limits
from evaladapt.artifact.manifest import checksum
from evaladapt.artifact.reader import SealedFile, check_content
from evaladapt.system.strict_json import canonical_json

Change = Callable[[dict[str, Any]], None]


def nothing(_: dict[str, Any]) -> None:
    pass


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body, the seal cut off."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length : -32]


def with_header(data: bytes, change: Change) -> bytes:
    """Change the header's object, keep the body."""
    header, body = split(data)
    change(header)
    return sealed(json.dumps(header), body)


def sealed(header: str | bytes, body: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else header.encode()
    raw += b" " * (-len(raw) % 8)
    content = len(raw).to_bytes(8, "little") + raw + body
    return content + hashlib.sha256(content).digest()


def with_manifest(data: bytes, change: Change, parts: Mapping[str, StoredTensor | None] | None = None) -> bytes:
    """Change the manifest's object, and replace, add or (None) remove stored tensors with their checksums."""
    container = parse_container(data, Limits())
    tensors = {**container.tensors, **(parts or {})}
    manifest = json.loads(container.manifest)
    for name, entry in manifest["tensors"].items():
        for index, part in enumerate([f"{name}.codes", f"{name}.scales"] if len(entry["crc32"]) == 2 else [name]):
            if tensors.get(part):
                entry["crc32"][index] = checksum(tensors[part].data)
    if tensors.get("tokenizer"):
        manifest["tokenizer"]["crc32"] = checksum(tensors["tokenizer"].data)
    change(manifest)
    return pack_container([tensor for tensor in tensors.values() if tensor], canonical_json(manifest))


def octets(name: str, data: bytes) -> StoredTensor:
    return StoredTensor(name, "U8", (len(data),), data)


def check(data: bytes, limits: Limits | None = None) -> SealedFile:
    return check_content(Path("x.eva"), data, limits or Limits())
