"""Changes of a container that exists: rename, update, resize; and what it changed in its file system."""

from typing import Any, cast

from msgspec.structs import replace

from corten.engine import names, validation
from corten.engine.record import Container
from corten.engine.services import Services, commit, event
from corten.model.container import HostConfig, UpdateConfig
from corten.model.errors import Conflict, InvalidArgument
from corten.model.runtime_spec import Resources as Limits
from corten.spec import resources

__all__ = ["rename", "resize", "update"]


# What a running container's control group can take; devices, ulimits and the parent stay as they were made, and
# Docker passes over them here too.
UPDATABLE = (
    "blkio_weight", "cpu_period", "cpu_quota", "cpu_realtime_period", "cpu_realtime_runtime", "cpu_shares",
    "cpuset_cpus", "cpuset_mems", "memory", "memory_reservation", "memory_swap", "nano_cpus", "pids_limit",
)  # fmt: skip


def rename(services: Services, reference: str, name: str) -> None:
    """Give a container another name; Conflict when it is taken."""
    if not reference or not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    container = services.catalog.find(reference)
    chosen = names.check(name)
    with container.lock:
        old = container.name
        if chosen == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        if container.state.status in ("removing", "dead"):
            raise Conflict(f"container {container.id} is being removed")
        with services.catalog.reserved(chosen, container.id):
            renamed = replace(container.record, name=chosen)
            happened = replace(event(container, "rename", oldName=f"/{old}"))
            happened = replace(happened, attributes={**happened.attributes, "name": chosen})
            commit(services, container, record=renamed, events=[happened], durable=True)
        services.catalog.release(old)
        services.networks.rename(container.id, chosen)


def update(services: Services, reference: str, wanted: UpdateConfig) -> list[str]:
    """Change limits and restart policy, at once where it runs. Answers warnings."""
    container = services.catalog.find(reference)
    with container.lock:
        if container.state.status in ("removing", "dead"):
            raise Conflict(
                f'Cannot update container {container.id}: container is marked for removal and cannot be "update"'
            )
        host = merged(container.record.host, wanted)
        warnings = resources.check(host, services.settings.limits)
        validation.check_restart(host.restart_policy)
        if host.auto_remove and host.restart_policy.name not in ("", "no"):
            raise InvalidArgument("Restart policy cannot be updated because AutoRemove is enabled for the container")
        if container.task is not None and container.state.is_up:
            container.task.update(live_limits(host))
        updated = replace(container.record, host=host)
        commit(services, container, record=updated, events=[event(container, "update")], durable=True)
    return warnings


def merged(host: HostConfig, wanted: UpdateConfig) -> HostConfig:
    """The limits that are named replace the old ones; what stays 0 stays as it was (Docker's UpdateContainer)."""
    changes: dict[str, Any] = {}
    for field in UPDATABLE:
        value = getattr(wanted, field)
        if value or (field == "pids_limit" and value is not None):
            changes[field] = value
    check_cpu_conflict(host, changes)
    if wanted.restart_policy is not None and wanted.restart_policy.name:
        changes["restart_policy"] = wanted.restart_policy
    swap = changes.get("memory_swap", host.memory_swap)
    memory = changes.get("memory", 0)
    if memory and "memory_swap" not in changes and 0 < swap < memory:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if changes.get("pids_limit", 1) is not None and changes.get("pids_limit", 1) <= 0:
        changes["pids_limit"] = None
    return replace(host, **changes)


def check_cpu_conflict(host: HostConfig, changes: dict[str, Any]) -> None:
    """NanoCpus and a quota exclude each other, whichever of them was there first."""
    if changes.get("nano_cpus") and (host.cpu_period or host.cpu_quota):
        raise Conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period/Quota has already been set")
    if host.nano_cpus and (changes.get("cpu_period") or changes.get("cpu_quota")):
        raise Conflict("Conflicting options: CPU Period/Quota cannot be updated as NanoCPUs has already been set")


def live_limits(host: HostConfig) -> Limits:
    """What changes in the running container's control group; its device rules stay."""
    limits = resources.resources(host)
    del limits["devices"]
    if host.pids_limit is None:
        limits["pids"] = {"limit": -1}
    return cast(Limits, limits)


def resize(services: Services, reference: str, height: int, width: int) -> None:
    """Set the size of a running container's terminal."""
    container = services.catalog.find(reference)
    if not container.is_up or container.task is None:
        raise Conflict(f"Container {container.id} is not running")
    validation.check_size(height, width)
    container.task.resize(height, width)
    tell_resize(services, container, height, width)


def tell_resize(services: Services, container: Container, height: int, width: int) -> None:
    with container.lock:
        happened = event(container, "resize", height=str(height), width=str(width))
        commit(services, container, events=[happened])
