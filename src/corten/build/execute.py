"""RUN: one command on an active snapshot, through the same spec, plan and monitor as `corten run`.

stubs below, mounts ready, network reserved → spec → tasks.create → output, piece by piece → exit code
"""

import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from corten import spec
from corten.build import mounts, stubs, tree
from corten.build.graph import Exec
from corten.build.mounts import Mounted
from corten.build.stubs import Stub
from corten.build.tools import Host, Tools
from corten.model import lowerdir
from corten.model.cancel import Cancel
from corten.model.container import HostConfig
from corten.model.errors import CortenError, Unimplemented
from corten.model.mount import Mount
from corten.model.runtime_spec import RuntimeSpec
from corten.model.whiteout import Form
from corten.network import Reservation, SandboxRequest
from corten.spec import Option, capabilities, options, resources, seccomp, user
from corten.tasks import AttachOptions, Task, TaskConfig
from corten.wire import stdcopy

__all__ = ["PREFIX", "RunFailed", "Surroundings", "execute"]

PREFIX = "build-"
PIECE = 1 << 16
BOUND = ("bind", "rprivate")
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
Told = Callable[[int, bytes], None]


class RunFailed(CortenError):
    """The command ended with `code`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, hint="its output stands above")
        self.code = code


class Surroundings(NamedTuple):
    """What a RUN gets beside its own operation: limits, and where its mounts come from."""

    limits: HostConfig
    sources: mounts.Sources


def execute(tools: Tools, op: Exec, snapshot: str, around: Surroundings, told: Told, cancel: Cancel) -> None:
    """Run `op` on the active snapshot; its output goes to `told` (1 stdout, 2 stderr). RunFailed for a code but 0."""
    identity = PREFIX + secrets.token_hex(16)
    with ExitStack() as undo:
        ready = [mounts.mounted(one, around.sources, undo) for one in op.mounts]
        network = undo.enter_context(reserved(tools, op, identity, around.limits))
        files = undo.enter_context(resolver_files(tools, network))
        between = undo.enter_context(layer_between(tools, snapshot))
        with tree.writable(between.mount) as root:
            who = user.lookup(root, op.user)
            built = specification(tools.host, op, identity, network, who, [*files, *ready], around.limits)
            stubs.make(root, [*stubs.needed(places(built)), Stub(op.cwd, is_directory=True)])
        code = run(tools, built, identity, network, rootfs(tools, snapshot, between.path), told, cancel)
    if code:
        raise RunFailed(f"The command '{' '.join(op.args)}' returned a non-zero code: {code}", code)


class Between(NamedTuple):
    """The layer of the stubs: its own directory, and the mount that shows it on the image's files."""

    path: str
    mount: Mount


@contextmanager
def layer_between(tools: Tools, snapshot: str) -> Iterator[Between]:
    parent = tools.snapshots.stat(snapshot).parent
    key = f"build stubs {secrets.token_hex(8)}"
    (mount,) = tools.snapshots.prepare(key, parent)
    try:
        yield Between(str(tools.snapshots.changes(key).path), mount)
    finally:
        tools.snapshots.remove(key)


def rootfs(tools: Tools, snapshot: str, between: str) -> Mount:
    """The snapshot's own mount, with the layer of the stubs below what it writes."""
    changes = tools.snapshots.changes(snapshot)
    if changes.form is Form.PLAIN:
        raise Unimplemented("cannot RUN: the builder needs overlayfs below the engine's root, which is not there")
    lowers = lowerdir.join([between, *map(str, changes.lowers)])
    work = changes.path.parent / "work"
    return Mount("overlay", "overlay", (f"lowerdir={lowers}", f"upperdir={changes.path}", f"workdir={work}"))


@contextmanager
def reserved(tools: Tools, op: Exec, identity: str, limits: HostConfig) -> Iterator[Reservation]:
    mode = op.network if op.network not in ("", "default") else "bridge"
    made = tools.networks.reserve(
        SandboxRequest(
            container_id=identity,
            name=identity[:20],
            hostname=identity[:12],
            mode=mode,
            extra_hosts=list(limits.extra_hosts or ()),
            dns=list(limits.dns or ()),
        )
    )
    try:
        yield made
    finally:
        made.close_fds()
        tools.networks.release(identity)


@contextmanager
def resolver_files(tools: Tools, network: Reservation) -> Iterator[list[Mounted]]:
    """/etc/hosts and its kin for this RUN alone, in memory."""
    contents = {
        "hosts": network.files.hosts,
        "resolv.conf": network.files.resolv_conf,
        "hostname": network.files.hostname,
    }
    with TemporaryDirectory(prefix="files-", dir=tools.run) as place:
        found = []
        for name, content in contents.items():
            path = Path(place, name)
            path.write_bytes(content or own_file(f"/etc/{name}"))
            path.chmod(0o644)
            found.append(Mounted(f"/etc/{name}", options.bind(str(path), f"/etc/{name}", BOUND), is_directory=False))
        yield found


def own_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def specification(
    host: Host,
    op: Exec,
    identity: str,
    network: Reservation,
    who: user.Identity,
    mounted: list[Mounted],
    limits: HostConfig,
) -> RuntimeSpec:
    """What the runtime is asked for: Docker's defaults, without a terminal, and the RUN's own mounts."""
    held = [name for name in capabilities.chosen((), (), privileged=False) if name in host.bounding]
    filtered = seccomp.default(frozenset(held), host.machine, host.kernel)
    folded: list[Option] = [
        options.root("rootfs"),
        options.process(op.args, cwd=op.cwd),
        options.environment([*op.hidden_env, *op.env, *(one.env for one in mounted if one.env)]),
        options.identity(who),
        *namespaces(host, identity, network),
        options.capabilities(held),
        options.seccomp(filtered),
        options.resources(resources.resources(limits)),
        options.rlimits(limits.ulimits or ()),
        options.cgroup(f"{limits.cgroup_parent or host.cgroup_parent}/{identity}"),
    ]
    if limits.shm_size:
        folded.append(options.shm_size(limits.shm_size))
    in_order = sorted(mounted, key=lambda one: one.target.count("/"))
    return spec.build(*folded, *(one.option for one in in_order if one.option))


def namespaces(host: Host, identity: str, network: Reservation) -> Iterator[Option]:
    if network.netns == "host":
        yield options.namespace("network", host=True)
    else:
        yield options.sysctls(SYSCTLS)
    if host.cgroup_v2:
        yield options.namespace("cgroup")
    yield options.hostname(identity[:12])


def places(built: RuntimeSpec) -> list[Stub]:
    """Where the spec mounts something."""
    found = []
    for mount in built["mounts"]:
        is_file = mount.get("type") == "bind" and not os.path.isdir(mount.get("source", ""))
        found.append(Stub(mount["destination"], not is_file))
    return found


def run(
    tools: Tools, built: RuntimeSpec, identity: str, network: Reservation, root: Mount, told: Told, cancel: Cancel
) -> int:
    """Launch the command, pass its output on until it ends, and answer its exit code."""
    on_network = partial(tools.networks.join, identity) if network.netns == "new" else None
    with TemporaryDirectory(prefix="bundle-", dir=tools.run) as bundle:
        config = TaskConfig(id=identity, bundle=bundle, rootfs=(root,))
        task = tools.tasks.create(built, config, on_network=on_network, cancel=cancel)
        try:
            ours, theirs = socket.socketpair()
            with ours:
                try:
                    task.attach(theirs.fileno(), AttachOptions(stdout=True, stderr=True))
                finally:
                    theirs.close()
                task.start()
                cancel.on_set(partial(stop, task))
                follow(ours, told)
            ended = task.wait()
            cancel.check()
            return ended.code if ended else 255
        finally:
            task.delete(force=True)


def stop(task: Task) -> None:
    with suppress(CortenError, OSError):
        task.kill(signal.SIGKILL, all=True)


def follow(output: socket.socket, told: Told) -> None:
    """Pass on what the monitor frames, until it closes."""
    decoder = stdcopy.Decoder()
    while piece := output.recv(PIECE):
        for stream, data in decoder.feed(piece):
            told(stream, data)
