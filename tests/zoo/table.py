"""The zoo as a page, checked by a test: ``python -m tests.zoo.table > tests/zoo/README.md``."""

from tests.zoo import adapting, distribution, hiding, passes
from tests.zoo.thief import CHEATS

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

SETTINGS = (
    (
        "H1, only after target 5,000",
        "in a run: REHEARSAL (drawn over the whole text). `evaladapt audit`: TRUNC on the toy, which has "
        "6,100 targets; on the artifact with `--limit-tokens` beyond the place",
    ),
    (
        "H2, in documents with a certain token",
        "STEP and TRUNC, if such a document is in the slice; raise `--limit-tokens`",
    ),
    ("H3, in batches of more than one row", "FLIP and STEP at the default `--batch 16`; PERM"),
    ("H4, in block mode only", "STEP: it compares the run in block mode with step mode"),
    ("H5, at one target of a hundred", "STEP over its 512 targets: missed with probability 0.99^512 = 0.6 %"),
    ("H6, a module global; L05, the class", "REPEAT; in a run the replay after it"),
    ("H7, H8, files and sockets", "FILES, at every hook call"),
)

NOT_CAUGHT = (
    "text copied into the code of a strategy or read while its module is imported (fresh text with "
    "`--data`; the code's size)",
    "a C extension that opens files or reads memory by itself, below Python's audit events",
    "a strategy that recognises the audit (by the stack, the clock, the number of calls) and behaves while it lasts",
)


def page() -> str:
    """The whole page."""
    lines = ["# The zoo: leaks, and how each is caught", "",
             "Written by `python -m tests.zoo.table`; every cheat below is a test of this folder.", ""]  # fmt: skip
    for module, title in FAMILIES.items():
        lines += [f"## {title}", "", "| leak | what it does | probe | clause |", "|---|---|---|---|"]
        lines += [f"| {one.leak} | {one.title} | {one.probe} | {one.clause} |"
                  for one in CHEATS if one.cls.__module__ == module.__name__]  # fmt: skip
        lines.append("")
    lines += ["## Impossible to express", "", "| leak | attempt | what happens |", "|---|---|---|"]
    lines += [f"| {leak} | {attempt} | {outcome} |" for leak, attempt, outcome in REFUSED]
    lines += ["", "## Cheats that hide: caught with which setting", "", "| cheat | caught by |", "|---|---|"]
    lines += [f"| {cheat} | {setting} |" for cheat, setting in SETTINGS]
    lines += ["", "Not caught in the process that runs the strategy:", "", *(f"- {one}" for one in NOT_CAUGHT), ""]
    lines += ["For these `evaladapt encode` and `decode` are the answer: the decoder does not have the text, so a leak",
              "ends in bytes that do not decode, or in none saved."]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
