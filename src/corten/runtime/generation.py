"""``corten-runtime generate``: a configuration put together by flags, those of oci-runtime-tool.

Every flag is a row of `EDITS`: the field that it changes, and how its text becomes a value. A base configuration (that
of ``spec``, or a template) goes through them in the order of the table, and is validated at the end.

>>> generated({"hostname": ["web"], "args": ["sleep", "7"]})["process"]["args"]
['sleep', '7']
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument
from corten.runtime.template import config
from corten.runtime.validation import validate
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from corten.model.runtime_spec import RuntimeSpec

    Edit = Callable[[Any, str, Sequence[str]], None]

__all__ = ["EDITS", "generated"]

_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def generated(flags: Mapping[str, Sequence[str]], template: RuntimeSpec | None = None) -> RuntimeSpec:
    """The configuration with all `flags` (the texts of each) applied. Raises InvalidArgument."""
    spec: Any = template or config()
    if template is None:
        spec["process"]["terminal"] = False
        spec["process"]["args"] = ["sh"]
    for name, (field, edit, _) in EDITS.items():
        if texts := flags.get(name):
            try:
                edit(spec, field, texts)
            except (ValueError, KeyError, IndexError) as error:
                raise InvalidArgument(f"--{name}: {texts[-1]!r} cannot be read", place=f"--{name}") from error
    validate(spec)
    found: RuntimeSpec = spec
    return found


def _holder(spec: Any, field: str) -> tuple[Any, str]:
    """The object that holds the field of this dotted path, made where it is missing, and the field's name."""
    *parents, last = field.split(".")
    for name in parents:
        spec = spec.setdefault(name, {})
    return spec, last


def _put(spec: Any, field: str, value: Any) -> None:
    holder, name = _holder(spec, field)
    holder[name] = value


def _text(spec: Any, field: str, texts: Sequence[str]) -> None:
    _put(spec, field, texts[-1])


def _number(spec: Any, field: str, texts: Sequence[str]) -> None:
    _put(spec, field, int(texts[-1], 0))


def _switch(spec: Any, field: str, texts: Sequence[str]) -> None:
    _put(spec, field, texts[-1] not in ("false", "0"))


def _texts(spec: Any, field: str, texts: Sequence[str]) -> None:
    _put(spec, field, list(texts))


def _append(spec: Any, field: str, texts: Sequence[Any]) -> None:
    holder, name = _holder(spec, field)
    holder[name] = [*(holder.get(name) or ()), *texts]


def _append_numbers(spec: Any, field: str, texts: Sequence[str]) -> None:
    _append(spec, field, [int(text) for text in texts])


def _append_json(spec: Any, field: str, texts: Sequence[str]) -> None:
    _append(spec, field, [codec.loads(text) for text in texts])


def _pairs(spec: Any, field: str, texts: Sequence[str]) -> None:
    holder, name = _holder(spec, field)
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(text)
        holder.setdefault(name, {})[key] = value


def _environment(spec: Any, field: str, texts: Sequence[str]) -> None:
    """A variable that is there already is replaced."""
    names = {text.partition("=")[0] for text in texts}
    holder, name = _holder(spec, field)
    kept = [entry for entry in holder.get(name) or () if entry.partition("=")[0] not in names]
    holder[name] = [*kept, *texts]


def _size(spec: Any, field: str, texts: Sequence[str]) -> None:
    width, _, height = texts[-1].partition(":")
    _put(spec, field, {"width": int(width), "height": int(height)})


def _limits(spec: Any, field: str, texts: Sequence[str]) -> None:
    """``RLIMIT_NOFILE:1024:512``, hard before soft."""
    holder, name = _holder(spec, field)
    for text in texts:
        kind, hard, soft = text.split(":")
        others = [one for one in holder.get(name) or () if one["type"] != kind]
        holder[name] = [*others, {"type": kind, "hard": int(hard), "soft": int(soft)}]


def _add_capabilities(spec: Any, field: str, texts: Sequence[str]) -> None:
    for kind in _SETS:
        present = _capabilities(spec, f"{field}.{kind}")
        present += [one for text in texts for one in text.split(",") if one not in present]


def _drop_capabilities(spec: Any, field: str, texts: Sequence[str]) -> None:
    dropped = {one for text in texts for one in text.split(",")}
    for kind in _SETS:
        present = _capabilities(spec, f"{field}.{kind}")
        present[:] = [one for one in present if one not in dropped]


def _drop_all_capabilities(spec: Any, field: str, _: Sequence[str]) -> None:
    _put(spec, field, {kind: [] for kind in _SETS})


def _capabilities(spec: Any, field: str) -> list[str]:
    holder, name = _holder(spec, field)
    holder[name] = list(holder.get(name) or ())
    found: list[str] = holder[name]
    return found


def _add_namespaces(spec: Any, field: str, texts: Sequence[str]) -> None:
    """``network`` or ``network:/run/netns/x``; one of the same type is replaced."""
    for text in texts:
        kind, _, path = text.partition(":")
        _remove_namespaces(spec, field, [kind])
        _append(spec, field, [{"type": kind, **({"path": path} if path else {})}])


def _remove_namespaces(spec: Any, field: str, texts: Sequence[str]) -> None:
    holder, name = _holder(spec, field)
    holder[name] = [one for one in holder.get(name) or () if one["type"] not in texts]


def _clear(spec: Any, field: str, _: Sequence[str]) -> None:
    _put(spec, field, [])


def _remove_mounts(spec: Any, field: str, texts: Sequence[str]) -> None:
    _put(spec, field, [one for one in spec.get(field) or () if one["destination"] not in texts])


def _mappings(spec: Any, field: str, texts: Sequence[str]) -> None:
    """``HOST:CONTAINER:SIZE``; a user namespace comes with it."""
    numbers = [[int(part) for part in text.split(":")] for text in texts]
    _append(spec, field, [{"hostID": one[0], "containerID": one[1], "size": one[2]} for one in numbers])
    _add_namespaces(spec, "linux.namespaces", ["user"])


_RESOURCES = "linux.resources"
# flag: (field, edit, help); removals stand before additions, so that both together replace.
EDITS: dict[str, tuple[str, Edit, str]] = {
    "oci-version": ("ociVersion", _text, "the version of the specification"),
    "rootfs-path": ("root.path", _text, "the root file system"),
    "rootfs-readonly": ("root.readonly", _switch, "make it read-only"),
    "hostname": ("hostname", _text, "the host name"),
    "domainname": ("domainname", _text, "the NIS domain name"),
    "label": ("annotations", _pairs, "an annotation KEY=VALUE"),
    "args": ("process.args", _texts, "a word of the command"),
    "env": ("process.env", _environment, "a variable NAME=VALUE"),
    "process-cwd": ("process.cwd", _text, "the working directory"),
    "process-uid": ("process.user.uid", _number, "the user"),
    "process-gid": ("process.user.gid", _number, "the group"),
    "process-groups": ("process.user.additionalGids", _append_numbers, "one more group"),
    "process-terminal": ("process.terminal", _switch, "attach a terminal"),
    "process-consolesize": ("process.consoleSize", _size, "WIDTH:HEIGHT"),
    "process-no-new-privileges": ("process.noNewPrivileges", _switch, "set no_new_privs"),
    "process-rlimits-remove-all": ("process.rlimits", _clear, "no resource limits"),
    "process-rlimits-add": ("process.rlimits", _limits, "NAME:HARD:SOFT"),
    "process-cap-drop-all": ("process.capabilities", _drop_all_capabilities, "no capabilities"),
    "process-cap-drop": ("process.capabilities", _drop_capabilities, "without these capabilities"),
    "process-cap-add": ("process.capabilities", _add_capabilities, "with these capabilities"),
    "linux-apparmor": ("process.apparmorProfile", _text, "the AppArmor profile"),
    "linux-selinux-label": ("process.selinuxLabel", _text, "the SELinux label"),
    "linux-mount-label": ("linux.mountLabel", _text, "the SELinux label of mounts"),
    "linux-oom-score-adj": ("process.oomScoreAdj", _number, "oom_score_adj"),
    "linux-cgroups-path": ("linux.cgroupsPath", _text, "the cgroup"),
    "linux-namespace-remove-all": ("linux.namespaces", _clear, "no namespaces"),
    "linux-namespace-remove": ("linux.namespaces", _remove_namespaces, "not this TYPE of namespace"),
    "linux-namespace-add": ("linux.namespaces", _add_namespaces, "a namespace TYPE[:PATH]"),
    "linux-uidmappings": ("linux.uidMappings", _mappings, "HOST:CONTAINER:SIZE"),
    "linux-gidmappings": ("linux.gidMappings", _mappings, "HOST:CONTAINER:SIZE"),
    "linux-masked-paths": ("linux.maskedPaths", _append, "a path to hide"),
    "linux-readonly-paths": ("linux.readonlyPaths", _append, "a path to make read-only"),
    "linux-rootfs-propagation": ("linux.rootfsPropagation", _text, "the propagation of the root"),
    "linux-sysctl": ("linux.sysctl", _pairs, "a kernel setting NAME=VALUE"),
    "linux-device-add": ("linux.devices", _append_json, "a device as JSON"),
    "linux-cpus": (f"{_RESOURCES}.cpu.cpus", _text, "processors"),
    "linux-mems": (f"{_RESOURCES}.cpu.mems", _text, "memory nodes"),
    "linux-cpu-shares": (f"{_RESOURCES}.cpu.shares", _number, "CPU shares"),
    "linux-cpu-quota": (f"{_RESOURCES}.cpu.quota", _number, "CPU time in a period"),
    "linux-cpu-period": (f"{_RESOURCES}.cpu.period", _number, "length of a CPU period"),
    "linux-mem-limit": (f"{_RESOURCES}.memory.limit", _number, "memory limit"),
    "linux-mem-swap": (f"{_RESOURCES}.memory.swap", _number, "limit of memory and swap together"),
    "linux-mem-reservation": (f"{_RESOURCES}.memory.reservation", _number, "memory it should keep"),
    "linux-disable-oom-kill": (f"{_RESOURCES}.memory.disableOOMKiller", _switch, "no OOM killer"),
    "linux-pids-limit": (f"{_RESOURCES}.pids.limit", _number, "processes"),
    "linux-blkio-weight": (f"{_RESOURCES}.blockIO.weight", _number, "block I/O weight"),
    "linux-intelRdt-l3CacheSchema": ("linux.intelRdt.l3CacheSchema", _text, "Intel RDT cache schema"),
    "mounts-remove-all": ("mounts", _clear, "no mounts"),
    "mounts-remove": ("mounts", _remove_mounts, "not this destination"),
    "mounts-add": ("mounts", _append_json, "a mount as JSON"),
    "hooks-prestart-add": ("hooks.prestart", _append_json, "a prestart hook as JSON"),
    "hooks-poststart-add": ("hooks.poststart", _append_json, "a poststart hook as JSON"),
    "hooks-poststop-add": ("hooks.poststop", _append_json, "a poststop hook as JSON"),
}
