"""`start`: from a record to a running process.

    reserve addresses and ports → write hosts, resolv.conf, hostname → find the user → build the spec
    → the monitor creates the process, the network joins its namespace → start → record it

Each step has its undoing; a failure runs them in reverse and leaves the container as it was, with the reason in its
state.
"""

import os
from contextlib import ExitStack, suppress
from functools import partial

from corten.engine import health, lifecycle, links, rootfs, runtimes, sandbox, sharedmemory, specification
from corten.engine.attach import hand_over
from corten.engine.launchfailure import explained
from corten.engine.record import Container, MountPoint
from corten.engine.services import Services, commit, event, now, volume_events
from corten.engine.specification import Mounted, Surroundings
from corten.engine.story import Chapters
from corten.kernel import rooted
from corten.model.errors import Conflict, CortenError, InvalidArgument, NotModified, ResourceExhausted
from corten.model.runtime_spec import RuntimeSpec
from corten.spec import user
from corten.tasks import LogFile, Task, TaskConfig

__all__ = ["launch", "start"]

DEFAULT_LOG_SIZE = 20 << 20
DEFAULT_LOG_FILES = 5


def start(services: Services, reference: str) -> None:
    """Start a container that does not run. Raises NotModified when it does."""
    container = services.catalog.find(reference)
    with container.lock:
        if container.state.status in ("running", "restarting"):
            raise NotModified(f"container {container.id} is already running")
        launch(services, container)


def launch(services: Services, container: Container) -> None:
    """Start it whatever came before, under its lock: also what a restart policy calls."""
    status = lifecycle.move(container.state.status, "start", id=container.id, name=container.name)
    forget_task(container)
    try:
        with ExitStack() as undo:
            task = started(services, container, undo)
            record_start(services, container, task, status)  # within: what runs and is not recorded must not run on
            undo.pop_all()
    except (CortenError, OSError) as error:
        failure = explained(error)
        failed = container.changed(exit_code=failure.exit_code, error=failure.error.message, pid=0)
        try:
            with suppress(ResourceExhausted):  # a full disk is why it failed: what it says is told, if not recorded
                commit(services, container, state=failed)
        finally:
            let_go(services, container)
        raise failure.error from error
    container.task, container.doomed = task, False
    task.on_detach(partial(services.exits.submit, tell_detach, services, container))
    task.subscribe(partial(services.exits.handle, services, container, task))
    health.begin(services, container)


def record_start(services: Services, container: Container, task: Task, status: lifecycle.Status) -> None:
    running = container.changed(
        status=status,
        pid=task.pid,
        exit_code=0,
        error="",
        started=now(),
        oom_killed=False,
        stopped=False,
        health=health.initial(container.record.config.healthcheck),
    )
    told = [*volume_events(container, "mount"), event(container, "start")]
    commit(services, container, state=running, events=told)


def tell_detach(services: Services, container: Container) -> None:
    """A client typed its detach sequence; the container goes on."""
    with container.lock:
        commit(services, container, events=[event(container, "detach")])


def let_go(services: Services, container: Container) -> None:
    """After a failed start nobody needs to wait for output, and a `--rm` container has had its chance."""
    container.drop_pending()
    if container.record.host.auto_remove and container.state.status != "restarting":
        services.exits.remove(services, container)


def forget_task(container: Container) -> None:
    """What is left of an earlier run."""
    if container.task is not None:
        container.task.delete()
        container.task = None


def started(services: Services, container: Container, undo: ExitStack) -> Task:
    clock = Chapters(container)
    joined = sandbox.reserve(services, container)
    undo.callback(services.networks.release, container.id)
    undo.callback(joined.close)
    files = sandbox.write_files(services, container, joined)
    clock.chapter("network", "reserve addresses and ports, write hosts and resolv.conf")
    undo.callback(sharedmemory.remove, services, container)
    with ExitStack() as held:
        held.callback(joined.close)
        around = surroundings(services, container, joined, files, held)
        clock.chapter("image", "find the user and the sources of the mounts")
        built = specification.build(container, services.settings, around)
        clock.chapter("spec", "fold the options into a runtime spec")
        task = created(services, container, built, joined)
    undo.callback(task.delete, force=True)
    clock.chapter("launch", "compile the plan, start the monitor, run it up to the start")
    while container.pending:
        # Off the list first: `hand_over` closes the descriptor, and a failed start closes what the list still has.
        hand_over(container, task, container.pending.pop(0))
    task.start()
    clock.chapter("start", "let the process go")
    return task


def surroundings(
    services: Services,
    container: Container,
    joined: sandbox.Joined,
    files: tuple[tuple[str, str], ...],
    held: ExitStack,
) -> Surroundings:
    host = container.record.host
    ipc = joined_container(services, host.ipc_mode)
    return Surroundings(
        identity=identity(services, container),
        mounts=tuple(mounted(services, point, held) for point in container.record.mounts),
        network=joined.kind,
        network_path=joined.path,
        pid_path=namespace_path(joined_container(services, host.pid_mode), "pid"),
        ipc_path=namespace_path(ipc, "ipc"),
        shm_source=shm_source(services, container, ipc),
        files=files,
        linked=links.environment(services, container),
    )


def joined_container(services: Services, mode: str) -> Container | None:
    """The running container whose namespace a mode `container:X` joins."""
    kind, _, reference = mode.partition(":")
    if kind != "container":
        return None
    other = services.catalog.find(reference)
    if other.task is None or not other.state.pid:
        raise Conflict(f"cannot join namespace of container {reference}: container {other.id} is not running")
    return other


def namespace_path(other: Container | None, kind: str) -> str:
    return f"/proc/{other.state.pid}/ns/{kind}" if other else ""


def shm_source(services: Services, container: Container, ipc: Container | None) -> str:
    """Where /dev/shm comes from, unless it is the container's own."""
    mode = container.record.host.ipc_mode
    if ipc is not None:
        return sharedmemory.joined(services, ipc)
    if mode == "shareable":
        return sharedmemory.make(services, container)
    return "/dev/shm" if mode == "host" else ""


def identity(services: Services, container: Container) -> user.Identity:
    """Who it runs as; on the way the working directory is made where the image lacks it, as Docker does.

    Before the first start the root is the image's, so that the answer can be remembered.
    """
    record = container.record
    key = (record.parent, record.config.user, record.host.group_add or (), record.config.working_dir)
    from_image = container.state.started == 0 and bool(record.parent)
    if from_image and key in known_identities:
        return known_identities[key]
    with rootfs.opened(services, container) as root:
        found = user.lookup(root, record.config.user, record.host.group_add or ())
        made = made_working_directory(root, record.config.working_dir)
    if from_image and not made:
        if len(known_identities) >= MOST_IDENTITIES:
            known_identities.clear()
        known_identities[key] = found
    return found


def made_working_directory(root: int, path: str) -> bool:
    """Make the working directory where it is missing; whether it was."""
    if path in ("", "/"):
        return False
    try:
        os.close(rooted.open(root, path, os.O_PATH))
    except FileNotFoundError:
        os.close(rooted.make_directories(root, path))
        return True
    return False


MOST_IDENTITIES = 1024
known_identities: dict[tuple[str, str, tuple[str, ...], str], user.Identity] = {}


def mounted(services: Services, point: MountPoint, held: ExitStack) -> Mounted:
    """What the kernel mounts for a mount point; handles that the launch needs are closed with `held`."""
    match point.type:
        case "volume":
            source = services.volumes.mount_source(point.name)
            place = below(source.source, point.subpath, held) if point.subpath else source.source
            return Mounted(point, source.type, place, source.options)
        case "bind":
            recursion = "bind" if "bind" in point.options else "rbind"
            return Mounted(point, "bind", point.source, (recursion,))
        case _:
            return Mounted(point, point.type, point.type, point.options)


def below(volume: str, subpath: str, held: ExitStack) -> str:
    """A directory in a volume, by a handle: containers write there, and a link must not lead out of it."""
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = rooted.open(root, subpath, os.O_PATH)
    except FileNotFoundError:
        raise InvalidArgument(f"cannot access path {volume}/{subpath}: no such file or directory") from None
    finally:
        os.close(root)
    held.callback(os.close, fd)
    return f"/proc/{os.getpid()}/fd/{fd}"


def created(services: Services, container: Container, built: RuntimeSpec, joined: sandbox.Joined) -> Task:
    config, settings = container.record.config, services.settings
    on_network = partial(services.networks.join, container.id) if joined.needs_join else None
    return services.tasks.create(
        built,
        TaskConfig(
            id=container.id,
            bundle=str(settings.container_directory(container.id)),
            terminal=config.tty,
            open_stdin=config.open_stdin,
            stdin_once=config.stdin_once,
            log=log_file(services, container),
            ports=tuple(joined.port_fds),
            console_size=container.record.host.console_size,
            rootfs=tuple(rootfs.mounts(services, container)),
            runtime=runtimes.command(container.record.host.runtime, settings.runtimes),
        ),
        on_network=on_network,
    )


def log_file(services: Services, container: Container) -> LogFile | None:
    """Where the monitor writes the log; rotation is on unless the request says otherwise."""
    log = container.record.host.log_config
    if log.type == "none":
        return None
    options = log.config or {}
    return LogFile(
        path=str(services.settings.log_path(container.id)),
        max_size=byte_size(options["max-size"]) if "max-size" in options else DEFAULT_LOG_SIZE,
        max_file=int(options.get("max-file", DEFAULT_LOG_FILES)),
        attrs=log_attributes(container, options) or None,
    )


def byte_size(text: str) -> int:
    """`10m`, `1g`, `512k`, `100`; -1 is unlimited, which the monitor calls 0."""
    if text == "-1":
        return 0
    units = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    lowered = text.lower().removesuffix("b") or "0"
    unit = units.get(lowered[-1], 0)
    return int(float(lowered[:-1]) * unit) if unit else int(lowered)


def log_attributes(container: Container, options: dict[str, str]) -> dict[str, str]:
    """The labels and variables that the log's options name, for `logs --details`."""
    labels = container.record.config.labels or {}
    variables = dict(entry.partition("=")[::2] for entry in container.record.config.env or ())
    chosen = {name: labels[name] for name in options.get("labels", "").split(",") if name in labels}
    chosen |= {name: variables[name] for name in options.get("env", "").split(",") if name in variables}
    return chosen
