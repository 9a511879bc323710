"""The folder that an entrant sends, and whether one that was sent holds: nothing is run, and no code of the sender's.

submission.json  README.md  model.eva  seed-0/ (record.json, *.ledger, text.npz, log.txt)  seed-1/ …  unquantised/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaladapt.codec.verify import FAIL, PASS, Check
from evaladapt.errors import DataError, UsageError
from evaladapt.judge.records.folder import KEPT
from evaladapt.results.checking import Checked, check_folder, check_together
from evaladapt.results.result import Result, open_run
from evaladapt.results.submission import ENTRANT, Submission, log_of
from evaladapt.system.files import read_regular, write_text_atomically
from evaladapt.system.strict_json import read_json

NAME, README, LOG, MODEL, UNQUANTISED, SEED = (
    "submission.json", "README.md", "log.txt", "model", "unquantised", "seed-"
)  # fmt: skip
MOST_TEXT = 64 << 20


def pack(folders: Sequence[Path], out: Path, unquantised: Path | None = None) -> Submission:
    """Write the folder ``out`` from finished runs that differ in their seed only.

    Args:
        folders: of the runs.
        out: a folder that is not there yet, or is empty.
        unquantised: a run of the model before it was quantised, on the same text.

    Raises:
        UsageError: there is something in ``out``, or a run would not pass ``evaladapt report --check``.
        DataError: a run cannot be read, or ``out`` not be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty; name another folder: --pack FOLDER")
    found = [check_folder(folder) for folder in folders]
    before = [check_folder(unquantised)] if unquantised else []
    faults = [f"{one.folder}: {each.name}: {each.evidence}" for one in (*found, *before) for each in one.checks
              if each.outcome == FAIL]  # fmt: skip
    if not faults and len(found) > 1 and (together := check_together(found)).outcome == FAIL:
        faults = [together.evidence]
    if faults:
        raise UsageError(f"this cannot be sent, for evaladapt report --check would refuse it. {'; '.join(faults)}")
    places = {one.result.record.settings.seed: one for one in found if one.result}
    runs = tuple(run for _, one in sorted(places.items()) if (run := one.result))
    submission = Submission(runs, None if unquantised is None else _same_text(open_run(unquantised), runs[0]))
    for seed, one in places.items():
        _copy_run(one.folder, out / f"{SEED}{seed}")
    if unquantised is not None:
        _copy_run(unquantised, out / UNQUANTISED)
    model = Path(runs[0].record.artifact.path)
    if model.is_file():
        shutil.copyfile(model, out / f"{MODEL}{model.suffix}")
    figures = json.dumps({**submission.figures(), "entrant": ENTRANT}, indent=2, allow_nan=False)
    write_text_atomically(out / NAME, figures + "\n")
    write_text_atomically(out / README, _readme(submission))
    return submission


def check_submission(folder: Path) -> list[tuple[str, Check]]:
    """Hold a packed folder against itself: every run, all of them together, and what is said of them."""
    models = sorted(folder.glob(f"{MODEL}.*"))
    places = sorted(folder.glob(f"{SEED}*"))
    found = [check_folder(place, models[0] if models else None) for place in places]
    checks = [(one.folder.name, each) for one in found for each in one.checks]
    checks += [("together", check_together(found))] if len(found) > 1 else []
    if not found or any(one.result is None or one.result.bpb is None for one in found):
        return [*checks, ("together", Check(NAME, FAIL, f"its {len(found)} runs are not all there with a score"))]
    before = folder / UNQUANTISED
    if before.exists():
        checks += [(UNQUANTISED, each) for each in check_folder(before).checks]
    if all(each.outcome != FAIL for where, each in checks if where in (UNQUANTISED, "together")):
        checks += [("together", one) for one in _said(folder, found, open_run(before) if before.exists() else None)]
    return checks


def _said(folder: Path, found: Sequence[Checked], unquantised: Result | None) -> Iterator[Check]:
    """What is said of the runs, held against what would be said again."""
    runs = sorted((one.result for one in found if one.result), key=lambda one: one.record.settings.seed)
    submission = Submission(tuple(runs), unquantised)
    if unquantised is not None and unquantised.record.data.text_sha256 != runs[0].record.data.text_sha256:
        yield Check(UNQUANTISED, FAIL, "the run before quantising is of another text")
    yield _figures_hold(folder / NAME, submission.figures())
    table = submission.table() in _text(folder / README)
    yield Check(README, PASS if table else FAIL, "its table is that of the runs" if table else "its table is not that"
                f" of the runs, which is:\n{submission.table()}")  # fmt: skip
    odd = [one.folder.name for one in found if one.result and _text(one.folder / LOG) != log_of(one.result)]
    yield Check(LOG, FAIL if odd else PASS, f"not that of the run: {', '.join(odd)}" if odd else "every log is that of"
                " its run")  # fmt: skip


def _figures_hold(path: Path, found: Mapping[str, Any]) -> Check:
    try:
        said = read_json(path)
    except DataError as error:
        return Check(NAME, FAIL, str(error))
    if not isinstance(said, dict):
        return Check(NAME, FAIL, "it is no JSON object")
    differ = [name for name in found if said.get(name) != json.loads(json.dumps(found[name]))]
    if differ:
        told = "; ".join(f"{name} is {found[name]!r}, not {said.get(name)!r}" for name in differ)
        return Check(NAME, FAIL, f"by the runs {told}")
    return Check(NAME, PASS, f"{found['val_bpb']:.6f} bits per byte, {found['bytes_total']:,} bytes, as the runs say")


def _same_text(before: Result, run: Result) -> Result:
    if before.record.data.text_sha256 != run.record.data.text_sha256:
        raise UsageError("the run of the model before quantising (--unquantised) is of another text than the others")
    return before


def _copy_run(folder: Path, place: Path) -> None:
    """Record, ledgers and text, and the log of them."""
    place.mkdir(parents=True)
    for name in KEPT:
        if (folder / name).is_file() and not name.endswith(".snapshot"):
            shutil.copyfile(folder / name, place / name)
    write_text_atomically(place / LOG, log_of(open_run(place)))


def _readme(submission: Submission) -> str:
    figures = submission.figures()
    text = figures["text"]
    part = ", the beginning of more" if text["limited"] else ""
    return "\n\n".join(
        [
            f"# {figures['composition']}",
            f"Bits per byte of {text['name']} ({text['targets']:,} targets, {text['bytes']:,} bytes,"
            f" {text['documents']:,} documents{part}), lower is better. Changes are against the same model under the"
            " plan alone, paired over documents, with the 95 % interval by the effective number of documents.",
            submission.table(),
            submission.sizes(),
            "Packed by `evaladapt report --pack`; `evaladapt report --check` holds this folder against itself.",
            "## What is new\n\n(the entrant's words)",
        ]
    ) + "\n"  # fmt: skip


def _text(path: Path) -> str:
    return read_regular(path, MOST_TEXT).decode(errors="replace") if path.exists() else ""
