import pytest
import torch

from evaladapt.contract.capabilities import Capabilities, Stage
from evaladapt.engine.hooks.host import host_for
from evaladapt.model.backend import RoledBackend, roles_of
from evaladapt.model.roles import OTHER, WeightRole, layer_in, of_role, roles_from_names
from evaladapt.system.processes import ALONE
from tests.model.features import CONFIGS, stirred_model
from tests.tiny import tiny_model

NAMES = {
    "model.layers.3.self_attn.q_proj.weight": ("attention.query",),
    "model.layers.3.self_attn.q_proj.bias": ("attention.query.bias",),
    "model.layers.3.self_attn.o_proj.weight": ("attention.out",),
    "model.layers.3.self_attn.q_norm.weight": ("norm",),
    "model.layers.3.mlp.gate_proj.weight": ("mlp.gate",),
    "model.layers.3.mlp.down_proj.weight": ("mlp.down",),
    "model.layers.3.input_layernorm.weight": ("norm",),
    "transformer.h.3.attn.c_attn.weight": ("attention.query", "attention.key", "attention.value"),
    "transformer.h.3.attn.c_attn.bias": ("attention.query.bias", "attention.key.bias", "attention.value.bias"),
    "transformer.h.3.attn.c_proj.weight": ("attention.out",),
    "transformer.h.3.mlp.c_fc.weight": ("mlp.up",),
    "transformer.h.3.mlp.c_proj.weight": ("mlp.down",),
    "transformer.h.3.ln_1.weight": ("norm",),
    "gpt_neox.layers.3.attention.query_key_value.weight": ("attention.query", "attention.key", "attention.value"),
    "gpt_neox.layers.3.attention.dense.weight": ("attention.out",),
    "gpt_neox.layers.3.mlp.dense_h_to_4h.weight": ("mlp.up",),
    "gpt_neox.layers.3.mlp.dense_4h_to_h.weight": ("mlp.down",),
    "model.layers.3.mlp.gate_up_proj.weight": ("mlp.gate", "mlp.up"),
    "blocks.3.attn.c_k.weight": ("attention.key",),
    "blocks.3.attn.proj.weight": ("attention.out",),
    "blocks.3.mlp.fc.weight": ("mlp.up",),
    "blocks.3.mlp.proj.weight": ("mlp.down",),
    "blocks.3.resid_mix": (OTHER,),
}
OUTSIDE = {
    "transformer.wte.weight": ("embedding",),
    "transformer.wpe.weight": ("position",),
    "gpt_neox.embed_in.weight": ("embedding",),
    "embed_out.weight": ("head",),
    "lm_head.weight": ("head",),
    "model.norm.weight": ("norm",),
    "transformer.ln_f.bias": ("norm.bias",),
    "skip_weights": (OTHER,),
}


@pytest.mark.parametrize(("name", "roles"), [*NAMES.items(), *OUTSIDE.items()])
def test_usual_names_have_their_role_and_layer(name, roles):
    assert roles_from_names([name])[name] == WeightRole(roles, 3 if name in NAMES else None)


def test_a_tied_embedding_is_the_head_too():
    assert roles_from_names(["wte.weight"], head_is="wte.weight")["wte.weight"].roles == ("embedding", "head")


def test_weights_are_chosen_by_role_or_by_name():
    roles = roles_from_names(NAMES)
    assert of_role(roles, "mlp.down") == [name for name, given in NAMES.items() if given == ("mlp.down",)]
    assert of_role(roles, "attention.key") == [name for name, given in NAMES.items() if "attention.key" in given]
    assert of_role(roles, "*.resid_mix") == ["blocks.3.resid_mix"]
    assert layer_in("h.11.x") == 11
    assert layer_in("myh.11.x") is None


@pytest.mark.parametrize("name", CONFIGS)
def test_our_transformer_says_all_its_roles(name):
    model = stirred_model(CONFIGS[name])
    assert isinstance(model, RoledBackend)
    roles = roles_of(model)
    assert list(roles) == [name for name, _ in model.named_parameters()]
    assert {role.layer for role in roles.values()} - {None} == set(range(model.layers))
    for role in ("attention.query", "attention.key", "attention.value", "attention.out", "mlp.up", "mlp.down"):
        assert [roles[one].layer for one in of_role(roles, role)] == list(range(model.layers)), role
    assert of_role(roles, "head") == of_role(roles, "embedding") == ["embedding"]


def test_a_host_gives_weights_by_role_and_by_name():
    host = host_for(Capabilities(stage=Stage.WEIGHTS, writes_weights=True), tiny_model(), ALONE)
    by_role, by_name = host.parameters("mlp.down"), host.parameters("blocks.*.mlp.down")
    assert list(by_role) == list(by_name) == ["blocks.0.mlp.down", "blocks.1.mlp.down"]
    assert host.layer_of("blocks.1.mlp.down") == 1
    assert host.layer_of("embedding") is None
    assert all(torch.is_tensor(one) for one in host.parameters().values())
