"""A container's RuntimeSpec: its record, folded through the options of `spec`.

What must be looked up (the user in the image, the process of a container whose namespace is joined, the files that
the network made) comes in as `Surroundings`; this module itself only decides.
"""

import resource
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from corten import spec
from corten.engine.record import Container, MountPoint
from corten.engine.services import Settings
from corten.model.container import ContainerConfig, HostConfig, Ulimit
from corten.model.runtime_spec import RuntimeSpec
from corten.spec import Option, capabilities, default, options, resources, seccomp, security, tmpfs
from corten.spec.user import Identity

__all__ = ["Surroundings", "build", "process_environment"]

# What an ordinary container may do in its own network: ping and bind low ports without capabilities (Docker since
# 20.10).
NETWORK_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


class Mounted(NamedTuple):
    """One mount of the spec: a volume's source resolved to what the kernel mounts."""

    point: MountPoint
    type: str
    source: str
    options: tuple[str, ...]


class Surroundings(NamedTuple):
    """What of the world a spec depends on. A namespace's path is "" for a new one."""

    identity: Identity
    mounts: tuple[Mounted, ...]
    network: str = "new"
    network_path: str = ""
    pid_path: str = ""
    ipc_path: str = ""
    shm_source: str = ""
    files: tuple[tuple[str, str], ...] = ()
    linked: tuple[str, ...] = ()


def build(container: Container, settings: Settings, around: Surroundings) -> RuntimeSpec:
    """The spec to start a container with."""
    return spec.build(*every_option(container, settings, around))


def every_option(container: Container, settings: Settings, around: Surroundings) -> Iterator[Option]:
    config, host = container.record.config, container.record.host
    yield options.root("rootfs", readonly=host.readonly_rootfs)
    yield from process_options(container, config, around)
    yield from namespace_options(container, host, around)
    yield from mount_options(host, around)
    yield from security_options(host, settings)
    yield from limit_options(container, host, settings)
    if host.privileged:
        yield options.privileged()
    if host.init:
        yield options.init(str(settings.program))


def process_options(container: Container, config: ContainerConfig, around: Surroundings) -> Iterator[Option]:
    yield options.process(container.record.command, cwd=config.working_dir or "/")
    yield options.environment(process_environment(config, container.hostname, around.linked))
    yield options.identity(around.identity)
    if config.tty:
        height, width = container.record.host.console_size
        yield options.terminal(height=height, width=width)


def process_environment(config: ContainerConfig, hostname: str, linked: Iterable[str] = ()) -> list[str]:
    """Docker's own variables first, then those of links, so that the user's win.

    A bare `NAME` was meant to unset one, and is left out.
    """
    own = [default.PATH, f"HOSTNAME={hostname}", *(["TERM=xterm"] if config.tty else []), *linked]
    given = config.env or ()
    bare = {entry for entry in given if "=" not in entry}
    kept = [entry for entry in (*own, *given) if entry.partition("=")[0] not in bare]
    return list({entry.partition("=")[0]: entry for entry in kept}.values())


def namespace_options(container: Container, host: HostConfig, around: Surroundings) -> Iterator[Option]:
    if around.network == "host":
        yield options.namespace("network", host=True)
    elif around.network_path:
        yield options.namespace("network", path=around.network_path)
    yield options.namespace("pid", path=around.pid_path, host=host.pid_mode == "host")
    yield options.namespace("ipc", path=around.ipc_path, host=host.ipc_mode == "host")
    yield options.namespace("uts", host=host.uts_mode == "host")
    if host.cgroupns_mode == "private":
        yield options.namespace("cgroup")
    if host.uts_mode != "host":
        yield options.hostname(container.hostname, container.record.config.domainname)
    own = NETWORK_SYSCTLS if around.network == "new" else {}
    yield options.sysctls({**own, **(host.sysctls or {})})


def mount_options(host: HostConfig, around: Surroundings) -> Iterator[Option]:
    if host.ipc_mode == "none":
        yield options.no_mount("/dev/shm")
    elif around.shm_source:
        yield options.bind(around.shm_source, "/dev/shm", ("rbind", "nosuid", "noexec", "nodev"))
    else:
        yield options.shm_size(host.shm_size or default.SHM_SIZE)
    for source, destination in around.files:
        yield options.bind(source, destination, ("bind", "rprivate", *(["ro"] if host.readonly_rootfs else [])))
    # A mount at /data/x must come after the one at /data, or it would be hidden by it.
    for mounted in sorted(around.mounts, key=lambda m: m.point.destination.count("/")):
        yield one_mount(mounted)


def one_mount(mounted: Mounted) -> Option:
    point = mounted.point
    if mounted.type == "tmpfs" and point.type == "tmpfs":
        return options.mount(point.destination, "tmpfs", "tmpfs", point.options or tmpfs.options(""))
    # Docker makes what is mounted below a read-only bind read-only too, unless told otherwise.
    deep = point.type == "bind" and "ro-here-only" not in point.options
    access = () if point.rw else ("rro",) if deep else ("ro",)
    propagation = (point.propagation,) if point.propagation else ("rprivate",) if mounted.type == "bind" else ()
    chosen = (*mounted.options, *access, *propagation)
    return options.mount(point.destination, mounted.type, mounted.source, tuple(dict.fromkeys(chosen)))


def security_options(host: HostConfig, settings: Settings) -> Iterator[Option]:
    asked = security.parse(host.security_opt or ())
    held = granted(host, settings.bounding)
    yield options.capabilities(held)
    if asked.no_new_privileges:
        yield options.no_new_privileges()
    yield options.seccomp(profile(host, asked.seccomp, held, settings))
    if asked.apparmor and asked.apparmor != "unconfined":
        yield options.apparmor(asked.apparmor)
    yield options.hidden_paths(host.masked_paths, host.readonly_paths)


def granted(host: HostConfig, bounding: frozenset[str]) -> list[str]:
    """What was asked for, as far as the engine itself may still give it."""
    wanted = capabilities.chosen(host.cap_add or (), host.cap_drop or (), privileged=host.privileged)
    return [name for name in wanted if name in bounding]


def profile(host: HostConfig, asked: str, held: Iterable[str], settings: Settings) -> dict[str, object] | None:
    """The seccomp filter: none for `unconfined`, and for a privileged container that did not name one."""
    if asked == "unconfined" or (host.privileged and not asked):
        return None
    if asked:
        return seccomp.from_document(asked, held, settings.machine, settings.kernel)
    return seccomp.default(frozenset(held), settings.machine, settings.kernel)


def limit_options(container: Container, host: HostConfig, settings: Settings) -> Iterator[Option]:
    yield options.devices(host.devices or ())
    yield options.resources(resources.resources(host, privileged=host.privileged))
    yield options.rlimits(clamped(host.ulimits or (), settings))
    if host.oom_score_adj:
        yield options.oom_score(host.oom_score_adj)
    yield options.cgroup(cgroup_path(container.id, host, settings))
    if host.annotations:
        yield options.annotations(host.annotations)


def clamped(limits: Iterable[Ulimit], settings: Settings) -> list[Ulimit]:
    """Without CAP_SYS_RESOURCE a hard limit cannot be raised: it stays at the engine's own, as with a rootless
    engine.
    """
    if "CAP_SYS_RESOURCE" in settings.bounding:
        return list(limits)
    result = []
    for limit in limits:
        number = getattr(resource, f"RLIMIT_{limit.name.upper()}", None)
        ceiling = resource.getrlimit(number)[1] if number is not None else -1
        result.append(limit if ceiling == -1 else below(limit, ceiling))
    return result


def below(limit: Ulimit, ceiling: int) -> Ulimit:
    soft, hard = (ceiling if value == -1 else min(value, ceiling) for value in (limit.soft, limit.hard))
    return Ulimit(limit.name, hard=hard, soft=soft)


def cgroup_path(container_id: str, host: HostConfig, settings: Settings) -> str:
    """Below a parent of this engine, so that engines on one machine never meet."""
    parent = host.cgroup_parent or f"/corten-{settings.identity}"
    return f"/{parent.strip('/')}/{container_id}"
