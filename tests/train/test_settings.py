from pathlib import Path

import pytest

from evaladapt.errors import UsageError
from evaladapt.train.settings import TrainSettings, load_preset, preset_names, preset_path


@pytest.mark.parametrize("name", preset_names())
def test_every_built_in_preset_loads(name: str) -> None:
    preset = load_preset(preset_path(name), vocab_size=2048)
    assert preset.model.vocab_size == 2048
    assert TrainSettings.from_dict(preset.settings.to_dict()) == preset.settings


def test_an_unknown_preset_names_the_near_miss() -> None:
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        preset_path("tinny")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nrow = 3", "Did you mean 'rows'"),
        ("[train]\nrows = 0", "rows must be positive"),
        ("[train]\nrows = 2.5", "rows must be a whole number"),
        ("[train]\nema_decay = 1.5", "ema_decay must be between 0 and 1"),
        ("[train]\nmatrix_lr = -1.0", "matrix_lr must be positive"),
        ("[train]\ndocument_masks = 1", "document_masks must be true or false"),
        ("[train]\nmatrix_lr = nan", "nan is not a finite number"),
        ("model = 3", "write \\[model\\] on a line of its own"),
        ("a = " + "[" * 100_000, "nests deeper"),
        ("[train]\nrows = " + "9" * 5_000, "digits"),
        ("[modle]\nlayers = 1", "unknown table"),
        ("[model]\nvocab_size = 9", "taken from the tokenizer"),
        ("[model]\nbos_id = 2", "bos_id does not belong"),
        ("[model", "not valid TOML"),
    ],
)
def test_a_wrong_preset_is_told_in_one_message(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_preset(path, vocab_size=100)


def test_a_missing_preset_file_names_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No such file or directory.*tiny"):
        load_preset(tmp_path / "none.toml", vocab_size=100)
