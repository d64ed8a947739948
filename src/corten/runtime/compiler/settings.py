"""What the new namespaces hold: names, loopback, network, sysctls; and the machine's Intel RDT group.

A sysctl is written only when it belongs to a namespace that is the container's own; every other one would change the
host. Its name must be one word of a path: a value such as ``1+kernel.core_pattern=...`` stays a value (CVE-2022-0811).
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler.draft import Draft

_NAME_BYTES = 15  # IFNAMSIZ, without its NUL

__all__ = ["intel_rdt", "loopback", "names", "network", "sysctls"]

_IPC = (
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni "
    "kernel.shm_rmid_forced kernel.msg_next_id kernel.sem_next_id kernel.shm_next_id kernel.auto_msgmni"
)


def names(draft: Draft) -> None:
    named = (draft.spec.get("hostname"), draft.spec.get("domainname"))
    for field, name, row in zip(("hostname", "domainname"), named, (ops.sethostname, ops.setdomainname), strict=True):
        if name:
            if not draft.creates("uts") and not draft.namespaces.get("uts"):
                hint = "add a namespace of type uts"
                raise draft.refuse(f"unable to set {field} without a private UTS namespace", f"/{field}", hint)
            draft.child.append(row(name, origin=f"/{field}"))


def loopback(draft: Draft) -> None:
    if draft.creates("network"):
        draft.child.append(ops.lo_up(origin=draft.places["network"]))


def network(draft: Draft) -> None:
    """Stop for the controller to connect the new network namespace and to move devices into it."""
    devices = draft.linux.get("netDevices") or {}
    if devices and "network" not in draft.namespaces:
        hint = "add a namespace of type network"
        raise draft.refuse("network devices need a network namespace of the container's own", "/linux/netDevices", hint)
    if not devices and not (draft.creates("network") and draft.options.network):
        return
    draft.child.append(ops.ns_handle("net", slot="own-network", actor="child"))
    why = "a socket keeps its namespace: whoever holds it configures the container's network"
    draft.child.append(ops.netlink_socket(flags.NETLINK_ROUTE, slot="route", actor="child", why=why))
    draft.child.append(ops.netlink_socket(flags.NETLINK_NETFILTER, slot="netfilter", actor="child"))
    why = "the name service listens inside, served from outside"
    draft.child.append(ops.inet_socket(flags.SOCK_DGRAM, slot="udp", why=why))
    draft.child.append(ops.inet_socket(flags.SOCK_STREAM, slot="tcp", why=why))
    passed = ("own-network", "route", "netfilter", "udp", "tcp")  # the order of kernel.netns.NetworkJoin
    draft.child.append(ops.checkpoint("network", passed, actor="child"))
    for name, device in devices.items():
        place = f"/linux/netDevices/{name}"
        renamed = device.get("name") or name
        for one in (name, renamed):
            _check_device_name(draft, one, place)
        draft.child.append(ops.move_netdev(name, renamed, origin=place))
    if draft.options.network and draft.creates("network"):
        draft.child.append(ops.connect_network(origin=draft.places["network"]))


def _check_device_name(draft: Draft, name: str, place: str) -> None:
    """What the kernel takes (net/core/dev.c, dev_valid_name): 15 bytes; `%d` at most once, for a free number."""
    bad = (
        not name
        or len(name.encode()) > _NAME_BYTES
        or name in (".", "..")
        or any(c in "/:" or c.isspace() for c in name)
    )
    if bad or name.count("%") != name.count("%d") or name.count("%") > 1:
        raise draft.refuse(f"{name!r} is not the name of a network device", place, "at most 15 bytes without / or :")


def sysctls(draft: Draft) -> None:
    for name, value in (draft.linux.get("sysctl") or {}).items():
        place = f"/linux/sysctl/{name}"
        path = _sysctl_path(draft, name, place)
        owner = _owner(path.replace("/", "."))
        if owner is None or owner not in draft.namespaces:
            hint = f"it would change the host; it needs a namespace of type {owner}" if owner else "remove it"
            message = f"sysctl {name!r} is not in a separate kernel namespace"
            raise draft.refuse(message, place, hint)
        draft.child.append(ops.write_proc(draft.proc(), f"sys/{path}", str(value).encode(), origin=place))


def intel_rdt(draft: Draft) -> None:
    if draft.linux.get("intelRdt") is None:
        return
    if not draft.host.resctrl:
        hint = "mount it with: mount -t resctrl resctrl /sys/fs/resctrl (needs a processor with RDT)"
        raise draft.refuse("intelRdt: the resctrl filesystem is not mounted", "/linux/intelRdt", hint)
    rdt = draft.linux["intelRdt"]
    name = rdt.get("closID") or draft.id
    if "/" in name or name in (".", "..", "info", "mon_data", "mon_groups"):
        raise draft.refuse(f"{name!r} is not the name of a resctrl group", "/linux/intelRdt/closID")
    path = f"{draft.host.resctrl}/{name}"
    draft.before.append(ops.mkdir(path, 0o755, accept=(17,), origin="/linux/intelRdt"))
    draft.before.append(ops.open(path, flags.O_PATH | flags.O_DIRECTORY, slot="resctrl", origin="/linux/intelRdt"))
    lines = [rdt.get("l3CacheSchema") or "", rdt.get("memBwSchema") or "", *(rdt.get("schemata") or ())]
    for line in filter(None, lines):
        draft.before.append(
            ops.write_at("resctrl", "schemata", f"{line}\n".encode(), origin="/linux/intelRdt/schemata")
        )
    if rdt.get("enableMonitoring"):
        draft.before.append(ops.mkdir(f"{path}/mon_groups/{draft.id}", 0o755, accept=(17,), origin="/linux/intelRdt"))
    draft.parent.append(ops.attach_cgroup("resctrl", "tasks", actor="parent", origin="/linux/intelRdt"))


def _sysctl_path(draft: Draft, name: str, place: str) -> str:
    """A sysctl in its dotted form or as a path; an interface's name may hold dots, which then are the slashes' turn."""
    if not name or "\0" in name:
        raise draft.refuse(f"{name!r} is not a sysctl", place)
    slash, dot = name.find("/"), name.find(".")
    path = name if slash >= 0 and (dot < 0 or slash < dot) else name.translate({ord("."): "/", ord("/"): "."})
    if path.startswith("/") or any(part in ("", "..", ".") for part in path.split("/")):
        raise draft.refuse(f"{name!r} is not a sysctl", place)
    return path


def _owner(name: str) -> str | None:
    """The type of namespace a sysctl belongs to (kernel: Documentation/admin-guide/sysctl)."""
    if name.startswith("net."):
        return "network"
    if name in _IPC.split() or name.startswith("fs.mqueue."):
        return "ipc"
    if name == "kernel.domainname":  # kernel.hostname is the field hostname's alone, as in runc and crun
        return "uts"
    return "user" if name.startswith("user.max_") else None
