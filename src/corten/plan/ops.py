# fmt: off
# ruff: noqa: E501
"""One typed constructor per operation of the launch plan, and what the encoder must know of each.

Generated from native/ops.toml by native/generate.py; do not edit. What each operation means to people is in `catalog`.

>>> sethostname("web", why="set in the configuration", origin="/hostname")
"""

from __future__ import annotations

from corten.plan.step import Step

TABLE_HASH = 0x92C0FE7E1658B1F1

# name: (code, bits of the actors that may run it, slot 0 none 1 maybe 2 must, wire letters of the arguments)
SIGNATURES: dict[str, tuple[int, int, int, str]] = {
    "open": (0, 5, 2, "ti"),
    "open-ns": (1, 1, 2, "ti"),
    "open-pidfd": (2, 1, 2, "ii"),
    "ns-handle": (3, 6, 2, "t"),
    "netlink-socket": (4, 5, 2, "i"),
    "inet-socket": (5, 4, 2, "i"),
    "make-userns": (6, 1, 2, "tt"),
    "close": (7, 7, 0, "s"),
    "assert-dev": (8, 5, 0, "sii"),
    "assert-fs": (9, 5, 0, "si"),
    "assert-type": (10, 5, 0, "si"),
    "mkdir": (11, 1, 0, "ti"),
    "make-cgroup": (12, 3, 2, "ttTt"),
    "open-cgroup": (13, 1, 2, "tti"),
    "write-at": (14, 3, 0, "stb"),
    "chown-at": (15, 3, 0, "stii"),
    "attach-cgroup": (16, 7, 0, "st"),
    "attach-devices": (17, 3, 0, "sb"),
    "clone": (18, 1, 2, "io"),
    "setns": (19, 5, 0, "si"),
    "unshare": (20, 5, 0, "i"),
    "enter-time": (21, 4, 0, "s"),
    "write-child": (22, 2, 0, "tb"),
    "sethostname": (23, 4, 0, "t"),
    "setdomainname": (24, 4, 0, "t"),
    "lo-up": (25, 4, 0, ""),
    "chdir-to": (26, 1, 0, "s"),
    "mount": (27, 1, 0, "tttit"),
    "new-mount": (28, 5, 2, "tTTi"),
    "open-tree": (29, 5, 2, "oti"),
    "mount-setattr": (30, 7, 0, "siiioi"),
    "attach": (31, 4, 0, "ss"),
    "root": (32, 4, 0, "s"),
    "open-in": (33, 4, 2, "stii"),
    "mkdir-in": (34, 4, 1, "sti"),
    "create-in": (35, 4, 1, "sti"),
    "mountpoint-in": (36, 4, 2, "stoi"),
    "symlink-in": (37, 4, 0, "stt"),
    "mknod-in": (38, 4, 0, "stiiiii"),
    "mask-in": (39, 4, 0, "stsi"),
    "readonly-in": (40, 4, 0, "sti"),
    "copy-up": (41, 4, 0, "ss"),
    "pivot": (42, 4, 0, "s"),
    "move-root": (43, 4, 0, "s"),
    "chroot": (44, 4, 0, "s"),
    "write-proc": (45, 4, 0, "stb"),
    "pty-peer": (46, 4, 2, "s"),
    "window-size": (47, 4, 0, "sii"),
    "setsid": (48, 4, 0, ""),
    "set-ctty": (49, 4, 0, "s"),
    "dup": (50, 4, 0, "si"),
    "chown": (51, 4, 0, "sii"),
    "send-fd": (52, 6, 0, "sst"),
    "close-from": (53, 4, 0, "i"),
    "report": (54, 2, 0, "so"),
    "checkpoint": (55, 6, 0, "tS"),
    "await-start": (56, 4, 0, "o"),
    "dumpable": (57, 5, 0, "i"),
    "rlimit": (58, 6, 0, "iii"),
    "scheduler": (59, 6, 0, "iiiiiii"),
    "ioprio": (60, 6, 0, "i"),
    "affinity": (61, 7, 0, "b"),
    "mempolicy": (62, 4, 0, "ib"),
    "personality": (63, 4, 0, "i"),
    "keyring": (64, 4, 0, "t"),
    "umask": (65, 4, 0, "i"),
    "groups": (66, 4, 0, "d"),
    "user": (67, 4, 0, "ii"),
    "bounding": (68, 4, 0, "i"),
    "keep-caps": (69, 4, 0, "i"),
    "capset": (70, 4, 0, "iii"),
    "ambient": (71, 4, 0, "i"),
    "no-new-privs": (72, 4, 0, ""),
    "chdir": (73, 4, 0, "t"),
    "find-home": (74, 4, 0, "i"),
    "find-program": (75, 4, 0, "tT"),
    "seccomp": (76, 4, 1, "bi"),
    "exec": (77, 4, 0, "TT"),
    "write-state": (78, 8, 0, "t"),
    "start-unit": (79, 8, 0, "tt"),
    "map-users": (80, 8, 0, "tt"),
    "connect-network": (81, 8, 0, ""),
    "move-netdev": (82, 8, 0, "tt"),
    "send-listener": (83, 8, 0, "tt"),
    "hook": (84, 8, 0, "ttTTi"),
}
ACTORS = {"host": 1, "parent": 2, "child": 4, "controller": 8}


def open(path: str, flags: int, *, slot: str, actor: str = "host", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Open a host path, so that later rows work on the object and not on a name that may change."""
    return Step("open", (path, flags,), slot, actor, accept, why, origin)


def open_ns(path: str, kind: int, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Open a namespace to join and verify by ioctl that it is of the type the configuration says."""
    return Step("open-ns", (path, kind,), slot, "host", (), why, origin)


def open_pidfd(pid: int, start: int, *, slot: str, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Get a handle of a running process and verify its start time, because a process id may have been reused."""
    return Step("open-pidfd", (pid, start,), slot, "host", accept, why, origin)


def ns_handle(kind: str, *, slot: str, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Open the container's own namespace, to hand it to the controller or to map a mount by it."""
    return Step("ns-handle", (kind,), slot, actor, (), why, origin)


def netlink_socket(protocol: int, *, slot: str, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Open a netlink socket in this network namespace; a socket keeps its namespace wherever it is sent."""
    return Step("netlink-socket", (protocol,), slot, actor, (), why, origin)


def inet_socket(kind: int, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Open a TCP (1) or UDP (2) socket in this network namespace, for the controller to bind and serve."""
    return Step("inet-socket", (kind,), slot, "child", (), why, origin)


def make_userns(uid_map: str, gid_map: str, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Make a user namespace that only carries an id mapping, for an id-mapped mount."""
    return Step("make-userns", (uid_map, gid_map,), slot, "host", (), why, origin)


def close(fd: str, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Close a descriptor that no later row needs."""
    return Step("close", (fd,), "", actor, (), why, origin)


def assert_dev(fd: str, major: int, minor: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Refuse to go on unless the handle is this very device: the image may have put something else at its name (CVE-2025-31133)."""
    return Step("assert-dev", (fd, major, minor,), "", actor, (), why, origin)


def assert_fs(fd: str, magic: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Refuse to go on unless the handle lies on this type of filesystem: a fake procfs must not receive our writes (CVE-2025-52881)."""
    return Step("assert-fs", (fd, magic,), "", actor, (), why, origin)


def assert_type(fd: str, kind: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Refuse to go on unless the handle is a file of this type."""
    return Step("assert-type", (fd, kind,), "", actor, (), why, origin)


def mkdir(path: str, mode: int, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Make a directory of the host: a cgroup, a resctrl group, a mount point of the state directory."""
    return Step("mkdir", (path, mode,), "", "host", accept, why, origin)


def make_cgroup(base: str, path: str, copy: tuple[str, ...], enable: str, *, slot: str, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Make a cgroup with its missing parents and open it. On the way down each gets its parent's value of the files to copy (a new v1 cpuset is empty and takes no process), and v2 passes its controllers on; one that holds processes itself refuses that, which is accepted."""
    return Step("make-cgroup", (base, path, copy, enable,), slot, actor, (), why, origin)


def open_cgroup(base: str, path: str, pid: int, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Open the cgroup of a running container, to be born in it or to move into it; no link is followed. A v2 cgroup that passes controllers on takes no process: then the one below it in which the container's first process is."""
    return Step("open-cgroup", (base, path, pid,), slot, "host", (), why, origin)


def write_at(dir: str, name: str, data: bytes, *, actor: str = "host", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Write a control file below a directory handle, in one write: a cgroup limit, subtree_control, a resctrl schemata."""
    return Step("write-at", (dir, name, data,), "", actor, accept, why, origin)


def chown_at(dir: str, name: str, uid: int, gid: int, *, actor: str = "host", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Give a control file, or with no name the directory itself, to the container's root: cgroup delegation."""
    return Step("chown-at", (dir, name, uid, gid,), "", actor, accept, why, origin)


def attach_cgroup(dir: str, file: str, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Move the container's process (as parent) or this one (as host, child) into a cgroup or a resctrl group."""
    return Step("attach-cgroup", (dir, file,), "", actor, (), why, origin)


def attach_devices(cgroup: str, program: bytes, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Load an eBPF program that decides about device access and attach it to a cgroup v2."""
    return Step("attach-devices", (cgroup, program,), "", actor, (), why, origin)


def clone(flags: int, cgroup: str, *, slot: str, why: str = "", origin: str = "") -> Step:
    """The container begins here: a child in new namespaces, born inside its cgroup where cgroup v2 allows it; yields its pidfd."""
    return Step("clone", (flags, cgroup,), slot, "host", (), why, origin)


def setns(ns: str, kinds: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Join existing namespaces, by a namespace's descriptor or several at once by a pidfd."""
    return Step("setns", (ns, kinds,), "", actor, (), why, origin)


def unshare(kinds: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Leave namespaces for new ones; as host, a private mount namespace in which an overlay is put together unseen."""
    return Step("unshare", (kinds,), "", actor, (), why, origin)


def enter_time(proc: str, *, why: str = "", origin: str = "") -> Step:
    """Join the time namespace made by `unshare time`, once its offsets are written."""
    return Step("enter-time", (proc,), "", "child", (), why, origin)


def write_child(file: str, data: bytes, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Write a file of the child's /proc directory from outside: uid_map, gid_map, setgroups, oom_score_adj."""
    return Step("write-child", (file, data,), "", "parent", accept, why, origin)


def sethostname(name: str, *, why: str = "", origin: str = "") -> Step:
    """Set the host name of the new UTS namespace."""
    return Step("sethostname", (name,), "", "child", (), why, origin)


def setdomainname(name: str, *, why: str = "", origin: str = "") -> Step:
    """Set the NIS domain name of the new UTS namespace."""
    return Step("setdomainname", (name,), "", "child", (), why, origin)


def lo_up(*, why: str = "", origin: str = "") -> Step:
    """Bring the loopback device of the new network namespace up."""
    return Step("lo-up", (), "", "child", (), why, origin)


def chdir_to(dir: str, *, why: str = "", origin: str = "") -> Step:
    """Change to a directory so that an overlay's lower names can be short and relative."""
    return Step("chdir-to", (dir,), "", "host", (), why, origin)


def mount(source: str, target: str, kind: str, flags: int, data: str, *, why: str = "", origin: str = "") -> Step:
    """The old mount call, only inside a private mount namespace of the host half: options longer than 256 bytes need it."""
    return Step("mount", (source, target, kind, flags, data,), "", "host", (), why, origin)


def new_mount(kind: str, options: tuple[str, ...], switches: tuple[str, ...], attributes: int, *, slot: str, actor: str = "host", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Make a new filesystem as a detached mount; `options` alternates keys and values, `switches` are the keys without a value."""
    return Step("new-mount", (kind, options, switches, attributes,), slot, actor, accept, why, origin)


def open_tree(dir: str, path: str, recursive: int, *, slot: str, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Clone a mount, or a directory of one, as a detached mount: the source of a bind mount, taken before anything can be swapped."""
    return Step("open-tree", (dir, path, recursive,), slot, actor, (), why, origin)


def mount_setattr(mount: str, set: int, clear: int, propagation: int, userns: str, recursive: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Change a mount by its handle: read-only, nosuid and the like, its propagation, or an id mapping."""
    return Step("mount-setattr", (mount, set, clear, propagation, userns, recursive,), "", actor, (), why, origin)


def attach(mount: str, target: str, *, why: str = "", origin: str = "") -> Step:
    """Attach a detached mount at a target handle: no name is looked up, so no symbolic link can lead it astray (CVE-2021-30465)."""
    return Step("attach", (mount, target,), "", "child", (), why, origin)


def root(dir: str, *, why: str = "", origin: str = "") -> Step:
    """From here every path is one of the container's and resolves below this handle; no row may name a host path any more."""
    return Step("root", (dir,), "", "child", (), why, origin)


def open_in(dir: str, path: str, flags: int, strict: int, *, slot: str, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Open a container path without ever leaving its root; strict (below /proc, /sys, /dev) follows no symbolic link at all."""
    return Step("open-in", (dir, path, flags, strict,), slot, "child", accept, why, origin)


def mkdir_in(dir: str, path: str, mode: int, *, slot: str = "", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Make a directory of the container with its missing parents, inside its root."""
    return Step("mkdir-in", (dir, path, mode,), slot, "child", accept, why, origin)


def create_in(dir: str, path: str, mode: int, *, slot: str = "", why: str = "", origin: str = "") -> Step:
    """Make an empty file of the container, with its missing parents, unless it is there."""
    return Step("create-in", (dir, path, mode,), slot, "child", (), why, origin)


def mountpoint_in(dir: str, path: str, like: str, strict: int, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Open the target of a mount, making a file or a directory as the source is one (a directory without a source)."""
    return Step("mountpoint-in", (dir, path, like, strict,), slot, "child", (), why, origin)


def symlink_in(dir: str, target: str, path: str, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Make a symbolic link of the container, such as /dev/fd."""
    return Step("symlink-in", (dir, target, path,), "", "child", accept, why, origin)


def mknod_in(dir: str, path: str, mode: int, major: int, minor: int, uid: int, gid: int, *, why: str = "", origin: str = "") -> Step:
    """Make a device node of the container; the same device already there is fine, anything else is an error."""
    return Step("mknod-in", (dir, path, mode, major, minor, uid, gid,), "", "child", (), why, origin)


def mask_in(dir: str, path: str, null: str, strict: int, *, why: str = "", origin: str = "") -> Step:
    """Hide a path of the kernel: an empty read-only tmpfs over a directory, the verified null device over a file; absent is fine."""
    return Step("mask-in", (dir, path, null, strict,), "", "child", (), why, origin)


def readonly_in(dir: str, path: str, strict: int, *, why: str = "", origin: str = "") -> Step:
    """Make a path read-only by a clone of itself mounted over it; absent is fine."""
    return Step("readonly-in", (dir, path, strict,), "", "child", (), why, origin)


def copy_up(source: str, target: str, *, why: str = "", origin: str = "") -> Step:
    """Copy what the image holds at a mount point into the fresh tmpfs that will hide it (tmpcopyup)."""
    return Step("copy-up", (source, target,), "", "child", (), why, origin)


def pivot(root: str, *, why: str = "", origin: str = "") -> Step:
    """Make the container's root the root of the mount namespace and drop the host's tree from it."""
    return Step("pivot", (root,), "", "child", (), why, origin)


def move_root(root: str, *, why: str = "", origin: str = "") -> Step:
    """Where pivot_root is impossible (the host's root is a ramdisk): move the container's root over / and chroot into it."""
    return Step("move-root", (root,), "", "child", (), why, origin)


def chroot(root: str, *, why: str = "", origin: str = "") -> Step:
    """Change the root directory only: for a container that shares the mount namespace."""
    return Step("chroot", (root,), "", "child", (), why, origin)


def write_proc(proc: str, path: str, data: bytes, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Write a sysctl, a security label or an attribute through our own procfs, verified to be one (CVE-2025-52881)."""
    return Step("write-proc", (proc, path, data,), "", "child", accept, why, origin)


def pty_peer(master: str, *, slot: str, why: str = "", origin: str = "") -> Step:
    """Unlock a pseudo-terminal and open its other end by handle, never by the name /dev/pts/N (CVE-2025-52565)."""
    return Step("pty-peer", (master,), slot, "child", (), why, origin)


def window_size(terminal: str, rows: int, columns: int, *, why: str = "", origin: str = "") -> Step:
    """Set the size of the terminal, as consoleSize or the client asks."""
    return Step("window-size", (terminal, rows, columns,), "", "child", (), why, origin)


def setsid(*, why: str = "", origin: str = "") -> Step:
    """Become the leader of a new session, without a controlling terminal."""
    return Step("setsid", (), "", "child", (), why, origin)


def set_ctty(terminal: str, *, why: str = "", origin: str = "") -> Step:
    """Make the terminal the controlling one of this session."""
    return Step("set-ctty", (terminal,), "", "child", (), why, origin)


def dup(fd: str, number: int, *, why: str = "", origin: str = "") -> Step:
    """Put a descriptor at a fixed number that the process will inherit: standard streams, preserved descriptors."""
    return Step("dup", (fd, number,), "", "child", (), why, origin)


def chown(fd: str, uid: int, gid: int, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Give a stream or a terminal to the container's user, so that it can be reopened by /dev/stdout."""
    return Step("chown", (fd, uid, gid,), "", "child", accept, why, origin)


def send_fd(socket: str, fd: str, text: str, *, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Send a descriptor over a socket: the terminal's master to the console socket, the pidfd to the pidfd socket."""
    return Step("send-fd", (socket, fd, text,), "", actor, (), why, origin)


def close_from(first: int, *, why: str = "", origin: str = "") -> Step:
    """Mark every descriptor from a number on to be closed by exec, known to us or not (CVE-2024-21626)."""
    return Step("close-from", (first,), "", "child", (), why, origin)


def report(pidfd: str, file: str, *, why: str = "", origin: str = "") -> Step:
    """Tell the controller the process id and the pidfd, and write the id to a descriptor if one was given."""
    return Step("report", (pidfd, file,), "", "parent", (), why, origin)


def checkpoint(name: str, fds: tuple[str, ...], *, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Tell the controller how far we are, with descriptors if it needs any, and wait for its word to go on."""
    return Step("checkpoint", (name, fds,), "", actor, (), why, origin)


def await_start(listener: str, *, why: str = "", origin: str = "") -> Step:
    """The container is created: wait until `start` connects (or says so on the control socket); later errors go to it."""
    return Step("await-start", (listener,), "", "child", (), why, origin)


def dumpable(value: int, *, actor: str = "host", why: str = "", origin: str = "") -> Step:
    """Whether processes of the container may trace us or look into our /proc directory while we join it (CVE-2016-9962)."""
    return Step("dumpable", (value,), "", actor, (), why, origin)


def rlimit(resource: int, soft: int, hard: int, *, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Set a resource limit; the parent half sets those that need the host's privileges."""
    return Step("rlimit", (resource, soft, hard,), "", actor, (), why, origin)


def scheduler(policy: int, flags: int, nice: int, priority: int, runtime: int, deadline: int, period: int, *, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Set the scheduling policy and its parameters."""
    return Step("scheduler", (policy, flags, nice, priority, runtime, deadline, period,), "", actor, (), why, origin)


def ioprio(value: int, *, actor: str = "parent", why: str = "", origin: str = "") -> Step:
    """Set the I/O scheduling class and priority."""
    return Step("ioprio", (value,), "", actor, (), why, origin)


def affinity(mask: bytes, *, actor: str = "host", accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Restrict the process to some processors, before or after it joins its cgroup."""
    return Step("affinity", (mask,), "", actor, accept, why, origin)


def mempolicy(mode: int, nodes: bytes, *, why: str = "", origin: str = "") -> Step:
    """Set the NUMA memory policy of the process."""
    return Step("mempolicy", (mode, nodes,), "", "child", (), why, origin)


def personality(value: int, *, why: str = "", origin: str = "") -> Step:
    """Set the execution domain, such as a 32-bit uname on a 64-bit kernel."""
    return Step("personality", (value,), "", "child", (), why, origin)


def keyring(id: str, *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Join a session keyring of the container's own, so that it cannot read the caller's keys."""
    return Step("keyring", (id,), "", "child", accept, why, origin)


def umask(mask: int, *, why: str = "", origin: str = "") -> Step:
    """Set the file mode creation mask of the process."""
    return Step("umask", (mask,), "", "child", (), why, origin)


def groups(gids: tuple[int, ...], *, accept: tuple[int, ...] = (), why: str = "", origin: str = "") -> Step:
    """Set the supplementary groups, dropping those of whoever called us."""
    return Step("groups", (gids,), "", "child", accept, why, origin)


def user(uid: int, gid: int, *, why: str = "", origin: str = "") -> Step:
    """Become the process's user and group."""
    return Step("user", (uid, gid,), "", "child", (), why, origin)


def bounding(keep: int, *, why: str = "", origin: str = "") -> Step:
    """Drop every capability that is not listed from the bounding set: no exec can ever gain it."""
    return Step("bounding", (keep,), "", "child", (), why, origin)


def keep_caps(value: int, *, why: str = "", origin: str = "") -> Step:
    """Keep the permitted capabilities while the user changes."""
    return Step("keep-caps", (value,), "", "child", (), why, origin)


def capset(effective: int, permitted: int, inheritable: int, *, why: str = "", origin: str = "") -> Step:
    """Set the effective, permitted and inheritable capabilities."""
    return Step("capset", (effective, permitted, inheritable,), "", "child", (), why, origin)


def ambient(keep: int, *, why: str = "", origin: str = "") -> Step:
    """Set the ambient capabilities, which survive exec without file capabilities."""
    return Step("ambient", (keep,), "", "child", (), why, origin)


def no_new_privs(*, why: str = "", origin: str = "") -> Step:
    """No exec may gain privileges any more, by set-user-ID files or file capabilities."""
    return Step("no-new-privs", (), "", "child", (), why, origin)


def chdir(path: str, *, why: str = "", origin: str = "") -> Step:
    """Change to the working directory as the container's user, and verify that it lies inside the root (CVE-2024-21626)."""
    return Step("chdir", (path,), "", "child", (), why, origin)


def find_home(uid: int, *, why: str = "", origin: str = "") -> Step:
    """Look the user's home directory up in the container's own /etc/passwd, resolved inside its root; `exec` puts it in the place of the HOME that the plan lists."""
    return Step("find-home", (uid,), "", "child", (), why, origin)


def find_program(name: str, directories: tuple[str, ...], *, why: str = "", origin: str = "") -> Step:
    """Choose the first executable file of this name in the directories of PATH, or the path itself when the name has a slash; its absence is reported before the container counts as created."""
    return Step("find-program", (name, directories,), "", "child", (), why, origin)


def seccomp(filter: bytes, flags: int, *, slot: str = "", why: str = "", origin: str = "") -> Step:
    """Load the system call filter; every later row must pass it. With the listener flag it yields the notification descriptor."""
    return Step("seccomp", (filter, flags,), slot, "child", (), why, origin)


def exec(argv: tuple[str, ...], env: tuple[str, ...], *, why: str = "", origin: str = "") -> Step:
    """Become the container's program: the one that `find-program` chose, else the first argument."""
    return Step("exec", (argv, env,), "", "child", (), why, origin)


def write_state(status: str, *, why: str = "", origin: str = "") -> Step:
    """Write the container's state, atomically, before anyone may rely on it."""
    return Step("write-state", (status,), "", "controller", (), why, origin)


def start_unit(unit: str, slice: str, *, why: str = "", origin: str = "") -> Step:
    """Ask systemd by D-Bus for a transient unit around the container's process, with its limits as properties, and wait until the cgroup is there."""
    return Step("start-unit", (unit, slice,), "", "controller", (), why, origin)


def map_users(uid_map: str, gid_map: str, *, why: str = "", origin: str = "") -> Step:
    """Map subordinate id ranges by the set-user-ID programs newuidmap and newgidmap, as an ordinary user must."""
    return Step("map-users", (uid_map, gid_map,), "", "controller", (), why, origin)


def connect_network(*, why: str = "", origin: str = "") -> Step:
    """Join the new network namespace to its networks, over the netlink socket that the checkpoint carried."""
    return Step("connect-network", (), "", "controller", (), why, origin)


def move_netdev(name: str, renamed: str, *, why: str = "", origin: str = "") -> Step:
    """Move a network device of the host into the container with its addresses, and bring it up."""
    return Step("move-netdev", (name, renamed,), "", "controller", (), why, origin)


def send_listener(path: str, metadata: str, *, why: str = "", origin: str = "") -> Step:
    """Send the notification descriptor with the container's state to the seccomp agent."""
    return Step("send-listener", (path, metadata,), "", "controller", (), why, origin)


def hook(kind: str, path: str, argv: tuple[str, ...], env: tuple[str, ...], timeout: int, *, why: str = "", origin: str = "") -> Step:
    """Run a hook with the state on its standard input; startContainer and createContainer hooks run in the container's namespaces."""
    return Step("hook", (kind, path, argv, env, timeout,), "", "controller", (), why, origin)
