"""The zoo, measured: every cheat under the default settings of an evaluation, written as ``tests/zoo/README.md``.

``python -m tests.zoo.table TEXT`` takes a text file (.txt, .jsonl or .bin), of which 16,384 targets are used; nothing
of it is kept. What was measured is noted in RESULTS as it comes, so that an interrupted table goes on where it was;
names of cheats after the text measure these again.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from evaladapt.data.load import load_stream
from evaladapt.judge.evaluate import tokenizer_of
from tests.zoo.installed import ROOT, install
from tests.zoo.measure import NOTHING_GAINED, Court
from tests.zoo.thief import CAUSES, CHEATS

MODEL, TARGETS, DRAWS = "micro", 16_384, int(os.environ.get("EVALADAPT_DRAWS", "20"))
PAGE = Path(__file__).with_name("README.md")
RESULTS = Path(tempfile.gettempdir()) / "evaladapt-zoo-results.jsonl"

REFUSED = (
    ("L07-L09", "SLOT on the scored span, with what the contract hands out",
     "needs `peeks=True`, and that `--allow-noncausal`; the number is a claim"),
    ("L12", "a warm-up on the text before the loop",
     "`begin` is handed no tokens; asking for them is refused at registration"),
    ("L15, L23", "a transform that asks for its targets", "refused at registration, with the arguments there are"),
    ("L03, L05, L29", "charging a target twice", "the ledger takes the target that is due and no other (C4)"),
    ("L16-L18", "reporting a number for the target", "there is no such message: the judge charges from distributions"),
    ("L34-L38", "a wrong byte table", "the bytes of the tokens must sum to the text's"),
    ("L39", "a tokenizer that makes the text easier", "refused with the first difference"),
    ("peeking", "step mode, `encode`", "refused: there is nothing to peek at"),
)  # fmt: skip


def measured(court, cheat):
    """All runs of a cheat, as JSON-ready values: one, or twenty where it depends on what is drawn; and ECHO."""
    runs = [court.tried(cheat, seed=0)]
    if cheat.share is not None:
        runs += [court.tried(cheat, seed=seed) for seed in range(1, DRAWS)]
    echo = asdict(court.echo(cheat)) if runs[0].passes and cheat.share is None else None
    return {"alias": cheat.alias, "runs": [asdict(one) | {"passes": one.passes} for one in runs], "echo": echo}


def outcome_of(cheat, found):
    """The last columns of a row: what happens, and how it is known."""
    runs, first = found["runs"], found["runs"][0]
    if cheat.share is not None:
        return _by_draws(cheat, runs)
    if first["outcome"] == "convicted":
        return "convicted", f"C1, at {_place(first['said'])}"
    if first["outcome"] == "refused":
        return "refused", _short(first["said"])
    gain = f"{first['gain']:+.5f} bpb"
    if found["echo"] and found["echo"]["outcome"] == "pass":
        return "**passes**, and ECHO too", gain
    if found["echo"]:
        return (
            f"{first['outcome']}, {gain}; ECHO: {found['echo']['outcome']}",
            f"p = {max(found['echo']['figures']['p'], 1e-300):.1g} or less",
        )
    if first["outcome"] != "CAUSAL":
        return f"{first['outcome']}, {gain}", _short(first["said"])
    return ("**passes**" if first["passes"] else "gains nothing"), f"{gain}, {first['looks']} looks"


def _by_draws(cheat, runs):
    convicted = sum(one["outcome"] in ("convicted", "refused") for one in runs)
    looks = [one["looks"] for one in runs if one["looks"]]
    gains = [one["gain"] for one in runs if one["gain"] is not None]
    said = f"share {cheat.share:.1%}"
    if looks:
        fewest = min(looks)
        said += f"; by its share {1 - (1 - cheat.share) ** fewest:.0%} at {fewest} looks or more"
    if gains:
        said += f"; where it was not, {max(gains):+.5f} bpb"
    return f"convicted {convicted} of {len(runs)}", said


def _place(said):
    return said.split("at target ")[1].split(" ")[0].join(("target ", ""))


def _short(said):
    line = " ".join(said.split(". At ")[0].split()).replace("|", "/").replace(str(ROOT), "")
    return line if len(line) <= 150 else line[:147] + "..."


def page(results):
    """The whole page."""
    lines = ["# The zoo: cheats, and what becomes of each", "",
             f"Written by `python -m tests.zoo.table TEXT` with {MODEL} and {TARGETS:,} targets of FineWeb, at the"
             " default settings of an evaluation.", "",
             f"*refused*: the run ends with an error or a broken clause. *gains nothing*: at most {NOTHING_GAINED} bpb."
             " *convicted*: a twin said otherwise than the player. *passes*: not defended.", ""]  # fmt: skip
    lines += [_counts(results), ""]
    for cause in CAUSES:
        lines += [f"## {cause[0].upper()}{cause[1:]}", "", "| leak | what it does | outcome | |", "|---|---|---|---|"]
        for one in (one for one in CHEATS if one.cause == cause):
            what, how = outcome_of(one, results[one.alias]) if one.alias in results else ("not measured", "")
            lines.append(f"| {one.leak} {one.cls.__name__} | {one.title} | {what} | {how} |")
        lines.append("")
    lines += ["## Impossible to express", "", "| leak | attempt | what happens |", "|---|---|---|"]
    lines += [f"| {leak} | {attempt} | {outcome} |" for leak, attempt, outcome in REFUSED]
    return "\n".join(lines) + "\n"


def _counts(results):
    """How many of each outcome; what leaks at a share of the targets is told by draws."""
    kinds = Counter(_kind(one, results) for one in CHEATS if one.share is None or one.alias not in results)
    seldom = [outcome_of(one, results[one.alias])[0].removeprefix("convicted ") for one in CHEATS
              if one.share is not None and one.alias in results]  # fmt: skip
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    told = f", {len(seldom)} leak at a share of targets, convicted in {', '.join(seldom)} draws of looks"
    return f"{len(CHEATS)} cheats: {counts}{told if seldom else ''}."


def _kind(cheat, results):
    if cheat.alias not in results:
        return "not measured"
    what = outcome_of(cheat, results[cheat.alias])[0]
    if "ECHO: fail" in what:
        return "convicted by ECHO"
    return {"gains": "gain nothing", "**passes**": "passes"}.get(what.split(" ")[0].split(",")[0], what.split(",")[0])


def read_results():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {one["alias"]: one for one in map(json.loads, lines)}


def main(path, *names):
    def open_text(tokenizer):
        return load_stream([path], tokenizer).limit(TARGETS)

    results = read_results()
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        install(Path(folder), monkeypatch, open_text(tokenizer_of(MODEL)).tokens, path)
        court = Court(MODEL, open_text, str(path))
        for cheat in sorted(CHEATS, key=lambda one: one.share is not None):
            if cheat.cls.__name__ in names if names else cheat.alias not in results:
                results[cheat.alias] = measured(court, cheat)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(results[cheat.alias]) + "\n")
                print(cheat.leak, cheat.cls.__name__, *outcome_of(cheat, results[cheat.alias]), flush=True)
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
