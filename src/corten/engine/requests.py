"""What is asked of the engine, where the question has more than a name or two.

Edges fill these in; none of them is the wire type of an API.
"""

from typing import Any, NamedTuple

import msgspec

from corten.model.container import DockerStruct

__all__ = ["AttachOptions", "ExecStart", "IpamCreate", "IpamSubnet", "LogQuery", "NetworkCreate", "VolumeCreate"]


class AttachOptions(NamedTuple):
    """What a client that attaches wants to be connected with.

    `stream` connects it to what happens from now on, `logs` replays what happened; `detach_keys` in Docker's
    notation, empty for the default. `multiplex` frames stdout and stderr where there is no terminal.
    """

    stdin: bool
    stdout: bool
    stderr: bool
    stream: bool = True
    logs: bool = False
    detach_keys: str = ""
    multiplex: bool = True


class ExecStart(NamedTuple):
    """How to start an exec; `console_size` is (height, width)."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class LogQuery(NamedTuple):
    """Which lines of a log: times in Unix nanoseconds, `tail` the number of last lines, None for all."""

    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None
    timestamps: bool = False
    tail: int | None = None
    follow: bool = False
    details: bool = False


class IpamSubnet(DockerStruct, frozen=True):
    """One address range of a network to be made."""

    subnet: str = ""
    ip_range: str = msgspec.field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class IpamCreate(DockerStruct, frozen=True):
    driver: str = ""
    options: dict[str, str] | None = None
    config: tuple[IpamSubnet, ...] | None = None


class ConfigFrom(DockerStruct, frozen=True):
    network: str = ""


class NetworkCreate(DockerStruct, frozen=True):
    """The body of `POST /networks/create`. What is None the driver decides."""

    name: str = ""
    check_duplicate: bool = False
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigFrom | None = None
    ipam: IpamCreate | None = msgspec.field(default=None, name="IPAM")
    enable_ipv4: bool | None = msgspec.field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = msgspec.field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class VolumeCreate(DockerStruct, frozen=True):
    """The body of `POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None
