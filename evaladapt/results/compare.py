"""``evaladapt.compare``: several compositions on the same targets, and what sets them apart."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from evaladapt.contract.composition import DEFAULT_PLAN
from evaladapt.engine.loop import Settings
from evaladapt.engine.parts import Mode
from evaladapt.errors import UsageError
from evaladapt.judge.charging import Boundaries
from evaladapt.judge.request import Level, Request
from evaladapt.results.comparison import Comparison, open_comparison
from evaladapt.results.grid import Grid, ProgressOf, Subject
from evaladapt.results.manifest import NAME, Manifest, read_manifest
from evaladapt.results.models import Model
from evaladapt.results.run import Text, as_model, by_alias, opened_text, paths_of
from evaladapt.results.variants import Variant, sweeps_of, variants
from evaladapt.system.locks import locked
from evaladapt.system.working_memory import working_memory


def compare(
    model: str | Path | Model | Sequence[str | Path | Model] = "default",
    text: Text | Mapping[str, Text] = None,
    plugins: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    *,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] = (0,),
    plan: str = DEFAULT_PLAN,
    limit_tokens: int | None = None,
    batch: int = 16,
    mode: Mode = "block",
    boundaries: Boundaries = "paid",
    audit: Level = "sample",
    inline: Literal[False, True] = False,
    allow_noncausal: bool = False,
    device: str = "auto",
    folder: str | Path | None = None,
    resume: bool = False,
    progress: ProgressOf | None = None,
) -> Comparison:
    """Score compositions on the same targets; the plan alone is scored once per model and text.

    Args:
        model: one model or several, each as in :func:`evaladapt.run`.
        text: one text as in :func:`evaladapt.run`, or several by name.
        plugins: compositions, ``["ttt", "ttt[lr=0.004]", "ttt,slot-lbfgs"]``.
        options: by ``"alias.key"``, for every composition that has the strategy; those in brackets win.
        sweep: values by ``"alias.key"``: every composition that has the strategy is run with each of them.
        seeds: every composition is run with each of them; a document's cost is the mean.
        plan: the strategy that plans the windows of all.
        limit_tokens: as all that follow in :func:`evaladapt.run`.
        batch: windows forwarded together.
        mode: ``block`` or ``step``.
        boundaries: ``paid`` or ``charged``.
        audit: how much every player is doubted.
        inline: everything in this process, UNCHECKED.
        allow_noncausal: run strategies that peek.
        device: ``auto``, ``cpu``, ``cuda``, …
        folder: where records, ledgers and texts are kept, for :func:`open_comparison`; a temporary one without it.
        resume: go on with the interrupted comparison in ``folder``; finished runs are not run again.
        progress: called with the name of every pass; returns a callback for targets done and their number.

    Raises:
        UsageError: what is asked for cannot be compared, or is another comparison than the one in ``folder``.
        EvaladaptError: a run cannot be carried out. A composition that breaks the contract is a row without a score.
    """
    models = [as_model(one) for one in ([model] if isinstance(model, str | Path | Model) else model)]
    texts = dict(text) if isinstance(text, Mapping) else {"help topics" if text is None else "text": text}
    shared = by_alias(options or {})
    settings = Settings(batch=batch, mode=mode, memory=working_memory())
    subjects = [
        Subject(one, _request(one, each, limit_tokens, settings, boundaries, audit, inline, device))
        for one in models
        for each in texts.values()
    ]
    facts = {"batch": batch, "mode": mode, "boundaries": boundaries, "audit": audit, "inline": inline,
             "device": device, "limit_tokens": limit_tokens, "options": shared}  # fmt: skip
    found = variants(plugins, sweeps_of(sweep or {}), shared, plan)
    grid = grid_of(subjects, list(texts), found, seeds, plan, facts, allow_noncausal)
    return carry_out_grid(grid, Path(folder) if folder is not None else None, resume, progress)


def grid_of(
    subjects: Sequence[Subject],
    texts: Sequence[str],
    compositions: Sequence[Variant],
    seeds: Sequence[int],
    plan: str,
    facts: Mapping[str, Any],
    allow_noncausal: bool,
) -> Grid:
    """A grid with its manifest.

    Args:
        subjects: texts inside, models outside.
        texts: what they are called.
        compositions, seeds, plan: what is run.
        facts: what all runs share, as JSON values.
        allow_noncausal: run strategies that peek.

    Raises:
        UsageError: nothing is compared, or two things have one name.
    """
    models = [one.model.reference for one in subjects[:: max(len(texts), 1)]]
    for what, names in (("text", texts), ("model", models), ("seed", seeds), ("composition", compositions)):
        if not names:
            raise UsageError(f"nothing to compare: there is no {what}")
        if len({str(one) for one in names}) < len(names):
            raise UsageError(f"two of the {what}s have one name: {', '.join(map(str, names))}")
    labels = tuple(one.label for one in compositions)
    manifest = Manifest(tuple(models), tuple(texts), labels, tuple(seeds), plan, facts)
    options = facts.get("options", {})
    return Grid(manifest, subjects, compositions, {plan: options[plan]} if plan in options else {}, allow_noncausal)


def carry_out_grid(grid: Grid, folder: Path | None, resume: bool, progress: ProgressOf | None) -> Comparison:
    """Run what is not finished, and read all of it.

    Raises:
        UsageError: the folder holds a comparison that is not meant.
        EvaladaptError: a run cannot be carried out.
    """
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="evaladapt-comparison-"))
        try:
            grid.try_compositions(place)
            grid.manifest.save(place)
            grid.run(place, progress)
            comparison = open_comparison(place)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        weakref.finalize(comparison, shutil.rmtree, place, ignore_errors=True)
        return comparison
    with _folder_for(grid, folder, resume):
        grid.run(folder, progress)
        return open_comparison(folder)


@contextmanager
def _folder_for(grid: Grid, folder: Path, resume: bool) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    with locked(folder):
        if (folder / NAME).exists():
            if not resume:
                raise UsageError(f"{folder} holds a comparison already. Continue it: --resume; or take another --out")
            grid.manifest.refuse_other(read_manifest(folder), folder)
        grid.try_compositions(folder)
        grid.manifest.save(folder)
        yield


def _request(
    model: Model,
    text: Text,
    limit: int | None,
    settings: Settings,
    boundaries: Boundaries,
    audit: Level,
    inline: bool,
    device: str,
) -> Request:
    return Request(
        model=model.reference,
        open_text=lambda tokenizer: opened_text(text, tokenizer, limit),
        paths=paths_of(text),
        settings=settings,
        boundaries=boundaries,
        doubt=audit,
        inline=inline,
        device=device,
    )
