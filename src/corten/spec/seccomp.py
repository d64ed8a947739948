"""Chooses the rules of a seccomp profile that hold for one container on one host.

Input is either our table of Docker's default (`seccomp_profile`) or a profile document that a user gave with
`--security-opt seccomp=FILE`, whose rules may carry the same conditions (`includes`, `excludes`). Output is the plain
`linux.seccomp` of the OCI runtime specification, without conditions; the runtime compiles that to BPF.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from corten.model.errors import InvalidArgument
from corten.spec.seccomp_profile import PROFILE, SUB_ARCHITECTURES, Argument, Rule

__all__ = ["default", "from_document"]

# The names an architecture goes by: uname's machine to libseccomp's and to Go's, which conditions are written in.
LIBSECCOMP = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "loongarch64": "SCMP_ARCH_LOONGARCH64",
    "armv7l": "SCMP_ARCH_ARM",
    "i686": "SCMP_ARCH_X86",
}
GO = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "x86", "loongarch64": "loong64"}
KNOWN_KEYS = {
    "defaultAction", "defaultErrnoRet", "archMap", "architectures", "syscalls", "flags", "listenerPath",
    "listenerMetadata",
}  # fmt: skip


@lru_cache(maxsize=64)
def default(capabilities: frozenset[str], machine: str, kernel: tuple[int, int]) -> dict[str, Any]:
    """Docker's default profile for a container with these capabilities. The answer is shared: do not change it.

    `machine` is uname's (`x86_64`), `kernel` its major and minor version.
    """
    rules = [rule for rule in PROFILE if holds(rule, capabilities, GO.get(machine, machine), kernel)]
    own = LIBSECCOMP.get(machine)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": [own, *SUB_ARCHITECTURES.get(own, ())] if own else [],
        "syscalls": [as_oci(rule) for rule in rules],
    }


def from_document(text: str, capabilities: Iterable[str], machine: str, kernel: tuple[int, int]) -> dict[str, Any]:
    """A user's profile (Docker's format or plain OCI) for a container; InvalidArgument when it is not one."""
    document = parse(text)
    held = frozenset(capabilities)
    rules = [read_rule(entry, f"/syscalls/{row}") for row, entry in enumerate(document.get("syscalls") or [])]
    chosen = [rule for rule in rules if holds(rule, held, GO.get(machine, machine), kernel)]
    seccomp: dict[str, Any] = {
        "defaultAction": document["defaultAction"],
        "architectures": architectures(document, LIBSECCOMP.get(machine, "")),
        "syscalls": [as_oci(rule) for rule in chosen],
    }
    kept = ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
    return seccomp | {key: document[key] for key in kept if document.get(key) is not None}


def parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("defaultAction"), str):
        raise InvalidArgument("Decoding seccomp profile failed: it needs a defaultAction")
    if unknown := document.keys() - KNOWN_KEYS:
        raise InvalidArgument(f"Decoding seccomp profile failed: unknown field {sorted(unknown)[0]!r}")
    if document.get("architectures") and document.get("archMap"):
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either "
            "'architectures' or 'archMap'"
        )
    return document


def architectures(document: dict[str, Any], own: str) -> list[str]:
    for entry in document.get("archMap") or []:
        if entry.get("architecture") == own:
            return [own, *(entry.get("subArchitectures") or [])]
    return list(document.get("architectures") or ([own] if own else []))


def read_rule(entry: Any, place: str) -> Rule:
    """One rule of a document. Old profiles have `name` instead of `names`."""
    try:
        if entry.get("name") and entry.get("names"):
            raise InvalidArgument(
                "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'", place=place
            )
        includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
        return Rule(
            names=tuple(entry.get("names") or [entry["name"]]),
            args=tuple(read_argument(argument) for argument in entry.get("args") or []),
            action=entry["action"],
            errno=entry.get("errnoRet"),
            caps=tuple(includes.get("caps") or ()),
            without=tuple(excludes.get("caps") or ()),
            arches=tuple(includes.get("arches") or ()),
            not_arches=tuple(excludes.get("arches") or ()),
            min_kernel=kernel_version(includes.get("minKernel") or "0.0"),
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: bad rule at {place}: {error!r}", place=place) from None


def read_argument(argument: dict[str, Any]) -> Argument:
    return Argument(int(argument["index"]), argument["op"], int(argument["value"]), int(argument.get("valueTwo", 0)))


def kernel_version(text: str) -> tuple[int, int]:
    """Major and minor of a release such as `6.18.0-rc1`."""
    major, _, rest = text.partition(".")
    minor = "".join(digit for digit in rest.split(".")[0].split("-")[0] if digit.isdigit())
    return int(major), int(minor or 0)


def holds(rule: Rule, capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> bool:
    """Whether every condition of a rule is met."""
    if rule.arches and arch not in rule.arches:
        return False
    if arch in rule.not_arches or kernel < rule.min_kernel:
        return False
    return capabilities.issuperset(rule.caps) and capabilities.isdisjoint(rule.without)


def as_oci(rule: Rule) -> dict[str, Any]:
    entry: dict[str, Any] = {"names": list(rule.names), "action": rule.action}
    if rule.errno is not None:
        entry["errnoRet"] = rule.errno
    if rule.args:
        entry["args"] = [argument_as_oci(argument) for argument in rule.args]
    return entry


def argument_as_oci(argument: Argument) -> dict[str, Any]:
    # valueTwo is the datum that SCMP_CMP_MASKED_EQ compares with; `value` is then the mask.
    return {"index": argument.position, "value": argument.value, "valueTwo": argument.two, "op": argument.op}
