import subprocess
import sys

import pytest

from evaladapt.errors import UsageError
from evaladapt.model.config import ModelConfig


def test_a_configuration_survives_its_dictionary() -> None:
    config = ModelConfig(vocab_size=300, layers=2, width=48, heads=6, kv_heads=3)
    assert ModelConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 100}, "width 100 is not a multiple of heads 8"),
        ({"kv_heads": 3}, "heads 8 is not a multiple of kv_heads 3"),
        ({"width": 24}, "width/heads is 3"),
        ({"layers": 0}, "layers must be positive"),
        ({"layers": 2.0}, "layers must be a whole number"),
        ({"layers": True}, "layers must be a whole number"),
        ({"rope_base": float("inf")}, "rope_base must be positive and finite"),
        ({"logit_softcap": "30"}, "logit_softcap must be a number"),
        ({"vocab_size": 65_537}, "at most 65536"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ModelConfig.from_dict({"vocab_size": 300, **changes})


def test_an_unknown_option_names_the_near_miss() -> None:
    with pytest.raises(UsageError, match="Did you mean 'kv_heads'"):
        ModelConfig.from_dict({"vocab_size": 300, "kv_head": 2})


def test_a_missing_vocabulary_is_named() -> None:
    with pytest.raises(UsageError, match="vocab_size is missing"):
        ModelConfig.from_dict({"layers": 2})


def test_configurations_and_presets_load_without_torch() -> None:
    code = "import sys, evaladapt.model.config, evaladapt.train.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
