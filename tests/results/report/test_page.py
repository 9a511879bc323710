"""The page says what the rows say, needs nothing else, and runs nothing that a name or a text holds."""

import re
import sys
from html.parser import HTMLParser

import pytest

import evaladapt as ea
from evaladapt.cli.main import invoke
from evaladapt.errors import DataError, UsageError
from evaladapt.results.report.page import page
from evaladapt.results.report.subject import subject_in, subject_of_comparison
from tests.results.report.conftest import HOSTILE, TEXTS

VOID = {"meta", "br", "img"}


class Strict(HTMLParser):
    """Tags that are closed in order, ids, links, and the text that is shown."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text, self.titles = [], [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.titles += [given["title"]] if "title" in given else []
        self.ids += [given["id"]] if "id" in given and "svg" not in self.open else []
        self.links += [given["href"]] if tag == "a" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def parsed(page_file):
    found = Strict()
    found.feed(page_file.read_text())
    assert found.open == []
    return found


def test_every_row_and_its_numbers_are_shown(parsed, comparison):
    text = " ".join(parsed.text)
    for row in comparison.rows:
        assert row.name in text
        assert f"{row.bpb:.4f}" in text
        if row.difference:
            assert f"{row.difference.bpb:+.4f} [{row.difference.low:+.4f}, {row.difference.high:+.4f}]" in text
    best = next(row for row in comparison.rows if row.rank == 1)
    assert f"Best of these: {best.name}" in text
    assert "inside one process" in text
    for clause in ("C1", "C2", "C3", "C4", "D", "W"):
        assert clause in parsed.text


def test_nothing_is_loaded_and_no_script_is_run(page_file, parsed):
    content = page_file.read_text()
    assert "script" not in parsed.tags
    assert HOSTILE in " ".join(parsed.text)
    assert {"link", "img", "iframe", "object"}.isdisjoint(parsed.tags)
    assert not re.search(r'(?:src|href)="(?!#)', content.replace("xlink:", ""))
    assert not re.search(r"url\((?!#)", content)
    assert "default-src 'none'" in content


def test_every_token_of_a_text_is_there_with_its_numbers(parsed, comparison):
    cell = min((one for one in comparison.cells if one.text == "plain" and not one.place.is_base),
               key=lambda one: one.record.adapted.bits_per_byte)  # fmt: skip
    rows = list(cell.result.targets())
    expected = [f"{row.base_nats:.2f} → {row.nats:.2f}" for row in rows]
    assert parsed.titles[-len(expected) :] == expected
    assert sum(len(one.record.composition) == 1 for one in comparison.cells) == len(TEXTS)


def test_links_lead_to_places_that_are_there_once(parsed):
    assert parsed.links
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert len(set(parsed.ids)) == len(parsed.ids)


def test_figures_have_the_colours_of_the_page(page_file, parsed):
    content = page_file.read_text()
    assert parsed.tags.count("svg") == 2 + 3 * len(TEXTS)
    figures = "".join(re.findall(r"<svg.*?</svg>", content, flags=re.DOTALL))
    assert "currentColor" in figures
    assert "var(--series-0)" in figures
    assert not re.search(r"#0[14]0[2-6]|#0a0b", figures)
    assert "mathdefault" not in figures


def test_the_same_comparison_gives_the_same_page(comparison):
    assert page(subject_of_comparison(comparison)) == page(subject_of_comparison(comparison))


def test_the_command_shows_runs_together(tmp_path, capsys):
    for name in ("bias", "ngram[max_order=3]"):
        ea.run("micro", TEXTS["plain"], plugins=name, inline=True, folder=tmp_path / name)
    folders = [str(tmp_path / name) for name in ("bias", "ngram[max_order=3]")]
    assert invoke(["report", *folders, "--html", str(tmp_path / "runs.html")]) == 0
    assert "runs.html: " in capsys.readouterr().out
    subject = subject_in([tmp_path / "bias", tmp_path / "ngram[max_order=3]"])
    assert [row.name for row in subject.rows] == ["sliding", "bias", "ngram[max_order=3]"]
    assert len(subject.texts) == 1
    assert sorted(row.rank for row in subject.rows if row.rank) == [1, 2]
    assert "ngram[max_order=3]" in (tmp_path / "runs.html").read_text()


def test_a_run_without_a_base_cannot_be_shown(tmp_path):
    ea.run("micro", TEXTS["plain"], inline=True, base=False, plugins="bias", folder=tmp_path / "run")
    with pytest.raises(DataError, match="without a base"):
        subject_in([tmp_path / "run"])


def test_a_comparison_among_runs_is_refused(comparison, tmp_path):
    comparison.save(tmp_path / "grid")
    with pytest.raises(DataError, match="is a comparison"):
        subject_in([tmp_path / "grid", tmp_path / "other"])


def test_without_matplotlib_it_says_what_to_install(comparison, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'evaladapt\[report\]'"):
        comparison.report(tmp_path / "report.html")


def test_html_goes_with_no_other_form(tmp_path, capsys):
    assert invoke(["report", str(tmp_path), "--html", "x.html", "--json"]) == 2
    assert "--html writes a page of its own" in capsys.readouterr().out
