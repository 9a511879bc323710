"""``evaladapt plugins``: what is installed, and what one strategy does and takes."""

from __future__ import annotations

import inspect
import json
from textwrap import indent
from typing import Any

import click

from evaladapt.cli.plugins_new import new


@click.group()
def plugins() -> None:
    """List strategies and show their options."""


plugins.add_command(new)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_strategies(as_json: bool) -> None:
    """List every installed strategy without importing any, or torch."""
    from evaladapt.system.entry_points import STRATEGIES, installed

    rows = [
        {"alias": one.alias, "distribution": one.distribution, "version": one.version, "object": one.entry_point.value}
        for one in installed(STRATEGIES)
    ]
    if as_json:
        click.echo(json.dumps({"strategies": rows}))
        return
    width = max((len(row["alias"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['alias']:{width}}  {row['distribution']} {row['version']}  ({row['object']})")
    click.echo("Next: evaladapt plugins show NAME")


@plugins.command("hooks")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hooks(as_json: bool) -> None:
    """Show every hook of a strategy and the arguments it may ask for."""
    from evaladapt.contract.hooks import StrategyHooks
    from evaladapt.contract.rules import hook_arguments

    summaries = {name: inspect.getdoc(getattr(StrategyHooks, name)) or "" for name in hook_arguments()}
    if as_json:
        rows = [{"hook": name, "arguments": arguments, "summary": summaries[name]}
                for name, arguments in hook_arguments().items()]  # fmt: skip
        click.echo(json.dumps({"hooks": rows}))
        return
    for name, arguments in hook_arguments().items():
        click.echo(f"{name}({', '.join(arguments)})\n{indent(summaries[name], '    ')}\n")
    click.echo("A strategy takes those that it needs, and asks for those of their arguments that it needs, by name.")


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, as_json: bool) -> None:
    """Show what a strategy does, declares and takes."""
    from evaladapt.contract.registry import load

    strategy = load(name)
    content = _content(strategy)
    click.echo(json.dumps(content) if as_json else _text(content))


def _content(strategy: Any) -> dict[str, Any]:
    from evaladapt.contract.options import describe

    capabilities = strategy.capabilities
    return {
        "alias": strategy.alias,
        "distribution": strategy.listing.distribution,
        "version": strategy.listing.version,
        "summary": inspect.getdoc(strategy.cls) or "",
        "description": inspect.getdoc(inspect.getmodule(strategy.cls)) or "",
        "stage": str(capabilities.stage),
        "scope": capabilities.scope,
        "reads": sorted(capabilities.reads),
        "writes_weights": capabilities.writes_weights,
        "peeks": capabilities.peeks,
        "breaks": list(capabilities.breaks),
        "hooks": sorted(strategy.hooks),
        "options": [
            {"name": one.name, "type": one.type, "default": one.default, "help": one.help}
            for one in describe(strategy.options)
        ],
    }


def _text(content: dict[str, Any]) -> str:
    powers = [f"stage {content['stage']}", f"scope {content['scope']}"]
    powers += [f"reads {', '.join(content['reads'])}"] if content["reads"] else []
    powers += ["writes weights"] if content["writes_weights"] else []
    powers += [f"PEEKS: its number is a claim, breaks {', '.join(content['breaks'])}"] if content["peeks"] else []
    lines = [
        f"{content['alias']}  ({content['distribution']} {content['version']})",
        "",
        content["description"],
        "",
        f"{'; '.join(powers)}; hooks {', '.join(content['hooks'])}",
        "",
    ]
    if not content["options"]:
        return "\n".join([*lines, "No options."])
    lines.append(f"Options (-o {content['alias']}.NAME=VALUE):")
    for one in content["options"]:
        default = "none" if one["default"] is None else one["default"]
        lines.append(f"  {one['name']} = {default}  ({one['type']})  {one['help']}")
    return "\n".join(lines)
