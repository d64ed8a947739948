"""Refuses impossible containers before anything is made, in Docker's words; and fills in the defaults that inspect
shows.

Each check looks at one thing and raises InvalidArgument. What the host has to say (limits) comes in as a value. What
we do not do yet is refused by name, never ignored.
"""

import os
import re
from collections.abc import Callable

from msgspec.structs import replace

from corten.engine import runtimes, signals
from corten.model.container import ContainerConfig, HealthConfig, HostConfig, LogConfig, RestartPolicy
from corten.model.errors import InvalidArgument, Unimplemented
from corten.spec import capabilities, default, devices, resources, security, tmpfs
from corten.spec.options import rlimits

__all__ = ["check", "check_restart", "settled"]

POLICIES = ("no", "always", "on-failure", "unless-stopped")
MILLISECOND = 1_000_000
# Both drivers are one file of JSON lines that the monitor writes; `local` promises no form and takes no attributes.
LOG_OPTIONS = {
    "json-file": frozenset(("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag")),
    "local": frozenset(("max-file", "max-size", "compress")),
}


def settled(host: HostConfig, *, cgroup_private: bool, runtime: str = runtimes.DEFAULT) -> HostConfig:
    """The host half with Docker's defaults in place."""
    hides = not host.privileged and not security.parse(host.security_opt or ()).unconfined_paths
    return resources.settled(
        replace(
            host,
            network_mode=host.network_mode or "bridge",
            ipc_mode=host.ipc_mode or "private",
            cgroupns_mode=host.cgroupns_mode or ("private" if cgroup_private else "host"),
            runtime=host.runtime or runtime,
            shm_size=host.shm_size or default.SHM_SIZE,
            restart_policy=replace(host.restart_policy, name=host.restart_policy.name or "no"),
            log_config=log_defaults(host.log_config),
            masked_paths=host.masked_paths if host.masked_paths is not None else hidden(hides, default.masked_paths()),
            readonly_paths=host.readonly_paths
            if host.readonly_paths is not None
            else hidden(hides, default.READONLY_PATHS),
            pids_limit=host.pids_limit if host.pids_limit is not None and host.pids_limit > 0 else None,
        )
    )


def hidden(hides: bool, paths: tuple[str, ...]) -> tuple[str, ...]:
    return paths if hides else ()


def log_defaults(log: LogConfig) -> LogConfig:
    return LogConfig(type=log.type or "json-file", config=log.config or {})


def check(config: ContainerConfig, host: HostConfig, limits: resources.HostLimits) -> list[str]:
    """Everything that can be told from the request alone; answers warnings."""
    for checked in CONFIG_CHECKS:
        checked(config)
    for checked_host in HOST_CHECKS:
        checked_host(host)
    check_network_conflicts(config, host)
    if host.uts_mode == "host" and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    return resources.check(host, limits)


def check_working_directory(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )


def check_environment(config: ContainerConfig) -> None:
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
        if "\0" in entry:
            raise InvalidArgument("invalid environment variable: it holds a NUL")


def check_signal(config: ContainerConfig) -> None:
    if config.stop_signal:
        signals.number(config.stop_signal)


def check_health(config: ContainerConfig) -> None:
    health = config.healthcheck or HealthConfig()
    spans = {
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
    }
    for name, span in spans.items():
        if span and span < MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    if health.test and health.test[0] not in ("", "NONE", "CMD", "CMD-SHELL"):
        raise InvalidArgument(f"unknown type of Healthcheck.Test: {health.test[0]}")


def check_exposed_ports(config: ContainerConfig) -> None:
    for port in config.exposed_ports or {}:
        check_port(port)


def check_port(text: str) -> None:
    """`80`, `80/tcp`, `8000-8010/udp`."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    for number in (first, last or first):
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
            raise InvalidArgument(f'invalid port specification: "{text}"')
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid proto: {protocol}")


CONFIG_CHECKS: tuple[Callable[[ContainerConfig], None], ...] = (
    check_working_directory,
    check_environment,
    check_signal,
    check_health,
    check_exposed_ports,
)


def check_bindings(host: HostConfig) -> None:
    for port, bindings in (host.port_bindings or {}).items():
        check_port(port)
        for binding in bindings or ():
            if binding.host_port:
                first, _, last = binding.host_port.partition("-")
                if not all(n.isascii() and n.isdigit() and int(n) < 65536 for n in (first, last or first)):
                    raise InvalidArgument(f'invalid port specification: "{binding.host_port}"')


def check_restart_policy(host: HostConfig) -> None:
    check_restart(host.restart_policy)
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def check_restart(policy: RestartPolicy) -> None:
    """A restart policy on its own, as `update` brings it."""
    if policy.name and policy.name not in POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")


# At most 9 digits before the unit: what the monitor counts with has 64 bits.
LOG_SIZE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?[bkmg]b?|[0-9]{1,15}", re.ASCII | re.IGNORECASE)
MOST_LOG_FILES = 1000
LARGEST_SIDE = 65535


def check_log(host: HostConfig) -> None:
    kind = host.log_config.type
    if kind in ("", "none"):
        return
    if kind not in LOG_OPTIONS:
        raise Unimplemented(
            f"logger: no log driver named '{kind}' is registered", hint="json-file, local and none are built in"
        )
    for name in host.log_config.config or {}:
        if name not in LOG_OPTIONS[kind]:
            raise InvalidArgument(f"unknown log opt '{name}' for {kind} log driver")
    check_log_values(host.log_config.config or {})


def check_log_values(options: dict[str, str]) -> None:
    size, files = options.get("max-size", "-1"), options.get("max-file", "1")
    if size != "-1" and not LOG_SIZE.fullmatch(size):
        raise InvalidArgument(f"invalid value for max-size: {size[:50]!r}", hint="a number with b, k, m or g behind it")
    if not files.isdecimal() or not 1 <= int(files[:10]) <= MOST_LOG_FILES:
        raise InvalidArgument(
            f"invalid value for max-file: {files[:50]!r}", hint=f"a number from 1 to {MOST_LOG_FILES}"
        )
    compress = options.get("compress", "false").lower()
    if compress in ("1", "t", "true"):
        raise Unimplemented("log opt 'compress': compressing rotated logs is not built", hint="leave the option out")
    if compress not in ("0", "f", "false"):
        raise InvalidArgument(f"invalid value for compress: {options['compress'][:50]!r}", hint="true or false")


def check_console(host: HostConfig) -> None:
    check_size(*host.console_size)


def check_size(height: int, width: int) -> None:
    """A terminal's size travels as two 16-bit numbers (struct winsize)."""
    for what, value in (("height", height), ("width", width)):
        if not 0 <= value <= LARGEST_SIDE:
            raise InvalidArgument(f"cannot resize the terminal: its {what} {value} is not within 0…{LARGEST_SIDE}")


def check_modes(host: HostConfig) -> None:
    if host.uts_mode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {host.uts_mode}")
    if host.userns_mode not in ("", "host"):
        raise InvalidArgument(f"invalid userns mode: {host.userns_mode}")
    if host.cgroupns_mode not in ("", "host", "private"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.pid_mode not in ("", "host") and not host.pid_mode.startswith("container:"):
        raise InvalidArgument(f"invalid PID mode: {host.pid_mode}")
    ipc = host.ipc_mode
    if ipc not in ("", "none", "private", "shareable", "host") and not ipc.startswith("container:"):
        raise InvalidArgument(f"invalid IPC mode: {ipc}")
    for mode in (host.pid_mode, ipc, host.network_mode):
        if mode == "container:":
            raise InvalidArgument("invalid container format container:<name|id>")


def check_numbers(host: HostConfig) -> None:
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")


def check_security(host: HostConfig) -> None:
    capabilities.chosen(host.cap_add or (), host.cap_drop or (), privileged=host.privileged)
    options = security.parse(host.security_opt or ())
    if options.apparmor not in ("", "unconfined") and not os.path.isdir("/sys/kernel/security/apparmor"):
        raise InvalidArgument(f"AppArmor is not enabled on this host: cannot apply profile {options.apparmor}")
    if options.labels and options.labels != ("disable",) and not os.path.isdir("/sys/fs/selinux"):
        raise InvalidArgument("SELinux is not enabled on this host: only label=disable is possible")
    rlimits(host.ulimits or ())


def check_devices(host: HostConfig) -> None:
    for text in host.device_cgroup_rules or ():
        devices.rule(text)
    for request in host.device_requests or ():
        wanted = [list(alternatives) for alternatives in request.capabilities or ()]
        shown = str(wanted).replace("'", "").replace(",", "")
        raise InvalidArgument(f'could not select device driver "{request.driver}" with capabilities: {shown}')


def check_mounts(host: HostConfig) -> None:
    for destination, text in (host.tmpfs or {}).items():
        if not destination.startswith("/"):
            raise InvalidArgument(f"invalid mount path: '{destination}' mount path must be absolute")
        tmpfs.options(text)


def check_hosts(host: HostConfig) -> None:
    for entry in host.extra_hosts or ():
        name, separator, address = entry.partition(":")
        if not separator:
            name, separator, address = entry.partition("=")
        if not (name and separator and address):
            raise InvalidArgument(f'bad format for add-host: "{entry}"')


def check_platform(host: HostConfig) -> None:
    if host.isolation not in ("", "default"):
        raise InvalidArgument(f"invalid isolation '{host.isolation}': only 'default' exists on Linux")
    if host.storage_opt:
        raise Unimplemented("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")


HOST_CHECKS: tuple[Callable[[HostConfig], None], ...] = (
    check_bindings,
    check_restart_policy,
    check_log,
    check_console,
    check_modes,
    check_numbers,
    check_security,
    check_devices,
    check_mounts,
    check_hosts,
    check_platform,
)


def check_network_conflicts(config: ContainerConfig, host: HostConfig) -> None:
    """A container in another's (or the host's) network cannot have what belongs to the network."""
    mode = host.network_mode
    if mode == "host" and host.links:
        raise InvalidArgument("conflicting options: host type networking can't be used with links")
    if not mode.startswith("container:"):
        return
    conflicts = {
        "hostname and the network mode": config.hostname,
        "dns and the network mode": host.dns,
        "custom host-to-IP mapping and the network mode": host.extra_hosts,
        "mac-address and the network mode": config.mac_address,
        "port publishing and the container type network mode": host.port_bindings or host.publish_all_ports,
        "port exposing and the container type network mode": config.exposed_ports,
        "container type network can't be used with links": host.links,
    }
    for text, present in conflicts.items():
        if present:
            raise InvalidArgument(f"conflicting options: {text}")
