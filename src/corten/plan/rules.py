"""The rules that a plan must obey: `check` walks the rows as the interpreter would and says what is broken.

They run on every plan before it is stored in the cache, and in the tests on plans from random configurations. Each
known escape of the field breaks one of them (tests/plans/test_escapes.py). The rules, by number (docs/plan.md):

1. After `root` no row takes a host path; container paths resolve below the root, without ``..``.
2. Nothing is attached but to a handle that descends from the root; sources are handles from before `root`, or proven
   ones; /proc is written through a procfs of our own, and only what is a namespace's; below /proc, /sys and /dev no
   link is followed.
3. A slot is defined before use, by someone its user shares descriptors with; a mount is attached once; nothing survives
   exec that the plan does not name.
4. After the filter only what it allows; after the privileges are dropped nothing that needs them; exec is the end.
5. Hooks come in OCI's order, and the controller works only at a checkpoint.
6. The kernel's own filesystems are made by the child; only overlays and bind sources come from the host.
"""

from __future__ import annotations

from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from corten.plan import filter as bpf
from corten.plan.catalog import CALLS, OPERATIONS
from corten.plan.flags import CLONE_NEWNS
from corten.plan.text import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.plan.step import LaunchPlan, Step

__all__ = ["Violation", "check"]

SENSITIVE = ("/proc", "/sys", "/dev")
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
NULL_DEVICE = (1, 3)
HOST_FILESYSTEMS = {"overlay", ""}
# What a write through a procfs may name: attributes of the process itself, and sysctls that belong to a namespace.
PROCESS_FILES = ("attr/", "timens_offsets", "oom_score_adj", "setgroups", "loginuid", "coredump_filter")
NAMESPACED = ("net/", "fs/mqueue/", "kernel/msg", "kernel/sem", "kernel/shm", "kernel/domainname", "kernel/hostname")
# What still works without privileges, in the order that `process` compiles.
UNPRIVILEGED = frozenset(
    (
        *("user", "keep-caps", "capset", "ambient", "no-new-privs", "seccomp", "chdir", "find-program", "checkpoint"),
        *(
            "await-start",
            "close-from",
            "exec",
            "umask",
            "dup",
            "close",
            "dumpable",
            "personality",
            "keyring",
            "send-fd",
        ),
        *("assert-dev", "assert-fs", "assert-type", "setsid", "set-ctty", "window-size", "write-proc", "affinity"),
        *("mempolicy", "send-fd"),
    )
)
CREATING = {"mkdir-in", "create-in", "symlink-in", "mknod-in"}
STRICT_PLACE = {"open-in": 3, "mountpoint-in": 3, "mask-in": 3, "readonly-in": 2}
ENTERING = {"pivot", "move-root", "chroot"}
CAP_SYS_ADMIN = 1 << 21


class Violation(NamedTuple):
    """A row that breaks a rule; `row` is -1 for what is missing from the whole plan."""

    rule: int
    row: int
    message: str
    origin: str = ""

    def __str__(self) -> str:
        return f"rule {self.rule}, row {self.row}: {self.message}"


class Handle(NamedTuple):
    """What is known of a descriptor."""

    actor: str
    op: str  # the row that made it
    path: str | None = None  # where it is in the container, when it is in it
    made: str = ""  # the type of the filesystem that `new-mount` made
    rooted: bool = False  # made before `root`, hence the plan's own choice
    own: bool = False  # inside a filesystem that the child has made and nobody else has seen yet


class Walk:
    """The state of the walk over the rows."""

    def __init__(self, plan: LaunchPlan, machine: str) -> None:
        self.plan = plan
        self.machine = machine
        self.handles = {name: Handle("host", "inherit", rooted=True) for _, name in plan.inherit}
        self.proven: set[str] = set()  # by an assert row, or by pty-peer
        self.nulls: set[str] = set()  # proven to be the null device
        self.attached: set[str] = set()
        self.root = ""
        self.entered = self.cloned = self.private = self.unprivileged = self.no_new_privs = self.executed = False
        self.closed_from = -1
        self.capabilities = -1
        self.filters: tuple[bytes, ...] = ()
        self.hook = 0
        self.previous: Step | None = None
        self.preserved: set[int] = set()


def check(plan: LaunchPlan, *, machine: str = "x86_64") -> list[Violation]:
    """Every broken rule of the plan, in the order of its rows; empty for a good plan.

    `machine` (x86_64, aarch64) chooses the numbers by which the seccomp filter is tried.
    """
    walk = Walk(plan, machine)
    found = []
    for number, step in enumerate(plan.steps):
        for rule, message in _broken(walk, step):
            found.append(Violation(rule, number, f"{message} ({sentence(step)})", step.origin))
        _advance(walk, step)
    return [*found, *(Violation(rule, -1, message) for rule, message in _missing(walk))]


def _broken(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    for rule in (
        _slots,
        _paths,
        _strictness,
        _attaching,
        _cloning_mounts,
        _proc,
        _privileges,
        _filtered,
        _hooks,
        _makers,
    ):
        yield from rule(walk, step)


def _typed(step: Step, *kinds: str) -> Iterator[str]:
    """The arguments of these types, as text."""
    for (_, kind), value in zip(OPERATIONS[step.op].args, step.args, strict=True):
        if kind in kinds:
            yield from (str(item) for item in value) if isinstance(value, tuple) else (str(value),)


def _text(step: Step, place: int) -> str:
    value = step.args[place]
    assert isinstance(value, str)
    return value


def _number(step: Step, place: int) -> int:
    value = step.args[place]
    assert isinstance(value, int)
    return value


def _slots(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 3: defined before use, and by a process whose descriptors the user shares."""
    for name in _typed(step, "slot", "slot?", "slots"):
        if not name:
            continue
        handle = walk.handles.get(name)
        if handle is None:
            yield 3, f"the slot {name} is used before a row makes it, or after it was closed"
        elif handle.actor not in ("host", step.actor):
            yield 3, f"the slot {name} belongs to the {handle.actor} half, the {step.actor} has no such descriptor"
    if step.slot and step.slot in walk.handles:
        yield 3, f"the slot {step.slot} is made twice"


def _paths(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 1."""
    if walk.root and step.actor == "child" and any(_typed(step, "path")):
        yield 1, "a host path is named after the root was set"
    for path in _typed(step, "cpath"):
        if ".." in path.split("/"):
            yield 1, f"the path {path} climbs"
        if step.op == "chdir" and walk.root and not walk.entered:
            yield 1, "the working directory is set before the container's root is entered"
        elif step.op.endswith("-in") and not walk.root:
            yield 1, "a container path is named before the root was set"
    if step.op.endswith("-in") and walk.root:
        dir = walk.handles.get(str(step.args[0]))
        if dir and dir.path is None and not dir.made:
            yield 1, f"the path does not start below the root: {_text(step, 0)} is elsewhere"


def _place(walk: Walk, step: Step) -> str | None:
    """The container path that an -in row names, when it is known."""
    dir = walk.handles.get(str(step.args[0]))
    if dir is None or dir.path is None:
        return None
    name = str(step.args[2] if step.op == "symlink-in" else step.args[1])
    return normpath(f"{dir.path}/{name}").replace("//", "/")


def _is_sensitive(path: str) -> bool:
    return path.startswith(tuple(f"{place}/" for place in SENSITIVE)) or path in SENSITIVE


def _strictness(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 2: the image may hold /dev -> /etc, or put a link at /proc/keys."""
    if not step.op.endswith("-in") or (place := _place(walk, step)) is None or not _is_sensitive(place):
        return
    if step.op in STRICT_PLACE:
        if not step.args[STRICT_PLACE[step.op]]:
            yield 2, f"{place} is resolved through symbolic links"
    elif step.op in CREATING:
        dir = walk.handles[str(step.args[0])]
        if not dir.path or not _is_sensitive(dir.path):
            yield 2, f"{place} is made through links that the image may hold: it needs a handle of its directory"


def _attaching(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rules 2 and 3: what is attached where."""
    if step.op != "attach":
        return
    mount, target = map(str, step.args)
    if mount in walk.attached:
        yield 3, f"the mount {mount} is attached twice"
    source, place = walk.handles.get(mount), walk.handles.get(target)
    if source and source.op not in ("open-tree", "new-mount", "inherit"):
        yield 2, f"{mount} is no detached mount"
    if not place:
        return
    if walk.root and place.path is None and not place.own:
        yield 2, f"the target {target} does not descend from the root"
    if not walk.root and place.op != "open":
        yield 2, f"the target {target} is not the place that was opened for the root"


def _cloning_mounts(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 2: whatever is cloned after `root` could have been swapped, unless it was proven."""
    if step.op == "open-tree" and walk.root:
        source = str(step.args[0])
        handle = walk.handles.get(source)
        if handle and not handle.rooted and source not in walk.proven:
            yield 2, f"the source {source} was opened in the container and not proven"
    if step.op == "mask-in" and _text(step, 2) not in walk.nulls:
        yield 2, f"{_text(step, 2)} was not proven to be the null device"


def _proc(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 2: a write to /proc reaches a real procfs, and a file that is the container's own."""
    if step.op not in ("write-proc", "enter-time"):
        return
    handle = walk.handles.get(str(step.args[0]))
    if handle and handle.made != "proc" and not handle.rooted:
        yield 2, f"{_text(step, 0)} is not a procfs of our own"
    if step.op == "write-proc":
        path, data = _text(step, 1), step.args[2]
        assert isinstance(data, bytes)
        if not _is_own(path):
            yield 2, f"{path} does not belong to a namespace or to the process"
        if b"\0" in data or (path.startswith("sys/") and b"\n" in data.rstrip(b"\n")):
            yield 2, f"the value for {path} holds a line break"


def _is_own(path: str) -> bool:
    kind, _, rest = path.partition("/")
    if "+" in path or ".." in path.split("/"):
        return False
    if kind in ("self", "thread-self"):
        return rest.startswith(PROCESS_FILES)
    return kind == "sys" and rest.startswith(NAMESPACED)


def _privileges(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 4: nothing privileged after privileges were dropped, nothing at all after exec."""
    if walk.executed and step.actor == "child":
        yield 4, "a row stands behind exec"
    if walk.unprivileged and step.actor == "child" and step.op not in UNPRIVILEGED:
        yield 4, "it needs privileges that an earlier row has dropped"
    if step.op == "seccomp" and walk.unprivileged and not walk.no_new_privs and not walk.capabilities & CAP_SYS_ADMIN:
        yield 4, "the filter needs CAP_SYS_ADMIN or no-new-privs before it"
    if step.op == "exec" and walk.closed_from < 0:
        yield 4, "descriptors may leak: no close-from stands before exec"
    if step.op == "exec" and (left := set(range(3, walk.closed_from)) - walk.preserved):
        yield 3, f"descriptor {min(left)} would survive exec, and no row put it there"


def _filtered(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 4: every call of a row behind the filter passes it, whatever its arguments."""
    if step.actor != "child":
        return
    audit, numbers = CALLS[walk.machine]
    for filter in walk.filters:  # a later one takes nothing back of an earlier one
        for call in OPERATIONS[step.op].calls:
            if call in numbers and not bpf.actions(filter, audit, numbers[call]) <= {bpf.ALLOW, bpf.LOG}:
                yield 4, f"the filter does not allow {call}"


def _hooks(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 5."""
    previous = walk.previous
    if (
        step.actor == "controller"
        and (previous is None or previous.actor != "controller")
        and not _is_checkpoint(previous)
    ):
        yield 5, "the controller has no checkpoint to work at"
    if step.actor != "controller" and _is_checkpoint(previous) and not _is_pause(previous, step):
        yield 5, "nobody works at the checkpoint before this row"
    if step.op != "hook":
        return
    kind = str(step.args[0])
    if kind not in HOOKS:
        yield 5, f"there is no hook of the kind {kind}"
        return
    if HOOKS.index(kind) < walk.hook:
        yield 5, f"a {kind} hook comes after a {HOOKS[walk.hook]} hook"
    if not walk.cloned:
        yield 5, "a hook runs before the container's namespaces exist"
    if (kind in HOOKS[:3]) == walk.entered:
        yield 5, f"a {kind} hook runs {'after' if walk.entered else 'before'} the root is entered"


def _is_checkpoint(step: Step | None) -> bool:
    return step is not None and step.op == "checkpoint"


def _is_pause(checkpoint: Step | None, following: Step) -> bool:
    """The checkpoint at which `create` returns needs no work of its own."""
    return checkpoint is not None and (checkpoint.args[0] == "created" or following.op == "await-start")


def _makers(walk: Walk, step: Step) -> Iterator[tuple[int, str]]:
    """Rule 6, and nothing may ever show in the host's mount table."""
    if step.op == "new-mount" and step.actor == "host" and step.args[0] not in HOST_FILESYSTEMS:
        yield 6, f"a {_text(step, 0)} made by the host would be the host's, not the container's"
    if step.op == "mount":
        if not walk.private:
            yield 6, "the host's mount table would change: no private mount namespace was unshared"
        if step.args[2] not in HOST_FILESYSTEMS:
            yield 6, f"a {_text(step, 2)} made by the host would be the host's, not the container's"
    if step.op == "clone" and walk.cloned:
        yield 3, "a plan clones once"
    if step.actor in ("parent", "child") and not walk.cloned:
        yield 3, f"there is no {step.actor} before clone"
    if step.actor == "host" and walk.cloned:
        yield 3, "the host half is over after clone"


RULES = (
    *(_slots, _paths, _strictness, _attaching, _cloning_mounts, _proc),
    *(_privileges, _filtered, _hooks, _makers),
)


def _missing(walk: Walk) -> Iterator[tuple[int, str]]:
    """What a whole plan lacks."""
    if walk.root and not walk.entered and walk.executed:
        yield 1, "the root is set but never entered"
    if walk.cloned and not walk.executed:
        yield 4, "the child never becomes a program"


def _advance(walk: Walk, step: Step) -> None:
    """Take a row's effect into account."""
    op, args = step.op, step.args
    walk.previous = step
    if op == "clone":
        walk.cloned = True
    elif op == "unshare" and step.actor == "host":
        walk.private |= bool(_number(step, 0) & CLONE_NEWNS)
    elif op == "root":
        _enter_root(walk, str(args[0]))
    elif op in ENTERING:
        walk.entered = True
    elif op == "close":
        walk.handles.pop(str(args[0]), None)
        for known in (walk.proven, walk.nulls, walk.attached):  # another handle may take the name
            known.discard(str(args[0]))
    elif op == "attach":
        _attach(walk, str(args[0]), str(args[1]))
    elif op == "assert-dev":
        walk.proven.add(str(args[0]))
        if args[1:] == NULL_DEVICE:
            walk.nulls.add(str(args[0]))
    else:
        _advance_process(walk, step)
    if step.slot:
        walk.handles[step.slot] = _made(walk, step)
        if op == "pty-peer":
            walk.proven.add(step.slot)


def _advance_process(walk: Walk, step: Step) -> None:
    op, args = step.op, step.args
    if op == "user":
        walk.unprivileged |= args[0] != 0
    elif op == "capset":
        walk.unprivileged = True
        walk.capabilities = _number(step, 0)
    elif op == "no-new-privs":
        walk.no_new_privs = True
    elif op == "seccomp":
        assert isinstance(args[0], bytes)
        walk.filters += (args[0],)
    elif op == "close-from":
        walk.closed_from = _number(step, 0)
    elif op == "dup":
        walk.preserved.add(_number(step, 1))
    elif op == "exec":
        walk.executed = True
    elif op == "hook" and args[0] in HOOKS:
        walk.hook = max(walk.hook, HOOKS.index(str(args[0])))


def _enter_root(walk: Walk, slot: str) -> None:
    walk.root = slot
    if slot in walk.handles:
        walk.handles[slot] = walk.handles[slot]._replace(path="/")


def _attach(walk: Walk, mount: str, target: str) -> None:
    """The mount's own handle now stands where the target was."""
    walk.attached.add(mount)
    if mount in walk.handles and target in walk.handles:
        walk.handles[mount] = walk.handles[mount]._replace(path=walk.handles[target].path)


def _made(walk: Walk, step: Step) -> Handle:
    path = _place(walk, step) if step.op.endswith("-in") else None
    made = str(step.args[0]) if step.op == "new-mount" and step.actor == "child" else ""
    return Handle(step.actor, step.op, path, made, not walk.root and not step.op.endswith("-in"), _own(walk, step))


def _own(walk: Walk, step: Step) -> bool:
    """Whether the handle is of a place where nothing of the image can be: a new filesystem, attached nowhere yet."""
    directory = walk.handles.get(str(step.args[0])) if step.op == "mountpoint-in" else None
    return bool(directory and directory.made and directory.path is None)
