"""The options a RuntimeSpec is folded from. Each is a small function that answers an `Option`, which changes one
aspect.

>>> build(hostname("web"), process(("true",)))["hostname"]
'web'

Order matters only where an option says so: `privileged` comes after what it loosens. An option takes what it needs as
values; looking at the host or the image is the caller's.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from corten.model.container import DeviceMapping, Ulimit
from corten.model.errors import InvalidArgument
from corten.model.runtime_spec import RuntimeSpec
from corten.spec import default
from corten.spec.devices import every_host_device, mapped
from corten.spec.user import Identity

__all__ = [
    "INIT_PATH",
    "Option",
    "annotations",
    "apparmor",
    "bind",
    "build",
    "capabilities",
    "cgroup",
    "devices",
    "environment",
    "hidden_paths",
    "hostname",
    "identity",
    "init",
    "mount",
    "namespace",
    "no_mount",
    "no_new_privileges",
    "oom_score",
    "privileged",
    "process",
    "resources",
    "rlimits",
    "root",
    "seccomp",
    "shm_size",
    "sysctls",
    "terminal",
]

Option = Callable[[RuntimeSpec], None]

# Where `--init` puts our own init, under the name that Docker's has.
INIT_PATH = "/sbin/docker-init"
UNLIMITED = (1 << 64) - 1
RLIMITS = frozenset(
    {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"}
    | {"rtprio", "rttime", "sigpending", "stack"}
)


def build(*options: Option) -> RuntimeSpec:
    """Docker's default spec with the options applied in order."""
    spec = default.spec()
    for option in options:
        option(spec)
    return spec


def section(spec: RuntimeSpec, *path: str) -> dict[str, Any]:
    """A nested object of the spec, made where it is missing."""
    at = cast(dict[str, Any], spec)
    for name in path:
        at = at.setdefault(name, {})
    return at


def root(path: str, *, readonly: bool = False) -> Option:
    return lambda spec: section(spec, "root").update(path=path, readonly=readonly)


def process(args: Iterable[str], *, cwd: str = "/") -> Option:
    return lambda spec: section(spec, "process").update(args=list(args), cwd=cwd)


def terminal(*, height: int = 0, width: int = 0) -> Option:
    """A terminal as standard streams; a size of 0 leaves the kernel's default."""
    size = {"consoleSize": {"height": height, "width": width}} if height and width else {}
    return lambda spec: section(spec, "process").update(terminal=True, **size)


def environment(variables: Iterable[str]) -> Option:
    """`NAME=value` entries, appended; a later one of a name replaces an earlier one, in its place."""

    def apply(spec: RuntimeSpec) -> None:
        process = section(spec, "process")
        merged = {entry.partition("=")[0]: entry for entry in process["env"]}
        for entry in variables:
            merged[entry.partition("=")[0]] = entry
        process["env"] = list(merged.values())

    return apply


def identity(who: Identity) -> Option:
    """The user; HOME is set from its entry unless the environment has one already."""

    def apply(spec: RuntimeSpec) -> None:
        process = section(spec, "process")
        process["user"] = {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)}
        if not any(entry.startswith("HOME=") for entry in process["env"]):
            process["env"].append(f"HOME={who.home}")

    return apply


def capabilities(names: Iterable[str], *, ambient: Iterable[str] = ()) -> Option:
    """Bounding, permitted and effective; the inheritable set stays empty (CVE-2022-24769)."""
    held = list(names)
    sets = {"bounding": held, "permitted": held, "effective": held, "inheritable": [], "ambient": list(ambient)}
    return lambda spec: section(spec, "process").update(capabilities=sets)


def no_new_privileges() -> Option:
    return lambda spec: section(spec, "process").update(noNewPrivileges=True)


def apparmor(profile: str) -> Option:
    return lambda spec: section(spec, "process").update(apparmorProfile=profile)


def oom_score(adjustment: int) -> Option:
    return lambda spec: section(spec, "process").update(oomScoreAdj=adjustment)


def rlimits(limits: Iterable[Ulimit]) -> Option:
    """`--ulimit`; -1 is "unlimited". Raises InvalidArgument for a name that does not exist."""
    entries = []
    for limit in limits:
        if limit.name not in RLIMITS:
            raise InvalidArgument(f"invalid ulimit type: {limit.name}")
        soft, hard = (UNLIMITED if value == -1 else value for value in (limit.soft, limit.hard))
        if soft > hard:
            raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        entries.append({"type": f"RLIMIT_{limit.name.upper()}", "soft": soft, "hard": hard})
    return lambda spec: section(spec, "process").update(rlimits=entries)


def hostname(name: str, domain: str = "") -> Option:
    def apply(spec: RuntimeSpec) -> None:
        section(spec).update(hostname=name)
        if domain:
            section(spec).update(domainname=domain)

    return apply


def annotations(values: Mapping[str, str]) -> Option:
    return lambda spec: section(spec, "annotations").update(values)


def namespace(kind: str, *, path: str = "", host: bool = False) -> Option:
    """A namespace of its own, that of `path`, or with `host` none."""

    def apply(spec: RuntimeSpec) -> None:
        linux = section(spec, "linux")
        others = [entry for entry in linux["namespaces"] if entry["type"] != kind]
        own: list[dict[str, str]] = [] if host else [{"type": kind} | ({"path": path} if path else {})]
        linux["namespaces"] = others + own

    return apply


def mount(destination: str, type_: str, source: str, options: Iterable[str]) -> Option:
    """A mount; it replaces one that stands at the same destination (a volume at /dev/shm, say)."""

    def apply(spec: RuntimeSpec) -> None:
        no_mount(destination)(spec)
        entry = {"destination": destination, "type": type_, "source": source, "options": list(options)}
        section(spec)["mounts"].append(entry)

    return apply


def bind(source: str, destination: str, options: Iterable[str]) -> Option:
    return mount(destination, "bind", source, options)


def no_mount(destination: str) -> Option:
    def apply(spec: RuntimeSpec) -> None:
        section(spec)["mounts"] = [entry for entry in spec.get("mounts", []) if entry["destination"] != destination]

    return apply


def shm_size(size: int) -> Option:
    """The size of /dev/shm in bytes, where the container has one of its own."""

    def apply(spec: RuntimeSpec) -> None:
        for entry in section(spec)["mounts"]:
            if entry["destination"] == "/dev/shm" and entry["type"] == "tmpfs":
                entry["options"] = [o for o in entry["options"] if not o.startswith("size=")] + [f"size={size}"]

    return apply


def devices(mappings: Iterable[DeviceMapping]) -> Option:
    """The nodes of `--device`; the rules that let them be used come with `resources`."""
    nodes = [node for mapping in mappings for node, _ in mapped(mapping)]

    def apply(spec: RuntimeSpec) -> None:
        section(spec, "linux").setdefault("devices", []).extend(nodes)

    return apply


def resources(limits: dict[str, Any]) -> Option:
    return lambda spec: section(spec, "linux").update(resources=limits)


def sysctls(values: Mapping[str, str]) -> Option:
    return lambda spec: section(spec, "linux", "sysctl").update(values)


def cgroup(path: str) -> Option:
    return lambda spec: section(spec, "linux").update(cgroupsPath=path)


def seccomp(profile: dict[str, Any] | None) -> Option:
    """A resolved profile (`spec.seccomp`); None leaves the container unconfined."""

    def apply(spec: RuntimeSpec) -> None:
        section(spec, "linux").pop("seccomp", None)
        if profile is not None:
            section(spec, "linux").update(seccomp=profile)

    return apply


def hidden_paths(masked: Iterable[str] | None, readonly: Iterable[str] | None) -> Option:
    """What of /proc and /sys is masked and read-only; None keeps the default, an empty list hides nothing."""

    def apply(spec: RuntimeSpec) -> None:
        if masked is not None:
            section(spec, "linux")["maskedPaths"] = list(masked)
        if readonly is not None:
            section(spec, "linux")["readonlyPaths"] = list(readonly)

    return apply


def privileged() -> Option:
    """Loosens what is left: nothing masked or read-only, /sys and the cgroups writable, every device of the host."""

    def apply(spec: RuntimeSpec) -> None:
        hidden_paths((), ())(spec)
        for entry in section(spec)["mounts"]:
            if entry["type"] in ("sysfs", "cgroup"):
                entry["options"] = [option for option in entry["options"] if option != "ro"]
        linux = section(spec, "linux")
        mapped_already = {node["path"] for node in linux.get("devices", [])}
        linux["devices"] = linux.get("devices", []) + [
            node for node in every_host_device() if node["path"] not in mapped_already
        ]

    return apply


def init(program: str) -> Option:
    """`--init`: our own static program as process 1, which starts the real one, forwards signals and reaps."""

    def apply(spec: RuntimeSpec) -> None:
        bind(program, INIT_PATH, ("bind", "ro"))(spec)
        process = section(spec, "process")
        process["args"] = [INIT_PATH, "@init", "--", *process["args"]]

    return apply
