"""``evaladapt pack``: from the trainer's float32 weights to one ``.eva`` file.

Reads the finished model and the tokenizer it was trained with, quantises by the given plan, and prints what each
group of weights takes. Nothing is written when the result would be too large.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.errors import DataError, UsageError

if TYPE_CHECKING:
    from evaladapt.artifact import QuantisationPlan
    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.train.checkpoint import TrainedModel

File = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--tokenizer", type=File, help="The sentencepiece model.  [default: tokenizer.model beside CHECKPOINT]")
@click.option("--out", type=File, required=True, help="The .eva file to write.")
@click.option(
    "--bits",
    multiple=True,
    metavar="[PATTERN=]N",
    help="Bits of matrices (4 to 8, or 16 for float16), or of the weights whose name matches PATTERN; repeatable.  "
    "[default: 6, and '*embed*=8']",
)
@click.option("--max-bytes", type=click.IntRange(min=1), help="Refuse to write a larger file; 3000000 is 3 MB.")
@click.option("--fit", is_flag=True, help="Lower the bits of the weights that lose least until --max-bytes fits.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def pack(
    checkpoint: Path,
    tokenizer: Path | None,
    out: Path,
    bits: tuple[str, ...],
    max_bytes: int | None,
    fit: bool,
    as_json: bool,
) -> None:
    """Freeze the weights in CHECKPOINT (a training's folder or its final.safetensors) as one file."""
    if fit and max_bytes is None:
        raise UsageError("pack: --fit needs the number of bytes to fit: --max-bytes N --fit")
    plan = plan_from(bits)

    from evaladapt.artifact import open_artifact, write_artifact
    from evaladapt.artifact.fit import fit_plan
    from evaladapt.artifact.summary import summarise, summary_text
    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.train.checkpoint import read_trained_model

    trained = read_trained_model(checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    pieces = Tokenizer.load(tokenizer or folder / "tokenizer.model")
    _check_tokenizer(trained, pieces)
    metadata = {name: value for name, value in trained.facts.items() if name != "model"}
    content = (trained.model_config, trained.tensors, pieces.model_bytes, metadata)
    if fit and max_bytes is not None:
        plan = fit_plan(*content, plan, max_bytes)
    write_artifact(out, *content, plan, max_bytes)
    summary = summarise(open_artifact(out))
    click.echo(json.dumps(summary.to_json()) if as_json else summary_text(summary))


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
