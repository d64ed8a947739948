"""What older API versions meant: each rule says the version in which it ended (moby ``api/docs/CHANGELOG.md``)."""

from typing import Any

from msgspec.structs import replace

from corten.api.versions import Version
from corten.model.container import ContainerCreate
from corten.model.errors import InvalidArgument
from corten.wire.filters import Filters

__all__ = ["create", "image_inspect", "image_summary", "volume_prune"]


def create(body: ContainerCreate, version: Version) -> ContainerCreate:
    """A request to create, with the defaults of the client's version made explicit."""
    endpoints = body.networking_config.endpoints_config or {}
    if version < (1, 44) and len(endpoints) > 1:
        raise InvalidArgument(
            "Container cannot be created with multiple network endpoints: " + ", ".join(sorted(endpoints)),
            hint="use API 1.44 or connect the networks after creation",
            place="/NetworkingConfig/EndpointsConfig",
        )
    host = body.host_config
    if version < (1, 40) and not host.ipc_mode:
        host = replace(host, ipc_mode="shareable")
    if version < (1, 41) and not host.cgroupns_mode:
        host = replace(host, cgroupns_mode="host")
    return replace(body, host_config=host)


def image_summary(image: dict[str, Any], version: Version) -> dict[str, Any]:
    """`VirtualSize` was dropped in 1.44; it had become the same as `Size`."""
    return {**image, "VirtualSize": image["Size"]} if version < (1, 44) else image


def image_inspect(image: dict[str, Any], version: Version) -> dict[str, Any]:
    """`VirtualSize` was dropped in 1.44, `Container` and `ContainerConfig` in 1.45."""
    if version < (1, 45):
        image = {"Container": "", "ContainerConfig": None, **image}
    return image_summary(image, version)


def volume_prune(filters: Filters, version: Version) -> Filters:
    """Before 1.42 named volumes were pruned too."""
    if version < (1, 42) and "all" not in filters:
        return Filters({**{key: filters.values(key) for key in filters.keys}, "all": ("true",)})
    return filters
