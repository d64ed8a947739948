"""`create`: from a request to a container that exists and could be started.

    check the request → resolve the image → merge its defaults → reserve the name → prepare the snapshot, make the
    volumes → one transaction: record, references, event

Nothing is visible before that transaction. What was made before it and is not kept by it goes with the lease it was
made under, or at once when creation fails.
"""

import os
import secrets
import socket
from contextlib import ExitStack
from typing import NamedTuple

from msgspec.structs import replace

from corten.engine import copyup, ledger, links, merging, mountspec, names, rootfs, runtimes, validation
from corten.engine.record import Container, ContainerId, MountPoint, Record, State
from corten.engine.services import Services, event, now
from corten.images import Image
from corten.metadata.references import Node
from corten.model.container import ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig
from corten.model.errors import InvalidArgument, NotFound
from corten.model.image import RunConfig

__all__ = ["Created", "create"]


class Created(NamedTuple):
    """The new container's id, and what the user should know about the request."""

    id: str
    warnings: list[str]


def create(
    services: Services,
    config: ContainerConfig,
    host: HostConfig,
    networking: NetworkingConfig,
    *,
    name: str = "",
    platform: str = "",
) -> Created:
    """Make a container. Raises NotFound `No such image: X`, Conflict for a taken name, InvalidArgument for the rest."""
    image = image_for(services, config, host, platform)
    config = merging.merge(config, image.config.run if image else RunConfig())
    if config.network_disabled:
        host = replace(host, network_mode="none")
    host = validation.settled(
        host, cgroup_private=services.settings.cgroup_v2, runtime=services.settings.default_runtime
    )
    runtimes.command(host.runtime, services.settings.runtimes)  # an unknown one is an error of create
    if config.network_disabled:
        host = replace(host, network_mode="none")
    warnings = validation.check(config, host, services.settings.limits)
    host = links.settled(services, host)
    points = mountspec.requested(config, host, inherited(services, host))
    identity = ContainerId(secrets.token_hex(32))
    chosen = names.check(name) if name else names.generate(services.catalog.names, identity)
    with services.catalog.reserved(chosen, identity), ExitStack() as undo:
        check_joined(services, host)
        record = Record(
            id=identity,
            name=chosen,
            created=now(),
            image=config.image,
            image_id=str(image.id) if image else "",
            parent=(services.images.unpack(image) if image else None) or "",
            config=replace(config, hostname=own_hostname(services, config, host, identity)),
            host=host,
            networks=wanted_networks(host, networking, config),
            mounts=with_volumes(services, points, undo),
        )
        container = Container(record, State())
        store(services, container, undo)
        fill_volumes(services, container)
        services.catalog.add(container)
        undo.pop_all()
    return Created(identity, warnings)


def image_for(services: Services, config: ContainerConfig, host: HostConfig, platform: str) -> Image | None:
    """The image asked for; None for a container whose root is a directory of the host."""
    if not config.image and rootfs.of_host(host):
        return None
    if not config.image:
        raise InvalidArgument("no image specified")
    return services.images.resolve_for_run(config.image, platform)


def store(services: Services, container: Container, undo: ExitStack) -> None:
    """One transaction: the record, what it keeps, the event; and the snapshot, which nothing may collect meanwhile."""
    record = container.record
    kept = [Node("snapshot", services.snapshots.node(record.id))]
    kept += [ledger.volume_node(point.name) for point in record.mounts if point.type == "volume"]
    with services.database.write(durable=not record.host.auto_remove) as tx:
        # First the reference, then the look: an image that is still there now stays.
        ledger.add(tx, record, container.state, [*kept, *([Node("image", record.image_id)] if record.image_id else [])])
        if record.image_id and not tx.execute("SELECT 1 FROM images WHERE id = ?", (record.image_id,)).fetchone():
            raise NotFound(f"No such image: {record.image}")
        services.snapshots.prepare(record.id, record.parent or None, volatile=record.host.auto_remove)
        undo.callback(services.snapshots.remove, record.id)
        tx.emit(event(container, "create"))
    undo.callback(forget, services, container)


def forget(services: Services, container: Container) -> None:
    with services.database.write(durable=False) as tx:
        ledger.drop(tx, container.id)


def fill_volumes(services: Services, container: Container) -> None:
    """New volumes take over what the image has at their place."""
    wanted = [point for point in container.record.mounts if point.type == "volume" and point.copy_up]
    empty = [point for point in wanted if services.volumes.takes_content(point.name)]
    if not empty or not container.record.parent:
        return
    with rootfs.opened(services, container) as root:
        for point in empty:
            copyup.fill(root, point.destination, point.source)


def own_hostname(services: Services, config: ContainerConfig, host: HostConfig, identity: str) -> str:
    """As asked for, else the short id; in the network of the host or of another container, theirs."""
    kind, _, other = host.network_mode.partition(":")
    if config.hostname or host.uts_mode == "host":
        return config.hostname
    if kind == "host":
        return socket.gethostname()
    return services.catalog.find(other).hostname if kind == "container" else identity[:12]


def inherited(services: Services, host: HostConfig) -> list[MountPoint]:
    """The mounts of the containers named by `--volumes-from`, read-only when it says so."""
    points: list[MountPoint] = []
    for text in host.volumes_from or ():
        reference, _, mode = text.partition(":")
        if mode not in ("", "ro", "rw", "z", "Z"):
            raise InvalidArgument(f"invalid mode: {mode}")
        for point in services.catalog.find(reference).record.mounts:
            if point.type != "tmpfs":
                points.append(replace(point, rw=point.rw and mode != "ro", copy_up=False))
    return points


def with_volumes(services: Services, points: tuple[MountPoint, ...], undo: ExitStack) -> tuple[MountPoint, ...]:
    """The mounts with their volumes made, and missing host directories of `-v` binds made."""
    found = []
    for point in points:
        found.append(made(services, point))
        if point.anonymous:
            undo.callback(services.volumes.remove_if_unused, (found[-1].name,))
    return tuple(found)


def made(services: Services, point: MountPoint) -> MountPoint:
    if point.type == "bind":
        ensure_source(point)
        return point
    if point.type != "volume":
        return point
    if point.driver not in ("", "local"):
        raise NotFound(f'error looking up volume plugin {point.driver}: plugin "{point.driver}" not found')
    volume = services.volumes.ensure(point.name, point.volume_options, point.volume_labels)
    return replace(
        point,
        name=volume.name,
        driver="local",
        source=str(services.volumes.directory(volume.name)),
        mode=point.mode or "z" if not point.anonymous else "",
    )


def ensure_source(point: MountPoint) -> None:
    """`-v` makes a missing directory; `--mount` refuses."""
    if os.path.lexists(point.source):
        return
    if "must-exist" in point.options:
        raise InvalidArgument(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
    try:
        os.makedirs(point.source, 0o755)
    except OSError as error:
        raise InvalidArgument(f"error while creating mount source path '{point.source}': {error.strerror}") from None


def wanted_networks(
    host: HostConfig, networking: NetworkingConfig, config: ContainerConfig
) -> dict[str, EndpointSettings]:
    """The endpoints asked for, by network; the one that `--network` names is always among them."""
    asked = {name: settings or EndpointSettings() for name, settings in (networking.endpoints_config or {}).items()}
    mode = host.network_mode
    if mode.startswith("container:"):
        return {}
    main = "bridge" if mode == "default" else mode
    if mode == "default" and "default" in asked:
        asked["bridge"] = asked.pop("default")
    if main in ("host", "none") and asked.keys() - {main}:
        raise InvalidArgument("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    settings = asked.pop(main, EndpointSettings())
    if config.mac_address and not settings.mac_address:
        settings = replace(settings, mac_address=config.mac_address)
    return {main: settings, **asked}


def check_joined(services: Services, host: HostConfig) -> None:
    """Namespaces to be shared belong to containers that exist."""
    for mode in (host.network_mode, host.ipc_mode, host.pid_mode):
        kind, _, reference = mode.partition(":")
        if kind == "container":
            services.catalog.find(reference)
