"""Beside the plugins of ``mkdocs build``: docstrings name things as Sphinx does, and pages show the name alone."""

import re

ROLE = re.compile(r":(?:class|func|mod|meth|data|attr|exc):<code>~?([^<]*)</code>")


def on_page_content(html: str, **_: object) -> str:
    """A page's HTML, with ``:func:`open_run``` as ``open_run``."""
    return ROLE.sub(r"<code>\1</code>", html)
