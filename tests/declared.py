"""What the tables of the source declare, asked from the tables themselves: (family, section) to names.

Each family is one function; a new table is one more line in FAMILIES.
"""

from collections.abc import Callable

from corten.cli import index
from corten.network import options
from corten.plan.catalog import OPERATIONS
from corten.runtime import validation

__all__ = ["declared"]

Sections = dict[str, set[str]]


def plan() -> Sections:
    """The opcode table: what C executes. What the controller does is claimed where it is done."""
    return {"ops": {name for name, operation in OPERATIONS.items() if operation.actors != ("controller",)}}


def network() -> Sections:
    """The options of networks and endpoints that mean something."""
    return {"options": set(options.NETWORK), "endpoint-options": set(options.ENDPOINT)}


def runtime() -> Sections:
    """The fields of the runtime configuration, by the table that validates them."""
    return {"spec": set(validation.paths())}


def cli() -> Sections:
    """The flags of each command; a command is named by the path that its documentation prefers."""
    return {command.paths[0]: {flag.name for flag in command.flags} for command in index.commands() if command.flags}


FAMILIES: dict[str, Callable[[], Sections]] = {"cli": cli, "plan": plan, "network": network, "runtime": runtime}


def declared() -> dict[tuple[str, str], set[str]]:
    return {(family, section): names for family, sections in FAMILIES.items() for section, names in sections().items()}
