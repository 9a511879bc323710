"""``evaladapt models``: the kinds of models that are installed, and what one of them needs."""

from __future__ import annotations

import inspect
import json

import click


@click.group()
def models() -> None:
    """List model families and show what each needs."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_families(as_json: bool) -> None:
    """List every installed model family without importing torch."""
    from evaladapt.model.families import installed, load

    rows = [
        {
            "family": one.alias,
            "distribution": one.distribution,
            "version": one.version,
            "object": one.entry_point.value,
            "summary": load(one).summary,
        }
        for one in installed()
    ]
    if as_json:
        click.echo(json.dumps({"families": rows}))
        return
    width = max((len(row["family"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['family']:{width}}  {row['summary']}  ({row['distribution']} {row['version']})")
    click.echo("Next: evaladapt models show FAMILY-OR-MODEL")


@models.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, as_json: bool) -> None:
    """Show what a family needs, or which family would open a model (NAME is either)."""
    from evaladapt.model.families import find_family, installed, load, named

    if any(listing.alias == name for listing in installed()):
        listing = named(name)
        family, where = load(listing), None
    else:
        found = find_family(name)
        listing, family, where = named(found.name), found.family, found.where
    content = {
        "family": listing.alias,
        "distribution": listing.distribution,
        "version": listing.version,
        "summary": family.summary,
        "wants": family.wants,
        "tokenizer_is_ours": family.tokenizer_is_ours,
        "opens": where,
        "description": inspect.getdoc(inspect.getmodule(type(family))) or "",
    }
    click.echo(json.dumps(content) if as_json else _text(content))


def _text(content: dict[str, object]) -> str:
    what = str(content["description"] or content["summary"])
    lines = [f"{content['family']}  ({content['distribution']} {content['version']})", "", what]
    if content["opens"] is not None:
        lines += ["", f"Opens {content['opens']}"]
    return "\n".join([*lines, "", f"Wants {content['wants']}."])
