from hypothesis import given
from hypothesis import strategies as st

from evaladapt.system.text import safe, safe_lines


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text):
    assert safe(text).isprintable()
    assert all(line.isprintable() for line in safe_lines(text).replace("\t", "").split("\n"))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_stays(text):
    assert safe(text) == safe_lines(text) == text


def test_escapes_can_be_read():
    assert safe("\x1b[31m\u202ea\nb") == "\\x1b[31m\\u202ea\\nb"
    assert safe_lines("a\n\tb\r\x9b") == "a\n\tb\\r\\x9b"
    assert safe("abcdef", 4) == "abc…"
    assert safe("abcd", 4) == "abcd"
