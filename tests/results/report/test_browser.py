"""The page in a real browser: it opens from disk without an error, shows figures in its colours, and prints.

Needs Chromium (on Debian the package ``chromium``); without one it is skipped.
"""

import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr")  # fmt: skip

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")


@pytest.fixture
def browse(tmp_path):
    """What the browser prints, and what the page said on its console."""

    def call(path, *more):
        command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *more, path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]

    return call


def test_it_opens_without_an_error(browse, page_file, tmp_path):
    dom, console = browse(page_file, "--dump-dom")
    assert console == []
    assert "Compliance by clause" in dom
    loud = tmp_path / "loud.html"
    loud.write_text(page_file.read_text().replace("</body>", "<script>1</script></body>"))
    assert browse(loud, "--dump-dom")[1], "a page that does something wrong would be heard"


@pytest.mark.parametrize("width", [390, 1180])
def test_it_can_be_seen_and_printed(browse, page_file, tmp_path, width):
    browse(page_file, f"--window-size={width},2000", f"--screenshot={tmp_path / 'seen.png'}")
    browse(page_file, f"--print-to-pdf={tmp_path / 'printed.pdf'}")
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "printed.pdf").read_bytes().startswith(b"%PDF")
