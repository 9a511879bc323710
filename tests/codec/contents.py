"""Files of every kind that must come back byte for byte, short because many strategies take all of them."""

import numpy as np

CONTENTS = {
    "empty": b"",
    "one byte": b"x",
    "one high byte": b"\xff",
    "random bytes": np.random.default_rng(0).bytes(24),
    "zeros": bytes(24),
    "invalid UTF-8": b"a \xc3( and \xe2\x96 b \xf0\x28\x8c",
    "other scripts": "数は🙂 Καλη שלום".encode(),
    "carriage returns": b"one\r\n\r\ntwo\rthree\n",
    "literal mark for spaces": "a▁b ▁ c".encode(),
    "byte order mark": b"\xef\xbb\xbfwords",
}
