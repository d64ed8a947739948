"""What the tables of the source declare, asked from the tables themselves: (family, section) to names.

Each family is one function; a new table is one more line in FAMILIES.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from corten.api.docker import routes
from corten.cli import index
from corten.model.container import wire_fields
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


def api() -> Sections:
    """Query parameters by endpoint; the fields of JSON bodies by the struct that declares them."""
    sections: Sections = {}
    for route in routes():
        if parameters := {field.encode_name for field in msgspec.structs.fields(route.query)}:
            sections[f"{route.method} {route.pattern}"] = parameters
        if route.body is not None:
            sections |= dict(structs_of(route.body))
    return sections


def structs_of(body: Any) -> Iterator[tuple[str, set[str]]]:
    """The struct a JSON body is read into and those within it, each with its fields."""
    if isinstance(body, type) and issubclass(body, msgspec.Struct):
        fields = wire_fields(body)
        yield body.__name__, set(fields)
        for hint in fields.values():
            yield from structs_of(hint)
    for part in getattr(body, "__args__", ()):
        yield from structs_of(part)


FAMILIES: dict[str, Callable[[], Sections]] = {
    "api": api,
    "cli": cli,
    "network": network,
    "plan": plan,
    "runtime": runtime,
}


def declared() -> dict[tuple[str, str], set[str]]:
    return {(family, section): names for family, sections in FAMILIES.items() for section, names in sections().items()}
