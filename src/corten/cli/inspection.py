"""Printing what the engine knows about single things: indented JSON as the engine sent it, or a Go template.

Docker's own command decodes the answers into Go structs before it runs a template over them. `typed` gives the
JSON the same character: fields that Go omits when they are empty exist, null stands for the nil of its field's
type, and the keys of maps belong to users.
"""

from __future__ import annotations

import sys

from corten.cli.table import Fault
from corten.client.connection import EngineError
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fetch = Callable[[str], str]

__all__ = ["print_inspected", "print_one", "typed"]

# Objects whose keys are the user's own, by the name of the field that holds them.
_MAPS = frozenset(
    [
        "Labels",
        "Options",
        "DriverOpts",
        "Sysctls",
        "Tmpfs",
        "StorageOpt",
        "Annotations",
        "ExposedPorts",
        "Volumes",
        "Ports",
        "PortBindings",
        "Networks",
        "Containers",
        "AuxiliaryAddresses",
        "AuxAddress",
        "Data",
        "Status",
        "Runtimes",
        "IndexConfigs",
        "Details",
        "Config.LogConfig",
    ]
)
# Null in these fields is a nil pointer; in any other it is a nil slice or, for the names above, a nil map.
_POINTERS = frozenset(
    [
        "Health",
        "Healthcheck",
        "Init",
        "StopTimeout",
        "MemorySwappiness",
        "OomKillDisable",
        "PidsLimit",
        "SizeRw",
        "SizeRootFs",
        "IPAMConfig",
        "DriverConfig",
        "VolumeOptions",
        "BindOptions",
        "TmpfsOptions",
        "UsageData",
        "ConfigFrom",
        "RegistryConfig",
        "Cluster",
        "Platform",
        "Server",
        "GraphDriver",
        "ImageManifestDescriptor",
        "Descriptor",
        "NetworkSettings",
        "HostConfig",
    ]
)
# What Go leaves out of the JSON when it is empty, with what a template sees instead (null is the field's own nil).
_OMITTED: dict[str, Any] = {
    **dict.fromkeys(_POINTERS, None),
    **dict.fromkeys(("StopSignal", "MacAddress", "Runtime", "Variant", "OsVersion", "ExecDuration", "CreatedAt"), ""),
    **dict.fromkeys(("ArgsEscaped", "NetworkDisabled", "EnableIPv4"), False),
    **dict.fromkeys(("Shell", "OnBuild", "Mounts", "DNSNames", "Warnings"), None),
    **dict.fromkeys(("ExposedPorts", "Tmpfs", "Sysctls", "StorageOpt", "Annotations", "Status"), None),
}


def typed(value: Any, name: str = "") -> Any:
    """`value` with Go's types where they show; `name` is the field that holds it."""
    from corten.cli.template import GoMap, NilList, NilMap

    if isinstance(value, dict):
        found = {key: typed(item, "" if name in _MAPS else key) for key, item in value.items()}
        if name in _MAPS or (name == "Config" and set(value) <= {"max-size", "max-file", "labels", "env"}):
            return GoMap(found)
        return _Struct(found)
    if isinstance(value, list):
        return [typed(item) for item in value]
    if value is None and name and name not in _POINTERS:
        return NilMap() if name in _MAPS else NilList()
    return value


class _Struct(dict):  # type: ignore[type-arg]
    """A Go struct: the fields that its JSON leaves out are there all the same."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in _OMITTED

    def __missing__(self, name: str) -> Any:
        return typed(_OMITTED[name], name)


def print_one(form: str, document: Any, *, kind: str, name: str = "") -> None:
    """Print one thing by a template; Fault in Docker's words when it fails."""
    from corten.cli.template import Template, TemplateError

    try:
        template = Template(form, name)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}", 64) from None
    try:
        sys.stdout.write(template.render(typed(document), strict=True) + "\n")
    except TemplateError as error:
        sys.stdout.write("\n")
        raise Fault(_as_struct(str(error), kind)) from None


def _as_struct(message: str, kind: str) -> str:
    """A missing key in the words for a field that a struct of `kind` does not have."""
    head, mark, name = message.partition('map has no entry for key "')
    return f"{head}can't evaluate field {name.rstrip(chr(34))} in type {kind}" if mark else message


def print_inspected(names: list[str], fetch: Fetch, form: str) -> int:
    """Print each thing that `fetch` finds, and then why others were not found; the exit status.

    `fetch` returns the JSON text of one and raises EngineError or Fault where there is none.
    """
    found: list[str] = []
    failures: list[str] = []
    for name in names:
        try:
            found.append(fetch(name))
        except EngineError as error:
            failures.append(
                f"Error response from daemon: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")
            )
        except Fault as fault:
            failures.append(fault.message)
    if form in ("", "json"):
        _print_json(found, laid_out=not form)
    else:
        failures += _print_templates(found, form)
    if failures:
        raise Fault("\n".join(failures))
    return 0


def _print_json(found: list[str], *, laid_out: bool) -> None:
    if not laid_out:
        sys.stdout.write("".join(f"{text.strip()}\n" for text in found) or "\n")
    else:
        sys.stdout.write((codec.indent(f"[{','.join(found)}]") if found else "[]") + "\n")


def _print_templates(found: list[str], form: str) -> list[str]:
    """Print each by the template; what went wrong."""
    from corten.cli.template import Template, TemplateError

    try:
        template = Template(form)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}", 64) from None
    printed: list[str] = []
    failures: list[str] = []
    for text in found:
        try:
            printed.append(template.render(typed(codec.loads(text)), strict=True) + "\n")
        except TemplateError as error:
            failures.append(f"template parsing error: {error}")
    sys.stdout.write("".join(printed) or "\n")
    return failures
