"""The zoo as a page, and as a section of the project's README; a test holds both to what is registered.

``python -m tests.zoo.table > tests/zoo/README.md``, and ``python -m tests.zoo.table --readme``.
"""

import sys
from pathlib import Path

from evaladapt.audit.probes import ALL
from tests.zoo import adapting, distribution, hiding, passes
from tests.zoo.hidden import HIDDEN
from tests.zoo.thief import CHEATS, Cheat

FAMILIES = {
    adapting: "A. Adapting before the score is final",
    distribution: "B. Not a distribution",
    passes: "C. Passes, order, selection, outside data",
    hiding: "Hiding, and breaking the rules of hooks",
}

REFUSED = (
    (
        "L07-L09",
        "SLOT on the scored span, with what the contract hands out",
        "needs `peeks=True`, and that `--allow-noncausal`; the number is a claim",
    ),
    (
        "L12",
        "a warm-up on the text before the loop",
        "`begin` is handed no tokens; asking for them is refused at registration",
    ),
    ("L15, L23", "a transform that asks for its targets", "refused at registration, with the arguments there are"),
    ("L03, L05, L29", "charging a target twice", "the ledger takes the target that is due and no other (C4)"),
    (
        "L16-L18",
        "reporting a number for the target",
        "there is no such return value: the engine charges from the whole vector",
    ),
    (
        "L34-L38",
        "a wrong byte table",
        "the bytes of the tokens must sum to the text's; a consistent lie is found by BYTES",
    ),
    ("L39", "a tokenizer that makes the text easier", "refused with the first difference"),
    ("peeking", "step mode, `encode`", "refused: there is nothing to peek at"),
)

NOT_CAUGHT = (
    "a strategy that recognises the audit (by the stack, the clock, the number of calls) and behaves while it lasts: "
    "`evaladapt encode` and `decode`, or `evaladapt verify`. A decoder does not have the text, so what is stolen from "
    "the process ends in bytes that do not decode (`tests/codec/test_hiding.py`)",
    "a file read while the strategy's module is imported, before any hook: `decode` too, which imports strategies "
    "where no file but code can be read (the same tests)",
    "a C extension that opens files or reads memory by itself, below Python's audit events: `decode` on a machine that "
    "has neither the text nor the strategy's other files (not tested)",
    "a text copied into the code of a strategy: a decoder has the code too, so decoding does not answer it. Fresh text "
    "does (`--data`; `test_hidden.py`), and the size of the code",
)


README = Path(__file__).resolve().parents[2] / "README.md"
OPENING, CLOSING = "<!-- leaks: written by python -m tests.zoo.table --readme -->\n", "<!-- end of leaks -->\n"


def page() -> str:
    """The page of this folder."""
    lines = ["# The zoo: leaks, and how each is caught", "",
             "Written by `python -m tests.zoo.table`; every cheat below is a test of this folder.", ""]  # fmt: skip
    for module, title in FAMILIES.items():
        lines += [f"## {title}", "", "| leak | what it does | probe | clause |", "|---|---|---|---|"]
        lines += [f"| {one.leak} | {one.title} | {one.probe} | {one.clause} |" for one in of_family(module)]
        lines.append("")
    lines += ["## Impossible to express", "", "| leak | attempt | what happens |", "|---|---|---|"]
    lines += [f"| {leak} | {attempt} | {outcome} |" for leak, attempt, outcome in REFUSED]
    lines += ["", "## Cheats that hide: caught with which setting", "", "Every line is a test (`test_hidden.py`).", "",
              "| cheat | setting | caught by |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {one.cheat} | {one.said} | {one.probe or 'nothing'} |" for one in HIDDEN]
    lines += ["", "In a run rehearsals are drawn by seed within a share of the time, so a leak at a few places of a",
              "long text may be missed there; `evaladapt audit` takes the time it needs.", "",
              "Not caught in the process that runs the strategy, and what answers it:", ""]  # fmt: skip
    lines += [f"- {one}" for one in NOT_CAUGHT]
    return "\n".join(lines) + "\n"


def leaks() -> str:
    """The part of the project's README between the markers: counts by family, and every leak folded away."""
    lines = [f"{len(CHEATS)} cheating strategies and {len(REFUSED)} attempts that are refused, each a test"
             " ([tests/zoo](tests/zoo/README.md)):", "",
             "| family | cheats | convicted by |", "|---|---|---|"]  # fmt: skip
    for module, title in FAMILIES.items():
        probes = ", ".join(dict.fromkeys(one.probe for one in of_family(module)))
        lines.append(f"| {title} | {len(of_family(module))} | {probes} |")
    lines += ["", "<details>", "<summary>Every leak, and the probe that convicts it</summary>", "",
              "| leak | what it does | caught by | clause |", "|---|---|---|---|"]  # fmt: skip
    every = [one for module in FAMILIES for one in of_family(module)]
    lines += [f"| {one.leak} | {one.title} | {one.probe} | {one.clause} |" for one in every]
    lines += [f"| {leak} | {attempt} | {outcome} | |" for leak, attempt, outcome in REFUSED]
    lines += ["", "| probe | what it does |", "|---|---|"]
    lines += [f"| {one.name} | {one.title} |" for one in ALL if any(cheat.probe == one.name for cheat in CHEATS)]
    return "\n".join([*lines, "", "</details>"]) + "\n"


def of_family(module) -> list[Cheat]:
    """The cheats that a module of the zoo registers."""
    return [one for one in CHEATS if one.cls.__module__ == module.__name__]


def readme_with(section: str, readme: str) -> str:
    """The project's README with what stands between the markers replaced."""
    before, rest = readme.split(OPENING)
    return before + OPENING + section + CLOSING + rest.split(CLOSING)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--readme"]:
        README.write_text(readme_with(leaks(), README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(page(), end="")
