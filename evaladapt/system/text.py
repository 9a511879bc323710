"""Strings of strangers made safe to print: a terminal obeys escape sequences, and so does who pastes them elsewhere."""

from __future__ import annotations


def safe(text: str, most: int | None = None) -> str:
    """``text`` with everything that is not plain to see written as an escape: ``\\x1b`` for the character ESC.

    Line ends are escaped too, so that a name stays on its line; ``most`` cuts what is longer, with an ellipsis.
    """
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    return shown if most is None or len(shown) <= most else shown[: most - 1] + "…"


def safe_lines(text: str) -> str:
    """The same for a text of several lines, whose line ends and tabs stay."""
    return "".join(one if one in "\n\t" else safe(one) for one in text)
