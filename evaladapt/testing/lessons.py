"""What a failed probe usually means for the author of a strategy, and what to do."""

from __future__ import annotations

LESSONS = {
    "NORM": "Transforms return finite tensors of the shape and type they were given; mix returns log-probabilities that"
    " sum to one: end it with torch.log_softmax(..., dim=-1), and do not return -inf.",
    "GOLD": "The engine charges what mix returns; this failing means a fault in the engine. Please report it.",
    "LEDGER": "A plan yields windows whose score spans are adjacent, ascending, and cover every target once.",
    "REPEAT": "Something differs between two runs: a class or module attribute that is not reset in begin, the clock, a"
    " set's order, or a generator of your own. Keep state on self, make it in begin, and draw from rng.generator(key).",
    "MODEL": "The model of this test is at fault, not the strategy.",
    "BYTES": "The text of this test is at fault, not the strategy.",
    "FULL": "The text of this test is at fault, not the strategy.",
    "FREEZE": "transform_hidden, transform_logits and mix may not change state: they are called again in step mode, for"
    " rows one by one. Learn in adapt (before the targets) or observe (after them) instead.",
    "RNG": "Use rng.generator(key) of the hook's argument rng, for instance with the stream position as the key.",
    "FILES": "A strategy knows the artifact, its options and the prefix. Put constants into the options or the code.",
    "REHEARSAL": "The hook depends on text that is not due yet. Learn only from past.targets[past.visible] and from"
    " scored; use query.preceding(k) as it is, and touch nothing that begins with an underscore.",
    "FLIP": "A distribution depends on its own target or on later ones. The usual causes: state of scope 'window' that"
    " mixes the rows of past (fit every row by itself, over dim 1, never over dim 0), and statistics over all"
    " positions of a block in a transform (a mean over dim 1 sees later positions).",
    "TRUNC": "A distribution depends on text beyond its batch, which no view hands out. Only documents' starts and the"
    " number of targets are public.",
    "STEP": "Block mode and step mode differ. Look for anything in a transform that mixes positions or rows, for state"
    " that a transform changes, and for shared state that is not declared: then say scope='stream' or 'document'.",
    "PERM": "Rows of a batch influence each other. Fit every row by itself, or declare scope='stream' or 'document'.",
    "TOK": "The charges for all values of one target add up to more than one: the distribution was made with the target"
    " in hand.",
    "HYPER": "More bits are saved than chance allows on a text that the model wrote itself: there is a leak somewhere.",
    "KRAFT": "Over all texts of a toy the probabilities add up to more than one: there is a leak somewhere.",
    "EFFECT": "The strategy changed no prediction on the kit's short text, so nothing was tested. Give options that"
    " make it act early, such as a short chunk: check_strategy(cls, options={'chunk': 8}).",
}
"""By probe."""
