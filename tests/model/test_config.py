import json
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
        ({"rope_width": 34}, "rope_width is 34; it must be even and at most width/heads, 32"),
        ({"rope_width": 3}, "rope_width is 3"),
        ({"xsa_layers": 5}, "xsa_layers is 5; the model has 4 layers"),
        ({"parallel_layers": 5}, "parallel_layers is 5"),
        ({"value_embedding_layers": 2}, "must be a list of layer numbers, not 2"),
        ({"value_embedding_layers": [1.0]}, "must be a list of layer numbers"),
        ({"value_embedding_layers": [True]}, "must be a list of layer numbers"),
        ({"value_embedding_layers": [1, 4]}, r"\[1, 4\] must name layers from 0 to 3"),
        ({"value_embedding_layers": [2, 1]}, "each once, rising"),
        ({"bigram_buckets": 1}, "bigram_buckets must be 0"),
        ({"bigram_buckets": -2}, "bigram_buckets must be positive"),
        ({"smear_gate": 1}, "smear_gate must be true or false, not 1"),
        ({"bos_id": 300}, "bos_id 300 is outside of the vocabulary of 300"),
        ({"unet_skips": True, "layers": 1}, "at least two layers"),
        ({"loop_times": 3}, "loop_start 0 to loop_stop 0 - 1, which is no range within 4 layers"),
        ({"loop_times": 2, "loop_start": 2, "loop_stop": 5}, "no range within 4 layers"),
        ({"loop_times": 10**6, "loop_stop": 2}, "loop_times is 1000000; at most 16"),
        ({"mtp_heads": 512}, "look beyond a window of 512 tokens"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ModelConfig.from_dict({"vocab_size": 300, **changes})


def test_an_unknown_option_names_the_near_miss() -> None:
    with pytest.raises(UsageError, match="Did you mean 'kv_heads'"):
        ModelConfig.from_dict({"vocab_size": 300, "kv_head": 2})


def test_metadata_from_before_a_feature_means_that_it_is_off() -> None:
    names = [
        "vocab_size",
        "layers",
        "width",
        "heads",
        "kv_heads",
        "mlp_width",
        "context",
        "rope_base",
        "logit_softcap",
        "qk_gain",
    ]
    whole = ModelConfig(vocab_size=300).to_dict()
    old = ModelConfig.from_dict({name: whole[name] for name in names})
    assert old == ModelConfig(vocab_size=300)
    assert old.rotated_width == old.head_width
    assert old.layer_order == (0, 1, 2, 3)


def test_features_survive_json() -> None:
    config = ModelConfig(vocab_size=300, value_embedding_layers=(1, 3), smear_gate=True, loop_stop=2, loop_times=2)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()


def test_looped_layers_repeat_in_the_published_order() -> None:
    looped = ModelConfig(vocab_size=300, layers=11, loop_start=3, loop_stop=6, loop_times=3)
    assert looped.layer_order == (0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10)


def test_a_missing_vocabulary_is_named() -> None:
    with pytest.raises(UsageError, match="vocab_size is missing"):
        ModelConfig.from_dict({"layers": 2})


def test_configurations_and_presets_load_without_torch() -> None:
    code = "import sys, evaladapt.model.config, evaladapt.train.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
