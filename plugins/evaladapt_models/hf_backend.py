"""A causal language model of transformers as a backend: states, head, cache, roles. Imported by ``hf`` alone."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer
from transformers.pytorch_utils import Conv1D

from evaladapt.errors import ModelError, UsageError
from evaladapt.model.roles import POSITION, WeightRole, of_role, roles_from_names
from evaladapt_models.hf_cache import roomy_cache

PREFIX = "lm."
OF_THE_MACHINE = ("_name_or_path", "transformers_version", "dtype", "architectures")
TRIED_ROWS, TRIED_TOKENS = 2, 24
LOGITS_AGREE = 1e-5
"""Largest difference between head(hidden) and the model's own logits, relative to the largest logit."""
STATES_AGREE = 1e-3
"""The same between states continued from a cache and those of whole rows: other kernels, other rounding."""


class CausalLM(nn.Module):
    """A transformers model. Its parameters are called as transformers calls them, with ``lm.`` before."""

    def __init__(self, lm: Any) -> None:
        super().__init__()
        self.lm = lm
        config = lm.config.get_text_config()
        self._layers, self._context = int(config.num_hidden_layers), int(config.max_position_embeddings)
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self._scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        self._roles = roles_from_names((name for name, _ in self.named_parameters()), self._tied_embedding())
        positions = of_role(self._roles, POSITION)
        self._longest = self._context if positions else None

    @property
    def vocab_size(self) -> int:
        """Rows of the head."""
        return int(self.lm.get_output_embeddings().weight.shape[0])

    @property
    def hidden_size(self) -> int:
        """Columns of the head."""
        return int(self.lm.get_output_embeddings().weight.shape[1])

    @property
    def layers(self) -> int:
        """As the configuration says."""
        return self._layers

    @property
    def context(self) -> int:
        """``max_position_embeddings``."""
        return self._context

    def hidden(self, tokens: Tensor) -> Tensor:
        """States after the final norm, ``[B, S, D]``."""
        self._refuse_too_long(tokens.shape[1])
        states: Tensor = self.lm.base_model(input_ids=tokens, use_cache=False).last_hidden_state
        return states

    def head(self, hidden: Tensor) -> Tensor:
        """Logits: the head's product, its scale (Cohere, Granite) and its soft cap (Gemma)."""
        logits: Tensor = self.lm.get_output_embeddings()(hidden)
        if self._scale != 1.0:
            logits = logits * self._scale
        if self._softcap is not None:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``."""
        return self.head(self.hidden(tokens))

    def weight_roles(self) -> dict[str, WeightRole]:
        """By transformers' names."""
        return self._roles

    def _tied_embedding(self) -> str | None:
        head = self.lm.get_output_embeddings().weight
        embedding = self.lm.get_input_embeddings().weight
        names = [name for name, weight in self.named_parameters() if weight is embedding]
        return names[0] if head is embedding else None

    def _refuse_too_long(self, length: int) -> None:
        if self._longest is not None and length > self._longest:
            raise UsageError(
                f"the model has learned positions for {self._longest} tokens and was given {length}:"
                f" -o sliding.context={self._longest}"
            )


class ContinuableCausalLM(CausalLM):
    """The same with a cache."""

    def start_cache(self, rows: int, width: int) -> DynamicCache:
        """An empty cache with room for ``width`` tokens a row."""
        return roomy_cache(self.lm.config, width)

    def extend(self, tokens: Tensor, cache: DynamicCache) -> Tensor:
        """States ``[B, S, D]`` of ``tokens [B, S]`` that continue the rows of ``cache``."""
        self._refuse_too_long(cache.get_seq_length() + tokens.shape[1])
        read = self.lm.base_model(input_ids=tokens, cache=cache, use_cache=True)
        states: Tensor = read.last_hidden_state
        return states


def open_backend(folder: Path, gguf: str | None, device: torch.device) -> CausalLM:
    """Read the weights into memory of their own, in float32, and try the model once.

    Raises:
        ModelError: not a causal language model, weights missing, or a head that is not all that makes its logits.
    """
    with _quiet():
        lm = _loaded(folder, gguf)
    _with_linear(lm)
    for tensor in [*lm.parameters(), *lm.buffers()]:
        tensor.data = tensor.data.clone()  # what was read may still be a view of the file
    return tried(lm.requires_grad_(False).to(device).eval())


def tried(lm: Any) -> CausalLM:
    """The model as a backend, after its head and its cache were compared with what transformers itself computes.

    Raises:
        ModelError: head(hidden) is not what the model says.
    """
    model = ContinuableCausalLM(lm)
    device = next(lm.parameters()).device
    shape = (TRIED_ROWS, min(TRIED_TOKENS, model.context))
    tokens = torch.randint(model.vocab_size, shape, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        own, states = lm(input_ids=tokens, use_cache=False).logits, model.hidden(tokens)
        found = model.head(states)
        if own.shape != found.shape or not _agree(found, own, LOGITS_AGREE):
            raise ModelError(
                f"the logits of {type(lm).__name__} are not its head's product of its last states (soft cap and scale"
                " included), so strategies would adapt another model. Open it by a function of your own:"
                " python:FILE.py:FUNCTION"
            )
        return model if _continues(model, tokens, states) else CausalLM(lm)


def configuration(model: CausalLM) -> dict[str, Any]:
    """transformers' configuration as plain JSON values, of the model and of nothing else."""
    config: dict[str, Any] = json.loads(model.lm.config.to_json_string(use_diff=False))
    return {key: value for key, value in config.items() if key not in OF_THE_MACHINE}


def built(config: Any, tensors: Mapping[str, Tensor]) -> CausalLM:
    """The model of a packed configuration with these weights, tried like any other.

    Raises:
        ModelError: the configuration is none, or names and shapes are not those of its model.
    """
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError("the artifact's configuration is none of transformers.")
    try:
        read = AutoConfig.for_model(**config)
        if int(read.get_text_config().num_hidden_layers) > len(tensors):
            raise ModelError("the configuration has more layers than there are weights.")
        with torch.device("meta"):
            _refuse_others(_empty(read), tensors)
        with _quiet(), init_empty_weights(include_buffers=False):  # buffers are worked out, and not in the file
            lm = _empty(read)
    except ModelError:
        raise
    except Exception as error:  # a stranger's configuration may make a class raise anything
        raise ModelError(f"transformers cannot build the model: {_first_line(error)}") from error
    own = {name.removeprefix(PREFIX): weight.to(torch.float32) for name, weight in tensors.items()}
    lm.load_state_dict(own, strict=False, assign=True)
    lm.tie_weights()
    if getattr(read.get_text_config(), "attn_logit_softcapping", None) is not None:
        lm.set_attn_implementation("eager")
    return tried(lm.requires_grad_(False).eval())


def _empty(config: Any) -> Any:
    return _with_linear(AutoModelForCausalLM.from_config(config, dtype=torch.float32))


def _refuse_others(lm: Any, tensors: Mapping[str, Tensor]) -> None:
    expected = {PREFIX + name: weight.shape for name, weight in lm.named_parameters()}
    for name in sorted(set(expected) ^ set(tensors)):
        raise ModelError(f"tensor {name!r} {'is missing' if name in expected else 'is not part of this model'}.")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ModelError(f"tensor {name!r} has shape {list(tensors[name].shape)}, not {list(shape)}.")


def gguf_tokenizer(folder: Path, name: str) -> tuple[bytes, int | None]:
    """The tokenizer of a GGUF file as the text of a tokenizer.json, and the id that opens documents.

    Not by ``AutoTokenizer``, which lists the file's folder and prefers a tokenizer that it finds there.
    """
    with _quiet():
        try:
            architecture, content, _ = get_gguf_tokenizer(str(folder / name))
            read, _ = convert_gguf_tokenizer(architecture, content)
        except Exception as error:  # readers of damaged files raise whatever they stumble over
            raise ModelError(f"transformers cannot read the tokenizer: {_first_line(error)}") from error
    opening = content.get("bos_token_id")
    return read.to_str().encode(), content.get("eos_token_id") if opening is None else opening


def _loaded(folder: Path, gguf: str | None) -> Any:
    try:
        lm, report = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=gguf,
            local_files_only=True,
            use_safetensors=True if gguf is None else None,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # readers of damaged files raise whatever they stumble over
        raise ModelError(f"transformers cannot open it: {_first_line(error)}") from error
    lacking = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if lacking:
        raise ModelError(f"the weights lack {lacking[0]!r} and {len(lacking) - 1} more, or have them in another shape.")
    if getattr(lm.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        lm.set_attn_implementation("eager")  # torch's fused attention knows no soft cap
    return lm


def _continues(model: ContinuableCausalLM, tokens: Tensor, states: Tensor) -> bool:
    """Whether reading in three pieces gives the states of reading at once."""
    try:
        cache = model.start_cache(*tokens.shape)
        pieces = [model.extend(piece, cache) for piece in tokens.chunk(3, dim=1)]
    except (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError):
        return False
    return _agree(torch.cat(pieces, dim=1), states, STATES_AGREE)


def _agree(found: Tensor, own: Tensor, share: float) -> bool:
    return bool(((found - own).abs().max() <= share * own.abs().max().clamp(min=1.0)).item())


def _with_linear(lm: Any) -> Any:
    for module in list(lm.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                setattr(module, name, _as_linear(child))
    return lm


def _as_linear(conv: Conv1D) -> nn.Linear:
    """GPT-2 keeps its matrices as [in, out]; everybody else, and whoever adapts them, as [out, in]."""
    columns, rows = conv.weight.shape
    with torch.device("meta"):
        linear = nn.Linear(columns, rows)
    linear.weight = nn.Parameter(conv.weight.detach().T.contiguous())
    linear.bias = nn.Parameter(conv.bias.detach())
    return linear


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and advice; what goes wrong is raised."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
