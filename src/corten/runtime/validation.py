"""The shape of a ``config.json``: every field of the specification has the type it must have.

What fields *mean* together is checked by the compiler's passes, which refuse what cannot be enforced. Here a wrong type
or a missing required field is found first, so that no pass needs to expect one. Unknown fields are ignored, as
runtime-spec's "Extensibility" demands; ``null`` means absent, as Go's programs write it.

The table below is the specification's JSON schema in short: a string names a type, ``[x]`` is a list of x, ``{"*": x}``
a map, and a field whose name ends with ``!`` is required.
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SCHEMA", "paths", "validate"]

_ID_MAPPINGS = [{"containerID!": "id", "hostID!": "id", "size!": "id"}]
_HOOKS = [{"path!": "string", "args": ["string"], "env": ["string"], "timeout": "int"}]
_THROTTLE = [{"major!": "int", "minor!": "int", "rate!": "natural"}]

_PROCESS = {
    "terminal": "bool",
    "consoleSize": {"height!": "natural", "width!": "natural"},
    "cwd!": "string",
    "env": ["string"],
    "args": ["string"],
    "user": {"uid": "id", "gid": "id", "umask": "id", "additionalGids": ["id"]},
    "capabilities": {
        "bounding": ["string"],
        "effective": ["string"],
        "inheritable": ["string"],
        "permitted": ["string"],
        "ambient": ["string"],
    },
    "rlimits": [{"type!": "string", "soft!": "natural", "hard!": "natural"}],
    "noNewPrivileges": "bool",
    "apparmorProfile": "string",
    "selinuxLabel": "string",
    "oomScoreAdj": "int",
    "scheduler": {
        "policy!": "string",
        "nice": "int",
        "priority": "int",
        "flags": ["string"],
        "runtime": "natural",
        "deadline": "natural",
        "period": "natural",
    },
    "ioPriority": {"class!": "string", "priority": "int"},
    "execCPUAffinity": {"initial": "string", "final": "string"},
}

_RESOURCES = {
    "devices": [{"allow!": "bool", "type": "string", "major": "int", "minor": "int", "access": "string"}],
    "memory": {
        "limit": "int",
        "reservation": "int",
        "swap": "int",
        "kernel": "int",
        "kernelTCP": "int",
        "swappiness": "natural",
        "disableOOMKiller": "bool",
        "useHierarchy": "bool",
        "checkBeforeUpdate": "bool",
    },
    "cpu": {
        "shares": "natural",
        "quota": "int",
        "burst": "natural",
        "period": "natural",
        "realtimeRuntime": "int",
        "realtimePeriod": "natural",
        "cpus": "string",
        "mems": "string",
        "idle": "int",
    },
    "pids": {"limit": "int"},
    "blockIO": {
        "weight": "natural",
        "leafWeight": "natural",
        "weightDevice": [{"major!": "int", "minor!": "int", "weight": "natural", "leafWeight": "natural"}],
        "throttleReadBpsDevice": _THROTTLE,
        "throttleWriteBpsDevice": _THROTTLE,
        "throttleReadIOPSDevice": _THROTTLE,
        "throttleWriteIOPSDevice": _THROTTLE,
    },
    "hugepageLimits": [{"pageSize!": "string", "limit!": "natural"}],
    "network": {"classID": "id", "priorities": [{"name!": "string", "priority!": "id"}]},
    "rdma": {"*": {"hcaHandles": "id", "hcaObjects": "id"}},
    "unified": {"*": "string"},
}

_SECCOMP = {
    "defaultAction!": "string",
    "defaultErrnoRet": "natural",
    "architectures": ["string"],
    "flags": ["string"],
    "listenerPath": "string",
    "listenerMetadata": "string",
    "syscalls": [
        {
            "names!": ["string"],
            "action!": "string",
            "errnoRet": "natural",
            "args": [{"index!": "natural", "value!": "natural", "valueTwo": "natural", "op!": "string"}],
        }
    ],
}

_LINUX = {
    "namespaces": [{"type!": "string", "path": "string"}],
    "uidMappings": _ID_MAPPINGS,
    "gidMappings": _ID_MAPPINGS,
    "timeOffsets": {"*": {"secs": "int", "nanosecs": "natural"}},
    "devices": [
        {
            "path!": "string",
            "type!": "string",
            "major": "int",
            "minor": "int",
            "fileMode": "natural",
            "uid": "id",
            "gid": "id",
        }
    ],
    "netDevices": {"*": {"name": "string"}},
    "cgroupsPath": "string",
    "resources": _RESOURCES,
    "sysctl": {"*": "string"},
    "seccomp": _SECCOMP,
    "rootfsPropagation": "string",
    "maskedPaths": ["string"],
    "readonlyPaths": ["string"],
    "mountLabel": "string",
    "personality": {"domain!": "string", "flags": ["string"]},
    "intelRdt": {
        "closID": "string",
        "schemata": ["string"],
        "l3CacheSchema": "string",
        "memBwSchema": "string",
        "enableMonitoring": "bool",
    },
    "memoryPolicy": {"mode!": "string", "nodes": "string", "flags": ["string"]},
}

SCHEMA: dict[str, Any] = {
    "ociVersion!": "string",
    "root": {"path!": "string", "readonly": "bool"},
    "process": _PROCESS,
    "hostname": "string",
    "domainname": "string",
    "mounts": [
        {
            "destination!": "string",
            "type": "string",
            "source": "string",
            "options": ["string"],
            "uidMappings": _ID_MAPPINGS,
            "gidMappings": _ID_MAPPINGS,
        }
    ],
    "hooks": dict.fromkeys(
        ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"), _HOOKS
    ),
    "annotations": {"*": "string"},
    "linux": _LINUX,
}

_WORDS = {"string": "a string", "bool": "true or false", "int": "an integer", "natural": "an integer of at least 0"}
_WORDS["id"] = "an integer from 0 to 4294967295"


def validate(spec: Any) -> None:
    """Check the shape of a whole configuration, taking out fields that are null.

    Raises InvalidArgument whose place is the JSON pointer of the first field that is wrong.
    """
    _check(spec, SCHEMA, "")
    _version(spec["ociVersion"])
    process = spec.get("process")
    if process is not None:
        if not process["cwd"].startswith("/"):
            raise InvalidArgument(f"cwd {process['cwd']!r} is not absolute", place="/process/cwd")
        for n, entry in enumerate(process.get("env") or ()):
            if "\0" in entry:
                raise InvalidArgument("an environment entry must not hold a NUL character", place=f"/process/env/{n}")


def paths(schema: Any = SCHEMA, at: str = "") -> list[str]:
    """Every field of the table as a dotted path, with ``[]`` for lists and ``*`` for maps."""
    if isinstance(schema, str):
        return [at]
    if isinstance(schema, list):
        return paths(schema[0], f"{at}[]")
    found = []
    for name, below in schema.items():
        found += paths(below, f"{at}.{name.removesuffix('!')}" if at else name.removesuffix("!"))
    return found


def _version(text: str) -> None:
    numbers = text.partition("-")[0].partition("+")[0].split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise InvalidArgument(f"ociVersion {text!r} is not a semantic version", place="/ociVersion")
    if numbers[0] != "1":
        hint = "this runtime implements version 1 of the specification"
        raise InvalidArgument(f"unsupported ociVersion {text!r}", hint=hint, place="/ociVersion")


def _check(value: Any, schema: Any, place: str) -> None:
    if schema.__class__ is str:
        _check_plain(value, schema, place)
    elif schema.__class__ is list:
        _check_list(value, schema[0], place)
    elif value.__class__ is not dict:
        raise _wrong(value, "an object", place)
    elif "*" in schema:
        for name in [name for name in value if value[name] is None]:
            del value[name]
        for name, one in value.items():
            if not name:
                raise InvalidArgument("a key must not be empty", place=place)
            _check(one, schema["*"], f"{place}/{_escaped(name)}")
    else:
        _check_object(value, schema, place)


def _check_object(value: dict[str, Any], schema: dict[str, Any], place: str) -> None:
    for name, below in schema.items():
        required = name[-1] == "!"
        key = name[:-1] if required else name
        one = value.get(key)
        if one is not None:
            _check(one, below, f"{place}/{key}")
        elif required:
            raise InvalidArgument(f"{place or 'config.json'} lacks the field {key}", place=f"{place}/{key}")
        elif key in value:
            del value[key]


def _check_list(value: Any, schema: Any, place: str) -> None:
    if value.__class__ is not list:
        raise _wrong(value, "a list", place)
    if schema == "string":
        for n, one in enumerate(value):
            if one.__class__ is not str:
                raise _wrong(one, "a string", f"{place}/{n}")
        return
    for n, one in enumerate(value):
        _check(one, schema, f"{place}/{n}")


def _check_plain(value: Any, kind: str, place: str) -> None:
    if kind == "string":
        good = value.__class__ is str
    elif kind == "bool":
        good = value.__class__ is bool
    else:
        low, high = {"int": (-(1 << 63), 1 << 64), "natural": (0, 1 << 64), "id": (0, 1 << 32)}[kind]
        good = value.__class__ is int and low <= value < high
    if not good:
        raise _wrong(value, _WORDS[kind], place)


def _wrong(value: Any, wanted: str, place: str) -> InvalidArgument:
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    return InvalidArgument(f"{place or 'config.json'} must be {wanted}, not {shown}", place=place)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
