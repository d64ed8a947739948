"""``/process``: everything the program is born with, privileges last, and the exec itself.

The order is the safety: what needs privileges comes first; then the user changes while the permitted capabilities are
kept; the working directory is entered as that user; then the capabilities shrink, descriptors close, the filter loads,
and exec. The filter stands directly before exec, so that it need allow nothing that only the launch itself does.
Loading it needs no_new_privs or CAP_SYS_ADMIN, which is therefore kept until exec where no_new_privs is off; exec
computes the new sets from the bounding, inheritable and ambient ones, so nothing of it survives (capabilities(7)).
"""

from __future__ import annotations

from corten.kernel import capabilities
from corten.plan import flags, ops
from corten.runtime.compiler.draft import Draft
from corten.runtime.compiler.namespaces import keeps_groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from corten.plan.step import Step

__all__ = [
    "MEMORY_FLAGS",
    "MEMORY_MODES",
    "bit_mask",
    "created",
    "enter",
    "execute",
    "prepare",
    "privileges",
    "report",
    "working_directory",
]

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYS_ADMIN, _SYS_RESOURCE = 1 << 21, 1 << 24
_ENOSYS, _EDQUOT, _EPERM, _EINVAL, _EROFS, _EACCES, _ELOOP = 38, 122, 1, 22, 30, 13, 40
_UNLIMITED = (1 << 64) - 1
# What keeps a working directory from being made and must not keep one that is there from being entered: no rights, a
# read-only root, a link to where we follow none (/proc/self/fd/7, CVE-2024-21626).
_UNMADE = (_EACCES, _EROFS, _ELOOP)
# linux/sched.h
_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_SCHED_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_IO_CLASSES = {"IOPRIO_CLASS_NONE": 0, "IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
# linux/mempolicy.h
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
# linux/personality.h
_DOMAINS = {"LINUX": 0, "LINUX32": 8}


def prepare(draft: Draft) -> None:
    """What the parent half sets from outside: the OOM score, and limits that only the host's privileges can raise."""
    process = draft.process
    score = process.get("oomScoreAdj")
    if score is not None and score != draft.host.oom_score_adj:
        if score < draft.host.oom_score_adj and not draft.host.held.effective & _SYS_RESOURCE:
            draft.warn(
                f"/process/oomScoreAdj: {score} is below {draft.host.oom_score_adj}, and lowering it needs "
                "CAP_SYS_RESOURCE, which this machine's root lacks; it stays"
            )
        else:
            draft.parent.append(ops.write_child("oom_score_adj", str(score).encode(), origin="/process/oomScoreAdj"))
    if draft.user_namespace:
        draft.parent += _rlimits(draft, "parent")


def enter(draft: Draft) -> None:
    """What a process has of its own, set while there still are privileges."""
    process = draft.process
    if draft.options.new_keyring:
        why = "the caller's keys are not for the container"
        draft.child.append(ops.keyring(draft.id, accept=(_ENOSYS, _EDQUOT, _EPERM), why=why))
    _scheduler(draft)
    if priority := process.get("ioPriority"):
        name = priority["class"]
        if name not in _IO_CLASSES:
            raise draft.refuse(f"unknown I/O class {name!r}", "/process/ioPriority/class", ", ".join(_IO_CLASSES))
        value = _IO_CLASSES[name] << 13 | priority.get("priority", 0)
        draft.child.append(ops.ioprio(value, actor="child", origin="/process/ioPriority"))
    _memory_policy(draft)
    _personality(draft)
    _labels(draft)
    if not any(entry.startswith("HOME=") for entry in (*(process.get("env") or ()), *draft.options.env)):
        draft.child.append(ops.find_home((process.get("user") or {}).get("uid", 0), origin="/process/env"))


def report(draft: Draft) -> None:
    """Tell who launched us the process id and the pidfd."""
    file = draft.inherit("pid-file") if draft.options.pid_file else ""
    draft.parent.append(ops.report("pidfd", file, why="the process id, for whoever watches it"))
    if draft.options.pidfd_socket:
        socket = draft.inherit("pidfd-socket")
        draft.parent.append(ops.send_fd(socket, "pidfd", "pidfd", why="--pidfd-socket"))


def created(draft: Draft) -> None:
    """The container is complete but for its program: `create` returns, `start` goes on."""
    why = "everything that can fail has been done; create returns"
    draft.child.append(ops.checkpoint("created", (), actor="child", why=why))
    draft.child.append(ops.write_state("created"))
    draft.child.append(ops.await_start(draft.inherit("start") if draft.options.listener else ""))


def privileges(draft: Draft) -> None:
    """Limits, groups, user, working directory, capabilities, no_new_privs."""
    process = draft.process
    if not draft.user_namespace:
        draft.child += _rlimits(draft, "child")
    wanted = process.get("capabilities") or {}
    sets = {
        kind: _set(draft, wanted, kind) for kind in ("bounding", "permitted", "effective", "inheritable", "ambient")
    }
    sets["ambient"] &= sets["permitted"] & sets["inheritable"]  # the kernel's condition (capabilities(7))
    user: Mapping[str, Any] = process.get("user") or {}
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    draft.child.append(ops.bounding(sets["bounding"], origin="/process/capabilities/bounding"))
    draft.child.append(ops.keep_caps(1, why="the change of user must not take all capabilities"))
    for stream in draft.options.streams:
        slot = draft.inherit(("stdin", "stdout", "stderr")[stream])
        why = "the user may open /dev/std* again"
        accept = (_EPERM, _EINVAL, _EROFS)
        draft.child.append(ops.chown(slot, uid, -1, accept=accept, why=why, origin="/process/user"))
    gids = tuple(user.get("additionalGids") or ())
    denied = (_EPERM,) if draft.user_namespace and not gids else ()
    if gids or not keeps_groups(draft):
        draft.child.append(ops.groups(gids, accept=denied, origin="/process/user/additionalGids"))
    draft.child.append(ops.umask(user.get("umask", 0o022), origin="/process/user/umask"))
    draft.child.append(ops.user(uid, gid, origin="/process/user"))
    draft.child.append(ops.chdir(process["cwd"], why="as this user, and verified to be inside", origin="/process/cwd"))
    draft.child.append(
        ops.find_program(*_wanted_program(draft), why="a missing program is an error of create", origin="/process/args")
    )
    held = sets["permitted"], sets["effective"]
    if draft.linux.get("seccomp") and not process.get("noNewPrivileges"):
        admin = _SYS_ADMIN if draft.user_namespace else _SYS_ADMIN & draft.host.held.permitted
        held = held[0] | admin, held[1] | admin
    draft.child.append(ops.capset(held[1], held[0], sets["inheritable"], origin="/process/capabilities"))
    draft.child.append(ops.ambient(sets["ambient"], origin="/process/capabilities/ambient"))
    if process.get("noNewPrivileges"):
        draft.child.append(ops.no_new_privs(origin="/process/noNewPrivileges"))


def working_directory(draft: Draft) -> None:
    """Make `cwd` where the image lacks it, as runc and crun do; whether it may be entered is for chdir to say."""
    if (cwd := draft.process.get("cwd") or "/").strip("/"):
        why = "an image need not have its working directory"
        draft.child.append(ops.mkdir_in("root", cwd, 0o755, accept=_UNMADE, why=why, origin="/process/cwd"))


def execute(draft: Draft) -> None:
    """Close what is not the program's, load the filter, and become the program."""
    draft.child.append(ops.close_from(3, why="before the filter, which may forbid it"))
    for number in draft.options.preserve:
        slot = draft.inherit(f"keep-{number}")
        draft.child.append(ops.dup(slot, number, why="the caller preserves it; put there, it outlives exec"))
    if profile := draft.linux.get("seccomp"):
        from corten.runtime import seccomp

        bits = seccomp.filter_flags(profile)
        slot = "seccomp-listener" if seccomp.listens(profile) else ""
        compiled = seccomp.compile(profile, draft.host.machine)
        draft.child.append(ops.seccomp(compiled, bits, slot=slot, origin="/linux/seccomp"))
        if slot:
            _send_listener(draft, slot)
    draft.child.append(ops.exec(tuple(draft.process["args"]), _environment(draft), origin="/process/args"))


def _environment(draft: Draft) -> tuple[str, ...]:
    """`process.env`; of one name the last counts. Where HOME is not given, `find-home` may replace this one."""
    named = {entry.partition("=")[0]: entry for entry in (*(draft.process.get("env") or ()), *draft.options.env)}
    named.setdefault("HOME", "HOME=/")
    return tuple(named.values())


def _send_listener(draft: Draft, slot: str) -> None:
    profile = draft.linux["seccomp"]
    path = profile.get("listenerPath") or ""
    if not path:
        place = "/linux/seccomp/listenerPath"
        raise draft.refuse("SCMP_ACT_NOTIFY needs a listener", place, "set listenerPath to an agent's socket")
    draft.child.append(ops.checkpoint("seccomp", (slot,), actor="child", origin="/linux/seccomp/listenerPath"))
    metadata = profile.get("listenerMetadata") or ""
    draft.child.append(ops.send_listener(path, metadata, origin="/linux/seccomp/listenerPath"))


def _rlimits(draft: Draft, actor: str) -> list[Step]:
    rows: list[Step] = []
    seen: set[str] = set()
    raises = draft.host.held.effective & _SYS_RESOURCE
    for n, limit in enumerate(draft.process.get("rlimits") or ()):
        place, name = f"/process/rlimits/{n}", limit["type"]
        if name not in flags.RLIMITS:
            raise draft.refuse(
                f"unknown resource limit {name!r}", f"{place}/type", f"one of {', '.join(flags.RLIMITS)}"
            )
        if name in seen:
            raise draft.refuse(f"resource limit {name} stands twice", place)
        seen.add(name)
        number = flags.RLIMITS.index(name)
        soft, hard = limit["soft"] % (1 << 64), limit["hard"] % (1 << 64)
        if soft > hard:
            raise draft.refuse(f"{name}: the soft limit {soft} is above the hard limit {hard}", place)
        most = draft.host.limits[number][1]
        if hard > most and not raises:
            draft.warn(f"{place}: {name} stays at {most}; raising it needs CAP_SYS_RESOURCE, which this root lacks")
            soft, hard = min(soft, most), most
        rows.append(ops.rlimit(number, soft, hard, actor=actor, origin=place))
    return rows


def _set(draft: Draft, wanted: Mapping[str, Any], kind: str) -> int:
    """One capability set, cut down to what can be given; what cannot is told (config.md: a warning, not an error)."""
    bits = 0
    for n, name in enumerate(wanted.get(kind) or ()):
        number = capabilities.NUMBERS.get(name)
        if number is None:
            draft.warn(f"/process/capabilities/{kind}/{n}: {name} is no capability of Linux; ignored")
        else:
            bits |= 1 << number
    lacking = bits & ~draft.host.held.bounding
    if lacking and not draft.user_namespace:
        names = ", ".join(capabilities.names(lacking))
        draft.warn(f"/process/capabilities: {names}: this machine's root does not have it, so the container cannot")
        bits &= draft.host.held.bounding
    return bits


def _scheduler(draft: Draft) -> None:
    scheduler = draft.process.get("scheduler")
    if not scheduler:
        return
    place, policy = "/process/scheduler", scheduler["policy"]
    if policy not in _POLICIES:
        raise draft.refuse(f"unknown scheduling policy {policy!r}", f"{place}/policy", ", ".join(_POLICIES))
    bits = 0
    for n, flag in enumerate(scheduler.get("flags") or ()):
        if flag not in _SCHED_FLAGS:
            raise draft.refuse(f"unknown scheduler flag {flag!r}", f"{place}/flags/{n}", ", ".join(_SCHED_FLAGS))
        bits |= _SCHED_FLAGS[flag]
    fields = ("nice", "priority", "runtime", "deadline", "period")
    given: Any = scheduler
    numbers = [int(given.get(field, 0)) for field in fields]
    if numbers[1] and policy not in ("SCHED_FIFO", "SCHED_RR"):
        raise draft.refuse("a priority is for SCHED_FIFO and SCHED_RR only", f"{place}/priority")
    draft.child.append(ops.scheduler(_POLICIES[policy], bits, *numbers, actor="child", origin=place))


def _memory_policy(draft: Draft) -> None:
    policy = draft.linux.get("memoryPolicy")
    if not policy:
        return
    place, mode = "/linux/memoryPolicy", policy.get("mode") or ""
    if mode not in MEMORY_MODES:
        raise draft.refuse(f"unknown memory policy {mode!r}", f"{place}/mode", ", ".join(MEMORY_MODES))
    bits = MEMORY_MODES[mode]
    for n, flag in enumerate(policy.get("flags") or ()):
        if flag not in MEMORY_FLAGS:
            raise draft.refuse(f"unknown memory policy flag {flag!r}", f"{place}/flags/{n}", ", ".join(MEMORY_FLAGS))
        bits |= MEMORY_FLAGS[flag]
    draft.child.append(ops.mempolicy(bits, bit_mask(draft, policy.get("nodes") or "", f"{place}/nodes"), origin=place))


def bit_mask(draft: Draft, text: str, place: str) -> bytes:
    """A list such as ``0-3,8`` as a bit mask in whole 64-bit words."""
    bits = 0
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not part.strip():
            continue
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) > 8191:
            raise draft.refuse(f"{text!r} is not a list of numbers such as 0-3,8", place)
        for number in range(int(first), int(last or first) + 1):
            bits |= 1 << number
    return bits.to_bytes((bits.bit_length() + 63) // 64 * 8, "little")


def _personality(draft: Draft) -> None:
    personality = draft.linux.get("personality")
    if not personality:
        return
    domain = personality.get("domain") or ""
    if domain not in _DOMAINS:
        raise draft.refuse(f"unknown personality {domain!r}", "/linux/personality/domain", "LINUX or LINUX32")
    if personality.get("flags"):
        raise draft.refuse("personality flags are not defined by the specification", "/linux/personality/flags")
    draft.child.append(ops.personality(_DOMAINS[domain], origin="/linux/personality"))


def _labels(draft: Draft) -> None:
    """The security label that exec shall take, written through a procfs of our own."""
    process = draft.process
    if profile := process.get("apparmorProfile"):
        place = "/process/apparmorProfile"
        if not draft.host.apparmor:
            raise draft.refuse(
                f"cannot apply AppArmor profile {profile!r}: AppArmor is not enabled", place, "remove it"
            )
        row = ops.write_proc(draft.proc(), f"self/{draft.host.apparmor_file}", f"exec {profile}".encode(), origin=place)
        draft.child.append(row)
    if label := process.get("selinuxLabel"):
        place = "/process/selinuxLabel"
        if not draft.host.selinux:
            raise draft.refuse(f"cannot apply SELinux label {label!r}: SELinux is not enabled", place, "remove it")
        draft.child.append(ops.write_proc(draft.proc(), "self/attr/exec", label.encode(), origin=place))


def _wanted_program(draft: Draft) -> tuple[str, tuple[str, ...]]:
    """The program's name, and where it may be: as execvp, by the container's own PATH."""
    args = draft.process.get("args")
    if not args or not args[0]:
        raise draft.refuse("process.args must not be empty", "/process/args", "name the program to run")
    path = _DEFAULT_PATH
    for entry in draft.process.get("env") or ():
        if entry.startswith("PATH="):
            path = entry[5:]
    return args[0], tuple(path.split(":"))
