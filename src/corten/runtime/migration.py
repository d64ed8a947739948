"""Save a container's processes and make them again: CRIU, with what it needs around it.

The restore is a launch like any other. Its plan makes the cgroups with their limits, mounts the root file system in a
mount namespace that nobody else sees, and executes CRIU there, whose children the restored processes are not: they
become ours, so that `restore` in the foreground can wait for them.
"""

from __future__ import annotations

import os

from corten.kernel import program
from corten.model.errors import Conflict, FailedPrecondition, Unimplemented
from corten.plan import flags, ops
from corten.runtime import criu
from corten.runtime.compiler import control_groups
from corten.runtime.compiler.draft import Draft
from corten.runtime.container import Container, read_config, record_of
from corten.runtime.launch import Launch
from corten.runtime.state import start_time
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from corten.kernel.probe import Host
    from corten.plan.step import LaunchPlan
    from corten.runtime.container import Request
    from corten.runtime.criu import Images
    from corten.runtime.state import Store

__all__ = ["checkpoint", "restored"]

_SAVED = "corten.json"
_ENV = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def checkpoint(container: Container, binary: str, images: Images, wanted: Mapping[str, str]) -> None:
    """Save the container into `images`. Without ``leave-running`` or ``pre-dump`` it has ended then, and is deleted."""
    record = container.entry.record()
    if container.status() not in ("running", "paused"):
        raise Conflict("container not running", hint="only what runs can be saved", place=container.id)
    spec = container.entry.spec()
    _refuse_terminal(spec)
    for directory in (images.directory, images.work):
        os.makedirs(directory, 0o700, exist_ok=True)
    with open(f"/proc/{record['pid']}/mountinfo") as file:
        externals = criu.external_mounts(file.read())
    mounts = criu.sources(spec, record["bundle"], externals)
    saved = {"mounts": mounts, "streams": criu.streams(record["pid"])}
    with open(f"{images.directory}/{_SAVED}", "wb") as target:
        target.write(codec.dumps(saved).encode())
    freezer = "" if record["fallback"] else container.cgroups(record).directory("freezer")
    words = criu.dump(record["pid"], images, wanted, freezer=freezer, saved=saved)
    _run([binary, *words], f"{images.work}/dump.log", "dump")
    if not {"leave-running", "pre-dump"} & wanted.keys():
        container.delete(force=True)


def restored(
    store: Store,
    id: str,
    request: Request,
    host: Host,
    *,
    binary: str,
    images: Images,
    wanted: Mapping[str, str],
    bundle: str,
) -> tuple[Container, int]:
    """Make the container `id` from `images`; it and the number of its first process, a child of ours."""
    spec = read_config(request.config)
    _refuse_terminal(spec)
    try:
        with open(f"{images.directory}/{_SAVED}", "rb") as file:
            saved = codec.loads(file.read())
    except FileNotFoundError as error:
        hint = "make one with: corten-runtime checkpoint --image-path DIR ID"
        raise FailedPrecondition(f"cannot restore: {images.directory} holds no checkpoint", hint=hint) from error
    container = Container(store.make(id), host)
    entry = container.entry
    try:
        options = request.options(spec, listener=False)
        record = record_of(container, spec, request, options, bundle)
        entry.write("config.json", request.config)
        entry.write("state.json", codec.dumps(record).encode())
        entry.link("status", "state.json")
        os.makedirs(images.work, 0o700, exist_ok=True)
        os.mkdir(f"{entry.path}/root", 0o700)
        pid_file = f"{entry.path}/criu.pid"
        words = criu.restore(images, wanted, root=f"{entry.path}/root", pid_file=pid_file, saved=saved)
        draft = Draft(spec, host, options, bundle=bundle, id=id)
        plan = _around(draft, f"{entry.path}/root", [binary, *words])
        _launch(plan, f"{images.work}/restore.log")
        with open(pid_file) as text:
            pid = int(text.read())
        record |= {"status": "created", "pid": pid, "start": start_time(pid)}
        entry.write("state.json", codec.dumps(record).encode())
    except BaseException:
        container.cgroups(entry.record()).delete()
        entry.remove()
        raise
    return container, pid


def _around(draft: Draft, place: str, argv: list[str]) -> LaunchPlan:
    """Cgroups with their limits, then a mount namespace with the root file system at `place`, and CRIU in it."""
    control_groups.make(draft)
    path = draft.root_path
    draft.before.append(ops.open_tree("", path, 1, slot="root", origin="/root/path"))
    draft.before.append(ops.clone(flags.CLONE_PARENT | flags.CLONE_NEWNS, "", slot="pidfd"))
    draft.parent.append(ops.report("pidfd", ""))
    bits = flags.O_PATH | flags.O_DIRECTORY
    draft.child += [
        ops.open("/", bits, slot="old-root", actor="child"),
        ops.mount_setattr("old-root", 0, 0, flags.MS_SLAVE, "", 1, actor="child", why="nothing travels to the host"),
        ops.open(place, bits, slot="place", actor="child"),
        ops.attach("root", "place", why="CRIU wants the root file system to be a mount"),
        ops.umask(0o022),
        ops.close_from(3),
        ops.find_program(argv[0], ()),
        ops.exec(tuple(argv), _ENV),
    ]
    return draft.plan()


def _launch(plan: LaunchPlan, log: str) -> None:
    launch = Launch.spawn(plan, program=program.path(), fds={})
    launch.until("", lambda _, __: None)
    launch.close()
    status = os.waitstatus_to_exitcode(os.waitpid(launch.pid, 0)[1])
    os.close(launch.pidfd)
    if status:
        raise _failed("restore", status, log)


def _run(argv: list[str], log: str, what: str) -> None:
    pid = os.posix_spawn(argv[0], argv, os.environ)
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise _failed(what, status, log)


def _failed(what: str, status: int, log: str) -> FailedPrecondition:
    """With CRIU's own first complaint, which is the cause; the later ones follow from it."""
    try:
        with open(log, errors="replace") as file:
            errors = [line.split("Error ", 1)[1].strip() for line in file if "Error " in line and "rlimit" not in line]
    except FileNotFoundError:
        errors = []
    said = f": {errors[0]}" if errors else ""
    return FailedPrecondition(f"criu failed: type {what.upper()} status {status}{said}", hint=f"see {log}")


def _refuse_terminal(spec: Mapping[str, Any]) -> None:
    if (spec.get("process") or {}).get("terminal"):
        raise Unimplemented("cannot checkpoint or restore a container with a terminal", place="/process/terminal")
