"""``evaladapt pack``: from the trainer's float32 weights to one ``.eva`` file.

Reads the finished model and the tokenizer it was trained with, lets the model write the text on which GPTQ calibrates,
quantises by the given plan or by the number of bytes to fit, and prints what each group of weights takes. Nothing is
written when the result would be too large.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from evaladapt.artifact import QuantisationPlan
    from evaladapt.calibration.moments import Calibration
    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.model.backend import Backend
    from evaladapt.model.families import Found
    from evaladapt.train.checkpoint import TrainedModel

File = click.Path(path_type=Path, dir_okay=False)
OWN_TEXT, NO_TEXT = "own", "none"
ROWS = 32
"""Windows to calibrate on."""
WINDOW = 512
"""Their tokens at most, for models of other families, whose contexts are long."""


@click.command()
@click.argument("checkpoint")
@click.option("--tokenizer", type=File, help="The sentencepiece model.  [default: tokenizer.model beside CHECKPOINT]")
@click.option("--out", type=File, required=True, help="The .eva file to write.")
@click.option(
    "--bits",
    multiple=True,
    metavar="[PATTERN=]N",
    help="Bits of matrices (4 to 8, or 16 for float16), or of the weights whose name matches PATTERN; repeatable.  "
    "[default: 6, and '*embed*=8']",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    help="Size of the file at most; 3_000_000 is 3 MB. Without --bits, the finest steps that fit are found.",
)
@click.option(
    "--row-scales/--one-scale",
    default=None,
    help="A step for every row, or one for a whole matrix, which is smaller and clips what lies far out.  [default:"
    " rows for models of other families, whose weights lie far out; one for a training]",
)
@click.option(
    "--calibration",
    default=OWN_TEXT,
    show_default=True,
    metavar="own|none|FOLDER",
    help="What GPTQ looks at: text that the model writes, nothing (nearest codes), or the training shards in FOLDER.",
)
@click.option(
    "--never", multiple=True, type=File, help="A text to be scored: refuse a FOLDER that holds a document of it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def pack(
    checkpoint: str,
    tokenizer: Path | None,
    out: Path,
    bits: tuple[str, ...],
    max_bytes: int | None,
    row_scales: bool | None,
    calibration: str,
    never: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Freeze the weights of CHECKPOINT as one file.

    CHECKPOINT is a training's folder or its final.safetensors, or a model of another family: hf:FOLDER, golf:FILE, or a
    path that such a family takes (see: evaladapt models list).
    """
    given = plan_from(bits)
    fits = max_bytes is not None and not bits
    if fits and row_scales:
        raise UsageError("pack: --max-bytes looks for one step per matrix; give --bits with --row-scales.")

    from evaladapt.artifact import Limits
    from evaladapt.artifact.reader import check_content
    from evaladapt.artifact.summary import summarise, summary_text
    from evaladapt.artifact.writer import save_artifact
    from evaladapt.model.allocator import give_back_freed_memory
    from evaladapt.system.threads import use_threads

    use_threads()
    give_back_freed_memory()
    family = _family_of(checkpoint)
    source = _of_a_family(checkpoint, family) if family else _of_a_training(Path(checkpoint), tokenizer)
    by_row = (family is not None and not fits) if row_scales is None else row_scales
    plan = replace(given, row_scales=by_row, overrides={**source.bits, **given.overrides})
    data = _packed(source, plan, Path(calibration), never, max_bytes, fits)
    del source  # what was written is read again, and two models need not be there at once
    save_artifact(out, data)
    summary = summarise(check_content(out, data, Limits()))
    click.echo(json.dumps(summary.to_json()) if as_json else summary_text(summary))


def _packed(
    source: Source,
    plan: QuantisationPlan,
    calibration: Path,
    never: tuple[Path, ...],
    max_bytes: int | None,
    fits: bool,
) -> bytes:
    """The file's bytes; with ``fits`` the finest plan for ``max_bytes`` is looked for."""
    from evaladapt.artifact.fit import fit_plan
    from evaladapt.artifact.writer import ArtifactContent, as_arrays, build_artifact

    seen = _calibrated(source, str(calibration), never, with_sensitivity=fits)
    metadata = {**source.metadata, "calibration": calibration.name}
    hessians = seen.hessians if seen else {}
    content = ArtifactContent(source.config, as_arrays(source.tensors), source.tokenizer, metadata, hessians)
    if fits and max_bytes is not None:
        return fit_plan(content, plan, max_bytes, seen.sensitivity if seen else None).data
    return build_artifact(content, plan, max_bytes)


@dataclass(frozen=True)
class Source:
    """What is packed: a model, taken apart; ``bits`` of weights by name, which the user's own come after."""

    model: Backend
    bos_id: int
    window: int
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    tokenizer: bytes
    metadata: Mapping[str, Any]
    bits: Mapping[str, int]


def _of_a_training(checkpoint: Path, tokenizer: Path | None) -> Source:
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
    from evaladapt.model.backend import transformer_from_tensors
    from evaladapt.train.checkpoint import read_trained_model

    trained = read_trained_model(checkpoint)
    model = transformer_from_tensors(trained.model_config, trained.tensors)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    pieces = SentencePieceTokenizer.load(tokenizer or folder / "tokenizer.model")
    _check_tokenizer(trained, pieces)
    metadata = {name: value for name, value in trained.facts.items() if name != "model"}
    config, content = trained.model_config, pieces.model_bytes
    return Source(model, pieces.bos_id, model.context, config, trained.tensors, content, metadata, {})


def _family_of(checkpoint: str) -> Found | None:
    """The family that is named, or that takes the path and whose models can be packed; None for a training."""
    from evaladapt.model.families import claimed
    from evaladapt.model.family import PackableFamily

    found = claimed(checkpoint)
    named = found is not None and checkpoint.startswith(f"{found.name}:")
    return found if found and (named or isinstance(found.family, PackableFamily)) else None


def _of_a_family(reference: str, found: Found) -> Source:
    """A model of another family; its tables of tokens get the bits that ours get."""
    import torch

    from evaladapt.artifact import QuantisationPlan
    from evaladapt.model.backend import roles_of
    from evaladapt.model.families import open_model
    from evaladapt.model.family import Opened
    from evaladapt.model.freezing import freeze, packable
    from evaladapt.model.roles import EMBEDDING, POSITION

    family = packable(found.name, found.family)
    opened = open_model(reference, torch.device("cpu"))
    frozen = freeze(found.name, family, Opened(opened.backend, opened.tokenizer, ()))
    tables = [name for name, role in roles_of(opened.backend).items() if {EMBEDDING, POSITION} & set(role.roles)]
    bits = {name: QuantisationPlan().embedding_bits for name in tables if frozen.tensors[name].ndim > 1}
    metadata = {"packed_from": {"family": opened.family, "sha256": opened.identity, "bytes": opened.bytes}}
    window = min(opened.backend.context, WINDOW)
    return Source(
        opened.backend, opened.tokenizer.bos_id, window, frozen.config, frozen.tensors, frozen.tokenizer, metadata, bits
    )


def _calibrated(source: Source, text: str, never: tuple[Path, ...], with_sensitivity: bool) -> Calibration | None:
    """Moments, and sensitivities where they are wanted, on the text that ``--calibration`` names."""
    if text == NO_TEXT:
        return None
    from evaladapt.calibration.moments import calibrate
    from evaladapt.calibration.text import own_text, training_text
    from evaladapt.model.backend import IncrementalBackend

    model = source.model
    if not isinstance(model, IncrementalBackend):
        raise UsageError("pack: the model has no cache to write text with. Add --calibration none, for nearest codes.")
    own = text == OWN_TEXT
    tokens = (
        own_text(model, ROWS, source.window, source.bos_id)
        if own
        else training_text(Path(text), ROWS, source.window, model.vocab_size, never)
    )
    return calibrate(model, tokens, with_sensitivity=with_sensitivity)


def plan_from(bits: tuple[str, ...]) -> QuantisationPlan:
    """The plan that ``--bits`` describes. Raises :class:`UsageError`."""
    from evaladapt.artifact import QuantisationPlan

    matrix_bits = QuantisationPlan().matrix_bits
    overrides: dict[str, int] = {}
    for text in bits:
        pattern, equals, number = text.rpartition("=")
        if not number.isdecimal() or (equals and not pattern):
            raise UsageError(f"--bits {text!r} is neither N nor PATTERN=N, as in: --bits 6 --bits '*mlp*=5'")
        if equals:
            overrides[pattern] = int(number)
        else:
            matrix_bits = int(number)
    return QuantisationPlan(matrix_bits=matrix_bits, overrides=overrides)


def _check_tokenizer(trained: TrainedModel, pieces: Tokenizer) -> None:
    config: dict[str, Any] = trained.model_config
    if config.get("vocab_size") != pieces.vocab_size:
        raise DataError(
            f"The tokenizer has {pieces.vocab_size} pieces, the model {config.get('vocab_size')}: they do not belong "
            "together. Give the one of the training: --tokenizer FILE"
        )
    sha256 = trained.facts.get("tokenizer_sha256")
    if sha256 not in (None, pieces.sha256):
        raise DataError(
            f"The weights were trained with another tokenizer (sha256 {str(sha256)[:12]}) than this one "
            f"({pieces.sha256[:12]}). Give the one of the training: --tokenizer FILE"
        )
