"""artifacts/FORMAT.md as plain Python: a second reader, sharing no line with the first. Slow, trusting, for tests."""

import json
import lzma
import math
import struct

WEIGHTS = (1073741824, 984625594, 902905666, 827968134, 759250125, 696235434, 638450708, 585461913)
MASK = 2**64 - 1


def read(data: bytes) -> tuple[dict, dict[str, list[float]], bytes]:
    """Manifest, flat weights and tokenizer."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    manifest = json.loads(header.pop("__metadata__")["evaladapt"])
    body = data[8 + length :]
    stored = {name: body[slice(*entry["data_offsets"])] for name, entry in header.items()}
    weights = {}
    for name, entry in manifest["tensors"].items():
        if entry["quantizer"] == "float16@1":
            weights[name] = halves(stored[name])
        else:
            weights[name] = matrix(entry, stored[f"{name}.codes"], halves(stored[f"{name}.scales"]))
    tokenizer = stored["tokenizer"]
    if manifest["tokenizer"]["coder"] == "lzma@1":
        tokenizer = unpack_lzma(tokenizer)
    return manifest, weights, tokenizer


def halves(data: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(data) // 2}e", data))


def unpack_lzma(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**23, "lc": 0, "lp": 0, "pb": 0}]
    return lzma.decompress(data, lzma.FORMAT_RAW, filters=filters)


def matrix(entry: dict, data: bytes, scales: list[float]) -> list[float]:
    top = 2 ** (entry["bits"] - 1) - 1
    shape = entry["shape"]
    height = shape[0] if len(shape) > 1 else 1
    columns = math.prod(shape) // height
    if entry["quantizer"] == "int-matrix@1":
        scales = scales * height
    symbols = unpack_lzma(data) if entry["coder"] == "lzma@1" else bell_symbols(data, height, columns, top)
    return [(s - top) * scales[i // columns] * 2.0 ** entry["exponent"] for i, s in enumerate(symbols)]


def frequencies(table: bytes) -> list[int]:
    return shared([0 if byte == 255 else WEIGHTS[byte % 8] >> (byte // 8) for byte in table])


def shared(weights: list[int]) -> list[int]:
    counts = [1 + weight * (2**24 - len(weights)) // sum(weights) for weight in weights]
    counts[weights.index(max(weights))] += 2**24 - sum(counts)
    return counts


class RangeDecoder:
    def __init__(self, data: bytes) -> None:
        self.words = iter([word for (word,) in struct.iter_unpack("<I", data)])
        self.lower, self.range = 0, MASK
        self.point = next(self.words, 0) << 32 | next(self.words, 0)

    def symbol(self, counts: list[int]) -> int:
        step = self.range >> 24
        quantile = ((self.point - self.lower) & MASK) // step
        symbol, below = 0, 0
        while quantile >= below + counts[symbol]:
            below += counts[symbol]
            symbol += 1
        self.lower = (self.lower + step * below) & MASK
        self.range = step * counts[symbol]
        if self.range < 2**32:
            self.lower, self.range = (self.lower << 32) & MASK, self.range << 32
            self.point = (self.point << 32 | next(self.words, 0)) & MASK
        return symbol


def bell_symbols(data: bytes, height: int, width: int, top: int) -> list[int]:
    """``range@2``."""
    half_power, shift, rest = data[0], data[1], data[2:]
    heads = []
    for _ in range(4):
        low, count, rest = (rest[0] + 128) % 256 - 128, rest[1] + 1, rest[2:]
        table, rest = (rest[:count], rest[count:]) if count > 1 else (b"", rest)
        heads.append((low, table))
    coder = RangeDecoder(rest)
    vectors = [
        [low + (coder.symbol(frequencies(table)) if table else 0) for _ in range(size)]
        for (low, table), size in zip(heads, (height, width, height, width), strict=True)
    ]
    down, across, row_factors, column_factors = vectors
    levels = [r + c for r in down for c in across]
    means = [(a * b + (2**shift >> 1)) >> shift for a in row_factors for b in column_factors]
    reach = top + max(abs(mean) for mean in means)
    symbols = [0] * len(levels)
    for level in sorted(set(levels)):
        counts = shared(bell_weights(level, half_power, reach))
        for at, found in enumerate(levels):
            if found == level:
                symbols[at] = coder.symbol(counts) - reach + means[at] + top
    return symbols


def bell_weights(level: int, half_power: int, reach: int) -> list[int]:
    weights = []
    for distance in range(reach + 1):
        exponent = root(2**80 * distance ** (8 * half_power) * 2 ** (half_power * 32) // 2 ** (half_power * level), 16)
        weights.append(root(2 ** (960 - exponent % 32), 32) >> (exponent // 32) if exponent <= 960 else 0)
    return weights[:0:-1] + weights


def root(value: int, degree: int) -> int:
    """The largest whole number whose power is at most ``value``, by bisection."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low
