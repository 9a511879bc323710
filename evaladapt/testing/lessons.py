"""What a failed probe usually means for the author of a strategy, and what to do."""

from __future__ import annotations

LESSONS = {
    "NORM": "Transforms return finite tensors of the shape and type they were given; mix returns log-probabilities that"
    " sum to one: end it with torch.log_softmax(..., dim=-1), and do not return -inf.",
    "LEDGER": "A plan yields windows whose score spans are adjacent, ascending, and cover every target once.",
    "WEIGHTS": "Weights may be written by a strategy that declares writes_weights=True, through host.parameters(), in"
    " adapt or observe; the engine puts them back when the run ends.",
    "REPEAT": "Something differs between two runs: a class or module attribute that is not reset in begin, the clock, a"
    " set's order, or a generator of your own. Keep state on self, make it in begin, and draw from rng.generator(key).",
    "MODEL": "The model of this test is at fault, not the strategy.",
    "FLIP": "A distribution depends on its own target or on later ones. The usual causes: state of scope 'window' that"
    " mixes the rows of past (fit every row by itself, over dim 1, never over dim 0), statistics over all positions of"
    " a block in a transform (a mean over dim 1 sees later positions), and attributes that begin with an underscore.",
    "STEP": "Block mode and step mode differ. The usual causes: a transform that mixes positions or rows, or that"
    " changes state (it is called for one target at a time in step mode: learn in adapt, before the targets, or in"
    " observe, after them), and shared state that is not declared: then say scope='stream' or 'document'.",
    "TOK": "The charges for all values of one target add up to more than one: the distribution was made with the target"
    " in hand.",
    "HYPER": "More bits are saved than chance allows on a text that the model wrote itself: there is a leak somewhere.",
    "KRAFT": "Over all texts of a toy the probabilities add up to more than one: there is a leak somewhere.",
    "EFFECT": "The strategy changed no prediction on the kit's short text, so nothing was tested. Give options that"
    " make it act early, such as a short chunk: check_strategy(cls, options={'chunk': 8}).",
}
"""By probe."""
