"""Containers as values, for tests that need no engine."""

from corten.engine.record import Container, ContainerId, Record, State
from corten.model.container import ContainerConfig, HostConfig

ID = "4f" * 32


def container(
    *,
    id: str = ID,
    name: str = "web",
    config: ContainerConfig | None = None,
    host: HostConfig | None = None,
    state: State | None = None,
) -> Container:
    """A container that no store knows."""
    record = Record(
        id=ContainerId(id),
        name=name,
        created=1,
        image="busybox",
        image_id="sha256:" + "0" * 64,
        parent="",
        config=config or ContainerConfig(),
        host=host or HostConfig(),
        networks={},
    )
    return Container(record, state or State())
