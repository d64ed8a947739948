"""What a container is asked to be, in Docker's words.

`ContainerConfig` is the portable half (what an image could also say), `HostConfig` the half that depends on the host
(mounts, limits, ports), `NetworkingConfig` the networks to join. They are frozen msgspec structs whose JSON names are
Docker's, so that the REST edge decodes a request straight into them, the database keeps them, and `inspect` shows
them again.

Two habits of Docker's clients are accepted by `decode` and by nothing else: `null` stands for "the default" in any
field, and a command may be one string instead of a list. Fields that Go leaves out when empty are left out by
`encode`.

>>> decode(b'{"Image": "busybox", "Cmd": "true", "User": null}', ContainerConfig).cmd
('true',)
"""

from functools import cache
from typing import Any, ClassVar, TypeVar, get_type_hints

import msgspec

from corten.model.errors import InvalidArgument

__all__ = [
    "BindOptions",
    "ContainerConfig",
    "ContainerCreate",
    "DeviceMapping",
    "DeviceRequest",
    "DriverConfig",
    "EndpointIpam",
    "EndpointSettings",
    "ExecConfig",
    "HealthConfig",
    "HostConfig",
    "ImageOptions",
    "LogConfig",
    "Mount",
    "NetworkingConfig",
    "PortBinding",
    "Resources",
    "RestartPolicy",
    "ThrottleDevice",
    "TmpfsOptions",
    "Ulimit",
    "UpdateConfig",
    "VolumeOptions",
    "WeightDevice",
    "decode",
    "encode",
]

# Docker's spelling where it is not the field's words run together.
SPELLING = {
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "container_id_file": "ContainerIDFile",
    "device_ids": "DeviceIDs",
    "dns_names": "DNSNames",
    "endpoint_id": "EndpointID",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "io_maximum_iops": "IOMaximumIOps",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "ipv6_gateway": "IPv6Gateway",
    "link_local_ips": "LinkLocalIPs",
    "network_id": "NetworkID",
    "uts_mode": "UTSMode",
}


def docker_name(field: str) -> str:
    """The JSON name of a field: its words capitalised and run together, with Docker's exceptions."""
    return SPELLING.get(field) or "".join(word.capitalize() for word in field.split("_"))


class DockerStruct(msgspec.Struct, frozen=True, rename=docker_name):
    """A frozen value with Docker's JSON names; `OMIT_EMPTY` names the JSON fields that Go leaves out when empty."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset()


class HealthConfig(DockerStruct, frozen=True, omit_defaults=True):
    """How to tell that a container is well. Times are nanoseconds; 0 means the default (30 s, 30 s, 0, 5 s; 3
    retries).
    """

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(DockerStruct, frozen=True):
    """The portable half of a container. Empty and None both mean "as the image says"."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        (
            "ExposedPorts",
            "Healthcheck",
            "ArgsEscaped",
            "NetworkDisabled",
            "MacAddress",
            "StopSignal",
            "StopTimeout",
            "Shell",
        )
    )
    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] | None = None


class PortBinding(DockerStruct, frozen=True):
    """Where on the host a container's port is reachable; an empty port means one the engine chooses, `a-b` one of a
    range.
    """

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(DockerStruct, frozen=True):
    """`no`, `always`, `unless-stopped` or `on-failure` (then at most `maximum_retry_count` times, 0 for no limit)."""

    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(DockerStruct, frozen=True):
    type: str = ""
    config: dict[str, str] | None = None


class WeightDevice(DockerStruct, frozen=True):
    path: str = ""
    weight: int = 0


class ThrottleDevice(DockerStruct, frozen=True):
    path: str = ""
    rate: int = 0


class DeviceMapping(DockerStruct, frozen=True):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(DockerStruct, frozen=True):
    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] | None = None
    capabilities: tuple[tuple[str, ...], ...] | None = None
    options: dict[str, str] | None = None


class Ulimit(DockerStruct, frozen=True):
    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(DockerStruct, frozen=True, omit_defaults=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(DockerStruct, frozen=True, omit_defaults=True):
    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(DockerStruct, frozen=True, omit_defaults=True):
    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: DriverConfig | None = None
    subpath: str = ""


class TmpfsOptions(DockerStruct, frozen=True, omit_defaults=True):
    size_bytes: int = 0
    mode: int = 0
    options: tuple[tuple[str, ...], ...] | None = None


class ImageOptions(DockerStruct, frozen=True, omit_defaults=True):
    subpath: str = ""


class Mount(DockerStruct, frozen=True, omit_defaults=True):
    """One entry of `HostConfig.Mounts` (`--mount`): bind, volume, tmpfs, image."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class Resources(DockerStruct, frozen=True, kw_only=True):
    """Limits. 0, "" and None mean "not set"; memory in bytes, cpu periods and quotas in microseconds, `nano_cpus` in
    1e-9 CPUs.
    """

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_iops: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_iops: tuple[ThrottleDevice, ...] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] | None = None
    device_cgroup_rules: tuple[str, ...] | None = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = msgspec.field(default=0, name="KernelMemoryTCP")
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0


class HostConfig(Resources, frozen=True, kw_only=True):
    """The half of a container that depends on the host it runs on."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        ("Annotations", "Init", "KernelMemory", "KernelMemoryTCP", "Mounts", "StorageOpt", "Sysctls", "Tmpfs")
    )
    binds: tuple[str, ...] | None = None
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, tuple[PortBinding, ...] | None] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] | None = None
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] | None = None
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    cgroupns_mode: str = ""
    dns: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None
    group_add: tuple[str, ...] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    mounts: tuple[Mount, ...] | None = None
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None


class UpdateConfig(Resources, frozen=True, kw_only=True):
    """What `update` may change while a container runs: limits, and the restart policy."""

    restart_policy: RestartPolicy | None = None


class EndpointIpam(DockerStruct, frozen=True, omit_defaults=True):
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] | None = None


class EndpointSettings(DockerStruct, frozen=True):
    """A container's place in one network: what was asked for, and once connected what it got."""

    ipam_config: EndpointIpam | None = None
    links: tuple[str, ...] | None = None
    aliases: tuple[str, ...] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: tuple[str, ...] | None = None


class NetworkingConfig(DockerStruct, frozen=True):
    endpoints_config: dict[str, EndpointSettings | None] | None = None


class ContainerCreate(ContainerConfig, frozen=True, kw_only=True):
    """The body of `POST /containers/create`: a ContainerConfig with the two other halves beside its fields."""

    host_config: HostConfig = HostConfig()
    networking_config: NetworkingConfig = NetworkingConfig()

    def config(self) -> ContainerConfig:
        """The portable half alone."""
        return ContainerConfig(**{name: getattr(self, name) for name in ContainerConfig.__struct_fields__})


class ExecConfig(DockerStruct, frozen=True):
    """What to run in a running container. `console_size` is (height, width)."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] | None = None
    working_dir: str = ""
    cmd: tuple[str, ...] | None = None


Wire = TypeVar("Wire", bound=DockerStruct)


def decode(body: bytes | str, type_: type[Wire]) -> Wire:
    """Read a request body as Docker's engine does.

    Raises InvalidArgument with the place of what does not fit. The strict decoder goes first, as it is the fast one;
    only what it refuses is read again with Go's leniency (null, one string for a list).
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    try:
        return msgspec.convert(as_go_reads(msgspec.json.decode(body), type_), type_)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgument(f"invalid request body: {error}") from None


def encode(value: DockerStruct) -> dict[str, Any]:
    """The value as JSON-ready dictionaries, without the fields that Go leaves out when they are empty."""
    built: dict[str, Any] = msgspec.to_builtins(value)
    return {name: item for name, item in built.items() if item or name not in value.OMIT_EMPTY}


def as_go_reads(value: object, hint: Any) -> object:
    """Drop nulls of fields that have another default, and make lists of lone strings where a list is wanted."""
    type_ = without_none(hint)
    if value is None:
        return None if type_ is not hint else "" if type_ is str else {}
    if isinstance(value, str) and type_ == tuple[str, ...]:
        return (value,)
    if isinstance(value, dict) and isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        types = wire_fields(type_)
        return {k: as_go_reads(v, types.get(k)) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [as_go_reads(v, item_type(type_)) for v in value]
    if isinstance(value, dict):
        return {k: as_go_reads(v, item_type(type_)) for k, v in value.items()}
    return value


def with_wire_names(value: Any, hint: Any) -> Any:
    """The document with the fields of structs called as declared, whatever case they came in, as Go reads them.

    The very same value where nothing is to be renamed; an exact name wins over another spelling of it.
    """
    type_ = without_none(hint)
    if isinstance(value, list):
        items = [with_wire_names(item, item_type(type_)) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
        inner = {key: with_wire_names(item, item_type(type_)) for key, item in value.items()}
        return inner if any(inner[key] is not value[key] for key in value) else value
    names: dict[str, str] = folded_names(type_)
    types: dict[str, Any] = wire_fields(type_)
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        declared = names.get(key.lower())
        name = key if key in types or declared is None else declared
        if name == key or name not in value:
            renamed[name] = with_wire_names(item, types.get(name))
    same = renamed.keys() == value.keys() and all(renamed[key] is value[key] for key in renamed)
    return value if same else renamed


@cache
def folded_names(type_: type[msgspec.Struct]) -> dict[str, str]:
    """Small letters to JSON name of a struct's fields."""
    return {name.lower(): name for name in wire_fields(type_)}


@cache
def wire_fields(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON name to type of a struct's fields."""
    hints = get_type_hints(type_)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(type_)}


def without_none(hint: Any) -> Any:
    """`X` of `X | None`; anything else unchanged."""
    choices = getattr(hint, "__args__", ())
    others = [choice for choice in choices if choice is not type(None)]
    return others[0] if len(others) == 1 < len(choices) else hint


def item_type(hint: Any) -> Any:
    """What a container type holds: X of `tuple[X, ...]`, V of `dict[K, V]`; None for anything else."""
    arguments = [choice for choice in getattr(hint, "__args__", ()) if choice is not ...]
    return arguments[-1] if arguments else None
