"""What the weights of a model do, whatever its family calls them.

A strategy asks for ``attention.query`` or ``mlp.*`` and gets the same thing from every model that can say; a model says
by a method ``weight_roles`` (see :class:`~evaladapt.model.backend.RoledBackend`). For modules with the usual names,
:func:`roles_from_names` works it out. Importing this module does not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

QUERY, KEY, VALUE, OUT = "attention.query", "attention.key", "attention.value", "attention.out"
UP, GATE, DOWN = "mlp.up", "mlp.gate", "mlp.down"
EMBEDDING, POSITION, HEAD, NORM = "embedding", "position", "head", "norm"
OTHER = "other"
"""Of a weight that nothing is known about."""
BIAS = ".bias"
"""Ending of a role whose weight is added to the product instead of being multiplied."""


@dataclass(frozen=True)
class WeightRole:
    """What one weight does.

    Attributes:
        roles: one; several for matrices stored as one (query, key and value), and for an embedding that is the head.
        layer: number of its layer from 0; None for what belongs to none.
    """

    roles: tuple[str, ...]
    layer: int | None = None

    def matches(self, pattern: str) -> bool:
        """Whether one of the roles matches a glob such as ``attention.*``."""
        return any(fnmatchcase(role, pattern) for role in self.roles)


LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")
_BY_NAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"qkv_proj|query_key_value|attn\.c_attn|attn\.qkv|Wqkv", (QUERY, KEY, VALUE)),
    (r"gate_up_proj", (GATE, UP)),
    (r"q_proj|c_q|wq|query", (QUERY,)),
    (r"k_proj|c_k|wk|key", (KEY,)),
    (r"v_proj|c_v|wv|value", (VALUE,)),
    (r"o_proj|out_proj|attn\.c_proj|attn\.proj|attention\.dense|self_attn\.dense|attention\.out|wo", (OUT,)),
    (r"gate_proj|w1", (GATE,)),
    (r"up_proj|dense_h_to_4h|mlp\.c_fc|mlp\.fc|mlp\.up|fc1|fc_in|w3", (UP,)),
    (r"down_proj|dense_4h_to_h|mlp\.c_proj|mlp\.proj|mlp\.down|fc2|fc_out|w2", (DOWN,)),
    (r"embed_tokens|wte|embed_in|tok_emb|tok_embeddings|word_embeddings|embedding", (EMBEDDING,)),
    (r"wpe|embed_positions|position_embeddings", (POSITION,)),
    (r"lm_head|embed_out|head", (HEAD,)),
    (r"\w*norm\w*|ln_\w+|ln\d", (NORM,)),
)
_PATTERNS = tuple((re.compile(rf"(?:^|\.)(?:{pattern})$"), roles) for pattern, roles in _BY_NAME)


def roles_from_names(names: Iterable[str], head_is: str | None = None) -> dict[str, WeightRole]:
    """Roles of the weights of a module that uses names as Hugging Face, GPT-2, Llama or parameter-golf do.

    Args:
        names: of parameters, as ``named_parameters`` gives them.
        head_is: the name of the embedding where it is the head as well (tied weights).
    """
    return {name: WeightRole((*_roles(name), *((HEAD,) if name == head_is else ())), layer_in(name)) for name in names}


def layer_in(name: str) -> int | None:
    """The number in ``layers.3.``, ``blocks.3.`` or ``h.3.``."""
    found = LAYER.search(name)
    return int(found.group(1)) if found else None


def of_role(roles: Mapping[str, WeightRole], pattern: str) -> list[str]:
    """Names of the weights of which a role, or the name itself, matches a glob; in the mapping's order."""
    return [name for name, role in roles.items() if role.matches(pattern) or fnmatchcase(name, pattern)]


def _roles(name: str) -> tuple[str, ...]:
    module, ends_in_bias = name.removesuffix(".weight"), name.endswith(BIAS)
    if ends_in_bias:
        module = name.removesuffix(BIAS)
    for pattern, roles in _PATTERNS:
        if pattern.search(module):
            return tuple(role + BIAS for role in roles) if ends_in_bias else roles
    return (OTHER,)
