import json
import lzma

import numpy as np
import pytest

from evaladapt.bench import codec
from evaladapt.bench.codec import CodecSettings, measure_rival, run
from evaladapt.bench.codec_report import Row
from evaladapt.bench.rivals import RIVALS, Coder, Rival
from evaladapt.cli.main import invoke
from evaladapt.contract.composition import compose
from evaladapt.errors import EXIT_FAILED, EXIT_OK, EvaladaptError

XZ = RIVALS[0]
ABSENT = Rival("someone else's", "a_package_nobody_has", lambda: pytest.fail("it is not there"))
LIMIT = 60


@pytest.fixture(autouse=True)
def _xz_alone(monkeypatch):
    monkeypatch.setattr(codec, "RIVALS", (XZ, ABSENT))


@pytest.fixture
def settings(tiny_artifact, text_file):
    return CodecSettings(artifact=str(tiny_artifact), data=(text_file,), limit_bytes=LIMIT, composition=("slot-lbfgs",))


def test_every_row_is_a_file_that_was_decoded(settings, tiny_artifact, text_file):
    report = run(settings)
    assert [row.name for row in report.rows] == ["xz -9e", "evaladapt sliding", "evaladapt sliding,slot-lbfgs"]
    assert LIMIT - 8 < report.text_bytes <= LIMIT
    xz, plain, adapted = report.rows
    assert xz.packed_bytes == len(
        lzma.compress(text_file.read_bytes()[: report.text_bytes], preset=9 | lzma.PRESET_EXTREME)
    )
    assert xz.model_bytes == 0
    assert plain.model_bytes == adapted.model_bytes == tiny_artifact.stat().st_size
    assert plain.packed_bytes != adapted.packed_bytes
    assert all(row.compress_seconds > 0 and row.decompress_seconds > 0 for row in report.rows)


def test_only_sliding_has_a_promised_rate(settings):
    bounds = {figure.what: figure.bound for figure in run(settings).figures if figure.unit == "ms a target"}
    assert bounds == {
        "sliding: compressing": 1000 / 150,
        "sliding: decompressing": 1000 / 150,
        "sliding,slot-lbfgs: compressing": None,
        "sliding,slot-lbfgs: decompressing": None,
    }


def test_the_command_prints_a_table_and_names_what_is_missing(settings, tiny_artifact, text_file, capsys):
    command = ["bench", "codec", "--artifact", str(tiny_artifact), "--data", str(text_file), "--limit-bytes", "30"]
    assert invoke([*command, "--plugins", "bias"]) == EXIT_OK
    said = capsys.readouterr()
    header, *rows = [line for line in said.out.splitlines() if "KB/s" in line or line.startswith(("xz", "evaladapt "))]
    assert header.split("  ")[-1] == "decompress KB/s"
    assert [row.split("  ")[0] for row in rows] == ["xz -9e", "evaladapt sliding", "evaladapt sliding,bias"]
    assert len({len(line) for line in (header, *rows)}) == 1
    assert "a_package_nobody_has: not installed, pip install a_package_nobody_has" in said.out
    assert "sliding,bias: decompressing" in said.err


def test_the_command_prints_json(tiny_artifact, text_file, capsys):
    command = ["bench", "codec", "--artifact", str(tiny_artifact), "--data", str(text_file), "--limit-bytes", "30"]
    assert invoke([*command, "--plugins", "sliding", "--json"]) == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == ["xz -9e", "evaladapt sliding"]
    assert found["missing"] == ["a_package_nobody_has"]
    assert found["text_bytes"] <= 30


def test_the_composition_of_the_table_can_be_composed():
    assert compose(codec.BEST).line == ",".join(("sliding", *codec.BEST))


def test_a_rival_that_does_not_give_the_text_back_is_an_error(settings, tiny_artifact, text_file, monkeypatch, capsys):
    lossy = Rival("lossy", None, lambda: Coder(bytes, lambda packed: packed[:-1]))
    with pytest.raises(EvaladaptError, match="lossy did not give the text back: 4 bytes came of 5"):
        measure_rival(lossy, b"words")
    monkeypatch.setattr(codec, "RIVALS", (lossy,))
    assert invoke(["bench", "codec", "--artifact", str(tiny_artifact), "--data", str(text_file)]) == EXIT_FAILED
    assert "lossy did not give the text back" in capsys.readouterr().err


def test_so_is_a_decoder_of_ours_that_does_not(settings, monkeypatch):
    def decode(seated, tokenizer, path, out, progress):
        out.write_bytes(b"something else")

    monkeypatch.setattr(codec, "decode", decode)
    with pytest.raises(EvaladaptError, match="evaladapt sliding did not give the text back"):
        run(settings)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_every_rival_gives_any_bytes_back(rival):
    if rival.missing:
        pytest.skip(f"needs the package {rival.package}")
    content = b"words, and some words more. " * 40 + np.random.default_rng(0).bytes(100)
    row = measure_rival(rival, content)
    assert 100 < row.packed_bytes < 300


def test_cells_are_bits_per_byte_and_kilobytes_a_second():
    row = Row("x", packed_bytes=500, model_bytes=1500, compress_seconds=2.0, decompress_seconds=0.5)
    assert row.cells(4000) == ("x", "1.0000", "4.0000", "2", "8")
