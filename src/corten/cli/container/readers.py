"""Readers for the values of a container's flags: each takes the text and returns what the API takes.

A reader raises ValueError with Docker's words; the parser adds the flag's name.
"""

from __future__ import annotations

from corten.cli import values
from corten.cli.flags import quoted
from corten.client.environment import is_set
from corten.client.environment import variable as own_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "address",
    "device_bytes",
    "device_operations",
    "device_rule",
    "device_weight",
    "extra_host",
    "gpu_request",
    "label",
    "link",
    "mount",
    "network",
    "optional_address",
    "search_domain",
    "stream_name",
    "sysctl",
    "ulimit",
    "variable",
]

_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_LIMITS = frozenset(
    (
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
    )
).union(("sigpending", "stack"))


def stream_name(text: str) -> str:
    """`stdin`, `stdout` or `stderr`, however it is capitalised."""
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def variable(text: str) -> str:
    """`NAME=value`; a bare NAME takes our own value where we have one."""
    name, mark, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    return text if mark or not is_set(name) else f"{name}={own_variable(name)}"


def label(text: str) -> str:
    key = text.partition("=")[0].lstrip(" \t")
    if not key:
        raise ValueError(f"invalid label '{text}': empty name")
    if " " in key or "\t" in key:
        raise ValueError(f"label '{key}' contains whitespaces")
    return text


def sysctl(text: str) -> str:
    """A kernel parameter that belongs to a namespace of the container."""
    key, mark, _ = text.partition("=")
    if not mark or (key not in _SYSCTLS and not key.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def ulimit(text: str) -> dict[str, Any]:
    """`nofile=1024:2048`; one number sets both, -1 is no limit."""
    name, mark, rest = text.partition("=")
    if not mark:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _LIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    if not rest:
        raise ValueError(f"invalid ulimit argument: {text}")
    numbers = rest.split(":")
    if len(numbers) > 2:
        raise ValueError(f"too many limit value arguments - {rest}, can only have up to two, `soft[:hard]`")
    soft, hard = _limit(numbers[0]), _limit(numbers[-1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _limit(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def address(text: str) -> str:
    """An IP address in its shortest form."""
    import _socket

    stripped = text.strip()
    family = _socket.AF_INET6 if ":" in stripped else _socket.AF_INET
    try:
        return _socket.inet_ntop(family, _socket.inet_pton(family, stripped))
    except OSError:
        raise ValueError(f"IP address is not correctly formatted: {text}") from None


def optional_address(text: str) -> str:
    """An IP address, or nothing."""
    if not text.strip():
        return ""
    try:
        return address(text)
    except ValueError:
        raise ValueError(f"failed to parse IP: {quoted(text)}") from None


def extra_host(text: str) -> str:
    """`host:ip` or `host=ip`; the engine itself resolves `host-gateway`."""
    name, mark, where = text.partition("=")
    if not mark:
        name, mark, where = text.partition(":")
    if not mark or not name:
        raise ValueError(f"bad format for add-host: {quoted(text)}")
    if where == "host-gateway":
        return f"{name}:{where}"
    if len(where) > 2 and where[0] == "[" and where[-1] == "]":
        where = where[1:-1]
    try:
        address(where)
    except ValueError:
        raise ValueError(f"invalid IP address in add-host: {quoted(where)}") from None
    return f"{name}:{where}"


def search_domain(text: str) -> str:
    """A domain for resolv.conf; a dot alone means to search nowhere."""
    name = text.strip(" ")
    if name == ".":
        return name
    labels = name.removesuffix(".").split(".")
    good = all(part and len(part) < 64 and part.replace("-", "").replace("_", "").isalnum() for part in labels)
    if not name.isascii() or not good or not any(c.isalpha() for c in name) or len(name) > 254:
        raise ValueError(f"{name} is not a valid domain")
    return name.removesuffix(".")


def link(text: str) -> str:
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def device_rule(text: str) -> str:
    """`c 1:3 rwm`, `a *:* rwm`."""
    kind, _, rest = text.partition(" ")
    numbers, _, mode = rest.partition(" ")
    major, mark, minor = numbers.partition(":")
    known = all(part == "*" or (part.isascii() and part.isdecimal()) for part in (major, minor))
    if kind not in ("a", "b", "c") or not mark or not known or not 0 < len(mode) < 4 or mode.strip("rwm"):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def _device(text: str) -> tuple[str, str]:
    path, mark, rest = text.partition(":")
    if not mark or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, rest


def device_bytes(text: str) -> dict[str, Any]:
    """`/dev/sda:1mb`: bytes a second."""
    path, rest = _device(text)
    try:
        return {"Path": path, "Rate": values.memory(rest)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def device_operations(text: str) -> dict[str, Any]:
    """`/dev/sda:1000`: operations a second."""
    path, rest = _device(text)
    if not (rest.isascii() and rest.isdecimal()):
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rest)}


def device_weight(text: str) -> dict[str, Any]:
    """`/dev/sda:500`: a weight from 10 to 1000, or 0."""
    path, rest = _device(text)
    if not (rest.isascii() and rest.isdecimal()) or not (int(rest) == 0 or 10 <= int(rest) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(rest)}


def gpu_request(text: str) -> dict[str, Any]:
    """`all`, a count, or `driver=…,device=…,capabilities=…`."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    seen: set[str] = set()
    for field in values.csv(text):
        key, mark, given = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not mark or key == "count":
            seen.add("count")
            request["Count"] = _gpu_count(given if mark else key)
        elif key == "driver":
            request["Driver"] = given
        elif key == "device":
            request["DeviceIDs"] = given.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [[*given.split(","), "gpu"]]
        elif key == "options":
            request["Options"] = values.pairs(list(values.csv(given)))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and request["DeviceIDs"] is None:
        request["Count"] = 1
    return request


def _gpu_count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax') from None


def network(text: str) -> dict[str, Any]:
    """A network's name, or `name=NET,alias=A,ip=…,driver-opt=k=v,gw-priority=N`."""
    attachment: dict[str, Any] = {"target": text, "aliases": [], "links": [], "driver": {}, "local": [], "priority": 0}
    if not _is_long_form(text):
        return attachment
    attachment["target"] = ""
    for field in values.csv(text):
        key, mark, given = field.lower().partition("=")
        if not mark or not key:
            raise ValueError(f"invalid field {field}")
        _attach(attachment, key.strip(), given.strip())
    if not attachment["target"]:
        raise ValueError("network name/id is not specified")
    return attachment


def _is_long_form(text: str) -> bool:
    """A word character on both sides of an equals sign, anywhere."""
    return any(
        text[at] == "="
        and (text[at - 1].isalnum() or text[at - 1] == "_")
        and (text[at + 1].isalnum() or text[at + 1] == "_")
        for at in range(1, len(text) - 1)
    )


def _attach(attachment: dict[str, Any], key: str, given: str) -> None:
    if key == "name":
        attachment["target"] = given
    elif key == "alias":
        attachment["aliases"].append(given)
    elif key in ("ip", "ip6", "mac-address"):
        attachment[key] = given
    elif key == "link-local-ip":
        attachment["local"].append(given)
    elif key == "driver-opt":
        name, mark, setting = given.partition("=")
        if not mark or not name:
            raise ValueError("invalid key value pair format in driver options")
        attachment["driver"][name.strip()] = setting.strip()
    elif key == "gw-priority":
        try:
            attachment["priority"] = int(given)
        except ValueError:
            raise ValueError(f"invalid gw-priority ({given}): invalid syntax") from None
    else:
        raise ValueError(f"invalid field key {key}")


def mount(text: str) -> dict[str, Any]:
    """`type=bind,source=/a,target=/b,readonly`, as the API's Mount object."""
    from corten.cli.container.mounts import read_mount

    return read_mount(text)
