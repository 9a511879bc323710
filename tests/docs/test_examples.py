"""Every code block of the site is run, page by page, as its reader would."""

import pytest

from tests.docs.examples import DOCS, Reader, blocks_of

PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
WITH_CODE = [page for page in PAGES if blocks_of(page)]
NEEDS = {"how-to/lm-eval.md": "lm_eval", "how-to/sweep.md": "pandas", "index.md": "pandas"}


@pytest.mark.parametrize("page", WITH_CODE)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch, capsys):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], reason="an extra is not installed")
    monkeypatch.chdir(tmp_path)
    reader = Reader(monkeypatch, tmp_path)
    for block in blocks_of(page):
        if not block.classes & {"not-run", "elsewhere"}:
            reader.follow(block)


def test_what_runs_elsewhere_does():
    blocks = [block for page in WITH_CODE for block in blocks_of(page)]
    run = {line for block in blocks if not block.classes & {"not-run", "elsewhere"} for line in block.commands}
    for block in blocks:
        if "elsewhere" in block.classes:
            assert set(block.commands) <= run


def test_what_is_not_run_needs_what_a_test_has_not():
    left = [line for page in WITH_CODE for block in blocks_of(page) if "not-run" in block.classes
            for line in block.commands]  # fmt: skip
    models = tuple(f"evaladapt {command} hf:" for command in ("run", "encode", "decode"))
    needs = ("torchrun ", "python -m evaladapt.lm_eval ", "evaladapt compare ", *models)
    assert all(line.startswith(needs) for line in left)


def test_the_glossary_is_short_and_in_order():
    text = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    words = [line.strip("*").partition(" (")[0] for line in text.splitlines() if line.startswith("**")]
    assert len(words) <= 20
    assert words == sorted(words)
