"""The tables of ``evaladapt bench seeds``: claims beside their legal forms, and scores beside the plan alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaladapt.engine.paired import PairedDifference

Json = Mapping[str, Any]
NOTHING = "–"


@dataclass(frozen=True)
class Text:
    """The targets that a row covers."""

    name: str
    targets: int
    bytes: int
    documents: int

    @classmethod
    def of(cls, record: Json) -> Text:
        """The text of a run record."""
        data = record["data"]
        return cls(data["name"], data["targets"], data["bytes"], data["documents"])

    def __str__(self) -> str:
        return f"{self.name}: {self.targets:,} targets, {self.bytes:,} bytes, {self.documents:,} documents"


@dataclass(frozen=True)
class Result:
    """A legal composition: its bits per byte, those of the plan alone, and the difference paired over documents."""

    plugins: str
    verdict: str
    text: Text
    bpb: float
    base_bpb: float
    difference: PairedDifference

    @classmethod
    def of(cls, record: Json) -> Result:
        """From a run record under the verdict CAUSAL."""
        return cls(
            plugins=_without_plan(record),
            verdict=record["verdict"],
            text=Text.of(record),
            bpb=record["bpb"],
            base_bpb=record["base"]["bits_per_byte"],
            difference=PairedDifference(**record["difference"]),
        )

    @property
    def change(self) -> str:
        """Difference to the plan alone with its standard error, its interval and in percent."""
        found = self.difference
        percent = 100 * found.bpb / self.base_bpb
        return _with_minus(f"{found.bpb:+.4f}{found.spread} ({percent:+.2f} %)")


@dataclass(frozen=True)
class Claim:
    """A strategy that peeks: what it claims, what that costs as a code, and its legal form on the same targets.

    ``charged_bpb`` is None where the strategy does not say what it fitted.
    """

    plugins: str
    verdict: str
    breaks: tuple[str, ...]
    claimed_bpb: float
    charged_bpb: float | None
    legal: Result

    @classmethod
    def of(cls, record: Json, legal: Result) -> Claim:
        """From a run record under the verdict NONCAUSAL, and the legal form's result."""
        charged = record["charged"]
        return cls(
            plugins=_without_plan(record),
            verdict=record["verdict"],
            breaks=tuple(one["clause"] for one in record["clauses"] if one["outcome"] == "fail"),
            claimed_bpb=record["claimed_bpb"],
            charged_bpb=charged["charged_bpb"] if charged else None,
            legal=legal,
        )


@dataclass(frozen=True)
class SeedsReport:
    """All rows, with the machine they were measured on."""

    claims: tuple[Claim, ...]
    results: tuple[Result, ...]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"bench": "seeds", **asdict(self)}

    def to_text(self) -> str:
        """As Markdown: a table of claims, where there are any, and a table of scores."""
        blocks = [_claims_table(self.claims)] if self.claims else []
        return "\n\n".join([*blocks, _results_table(self.results)])


def _claims_table(claims: Sequence[Claim]) -> str:
    first = claims[0].legal
    heads = (
        "claim",
        "`claimed_bpb`",
        "verdict",
        "breaks",
        "`charged_bpb`",
        "legal form",
        "its bpb",
        "against `sliding`",
    )
    rows = (
        (
            f"`{one.plugins}`",
            f"{one.claimed_bpb:.4f}",
            one.verdict,
            ", ".join(one.breaks),
            NOTHING if one.charged_bpb is None else f"{one.charged_bpb:.4f}",
            f"`{one.legal.plugins}`",
            f"{one.legal.bpb:.4f}",
            one.legal.change,
        )
        for one in claims
    )
    return f"{first.text}; `sliding` alone {first.base_bpb:.4f} bpb\n\n{_table(heads, rows)}"


def _results_table(results: Sequence[Result]) -> str:
    first = results[0]
    heads = ("composition", "bpb", "verdict", "against `sliding`", "documents better, worse")
    rows = (
        (
            f"`{one.plugins}`",
            f"{one.bpb:.4f}",
            one.verdict,
            one.change,
            f"{one.difference.better:,}, {one.difference.worse:,}",
        )
        for one in results
    )
    alone = ("`sliding`", f"{first.base_bpb:.4f}", first.verdict, NOTHING, NOTHING)
    return f"{first.text}\n\n{_table(heads, (alone, *rows))}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _without_plan(record: Json) -> str:
    """The composition as one writes it after ``--plugins``; every row has the same plan."""
    plan = record["base"]["plugins"]
    return str(record["adapted"]["plugins"]).removeprefix(f"{plan},")


def _with_minus(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "−")
