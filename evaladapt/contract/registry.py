"""Finding strategies: entry points are listed without importing, and only what was named is imported.

Built-in strategies come through the same group as a stranger's. There is no second list.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pluggy

from evaladapt.contract.capabilities import CONTRACT_VERSION, Capabilities
from evaladapt.contract.hooks import PROJECT, StrategyHooks
from evaladapt.contract.options import NoOptions
from evaladapt.contract.rules import hook_faults, misplaced_hooks, misspelt_attributes
from evaladapt.errors import EvaladaptError, PluginError, near_miss
from evaladapt.system import entry_points
from evaladapt.system.entry_points import Listing


@dataclass(frozen=True)
class StrategyType:
    """An imported strategy class with what it declares about itself."""

    listing: Listing
    cls: type[Any]
    capabilities: Capabilities
    options: type[Any]
    hooks: frozenset[str]

    @property
    def alias(self) -> str:
        """Name in a composition."""
        return self.listing.alias


def installed() -> list[Listing]:
    """Every strategy that is installed, sorted by alias and distribution; imports none of them."""
    return entry_points.installed(entry_points.STRATEGIES)


def find(name: str) -> Listing:
    """The one installed strategy called ``name`` (``alias`` or ``distribution:alias``).

    Raises:
        PluginError: nothing or more than one thing has that name.
    """
    listings = installed()
    matches = [listing for listing in listings if name in (listing.alias, listing.qualified)]
    if len(matches) > 1:
        owners = " and ".join(f"{one.distribution} {one.version}" for one in matches)
        choices = " or ".join(one.qualified for one in matches)
        raise PluginError(f"strategy {name!r} is provided by {owners}. Say which one you mean: {choices}.")
    if not matches:
        aliases = [listing.alias for listing in listings]
        raise PluginError(f"no strategy {name!r} is installed.{near_miss(name, aliases)} {_shown(aliases)}")
    return matches[0]


def load(name: str) -> StrategyType:
    """Import the strategy called ``name`` (and no other) and check what it declares.

    Raises:
        PluginError: it cannot be found, its import fails, or it does not keep the rules of the contract.
    """
    listing = find(name)
    return adopt(_import(listing), listing)


def adopt(cls: object, listing: Listing) -> StrategyType:
    """Check what a strategy class declares about itself.

    Raises:
        PluginError: it does not keep the rules of the contract.
    """
    if not isinstance(cls, type):
        raise _broken(listing, f"its entry point names {listing.entry_point.value}, which is not a class")
    _refuse(listing, misspelt_attributes(cls))
    version = getattr(cls, "contract_version", None)
    if version != CONTRACT_VERSION:
        said = "does not say" if version is None else f"is {version}"
        raise _broken(
            listing,
            f"the contract version it was written for {said}, and this evaladapt speaks {CONTRACT_VERSION}."
            f" Update {listing.distribution}, or set contract_version = {CONTRACT_VERSION} once it follows it",
        )
    capabilities = getattr(cls, "capabilities", None)
    if not isinstance(capabilities, Capabilities):
        raise _broken(listing, "it has no class attribute 'capabilities = Capabilities(...)'")
    options = getattr(cls, "Options", NoOptions)
    if not (dataclasses.is_dataclass(options) and isinstance(options, type)):
        raise _broken(listing, "its Options is not a dataclass")
    _refuse(listing, capabilities.faults() + hook_faults(cls))
    hooks = implemented_hooks(cls, listing)
    _refuse(listing, misplaced_hooks(capabilities, hooks))
    return StrategyType(listing, cls, capabilities, options, hooks)


def implemented_hooks(cls: type[Any], listing: Listing) -> frozenset[str]:
    """Names of the hooks of a class, after pluggy has compared their arguments with the specification.

    A manager that met a validation error still holds the plugin, so a fresh one is made for every check.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(StrategyHooks)
    try:
        manager.register(cls, name=listing.alias)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _broken(listing, str(error)) from None
    return frozenset(caller.name for caller in manager.get_hookcallers(cls) or [])


def _import(listing: Listing) -> Any:
    try:
        return listing.entry_point.load()
    except EvaladaptError:
        raise
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises when imported is its own fault
        raise _broken(
            listing,
            f"importing {listing.entry_point.value} failed with {type(error).__name__}: {error}."
            f" Mend or remove it: pip uninstall {listing.distribution}",
        ) from error


def _refuse(listing: Listing, faults: list[str]) -> None:
    if faults:
        raise _broken(listing, "; ".join(faults))


def _broken(listing: Listing, reason: str) -> PluginError:
    return PluginError(f"strategy {listing.alias!r} of {listing.distribution} {listing.version}: {reason}")


def _shown(aliases: list[str]) -> str:
    return f"Installed: {entry_points.shown(aliases)}. See: evaladapt plugins list"
