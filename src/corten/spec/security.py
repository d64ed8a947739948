"""Reads `--security-opt`: no-new-privileges, seccomp, apparmor, label, systempaths.

>>> parse(("no-new-privileges", "seccomp=unconfined")).seccomp
'unconfined'
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from corten.model.errors import InvalidArgument, Unimplemented

__all__ = ["Security", "parse"]

TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False"}


class Security(NamedTuple):
    """`seccomp` is "" for the default, "unconfined", or a profile as JSON; `apparmor` a profile's name or ""."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    unconfined_paths: bool = False


def parse(options: Iterable[str]) -> Security:
    """The options as values; `name=value` and the old `name:value`. Raises InvalidArgument with Docker's texts."""
    security = Security()
    for option in options:
        security = merged(security, option)
    return security


def merged(security: Security, option: str) -> Security:
    if option == "no-new-privileges":
        return security._replace(no_new_privileges=True)
    if option == "disable":
        return security._replace(labels=(*security.labels, "disable"))
    name, equals, value = option.partition("=")
    if not equals:
        name, equals, value = option.partition(":")
    if not equals:
        raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
    match name:
        case "no-new-privileges":
            return security._replace(no_new_privileges=truth(value, option))
        case "seccomp":
            return security._replace(seccomp="" if value == "builtin" else value)
        case "apparmor":
            return security._replace(apparmor=value)
        case "label":
            return security._replace(labels=(*security.labels, value))
        case "systempaths" if value == "unconfined":
            return security._replace(unconfined_paths=True)
        case "writable-cgroups":
            raise Unimplemented("--security-opt writable-cgroups is not built yet")
    raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def truth(value: str, option: str) -> bool:
    if value in TRUE or value in FALSE:
        return value in TRUE
    raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
