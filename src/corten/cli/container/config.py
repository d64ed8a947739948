"""From a command line to the body of `POST /containers/create`.

The body is folded from small passes, each over one concern: the process, the network, the mounts, the limits.
Every pass takes the options and returns its part of Docker's ContainerConfig or HostConfig; what Docker's own
command sends by default is sent here too, so that `inspect` shows the same.
"""

from __future__ import annotations

from corten.cli import values
from corten.cli.container.endpoints import endpoints, network_mode
from corten.cli.container.ports import exposed, published
from corten.cli.flags import quoted
from corten.cli.table import Fault
from corten.client.environment import is_set, variable
from corten.model.errors import Unimplemented

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options

    Part = dict[str, Any]

__all__ = ["create_body", "file_variables", "refuse_foreign", "restart_policy"]

_WINDOWS_ONLY = ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")


def create_body(options: Options, image: str, command: list[str]) -> Part:
    """The request body for a container of `image` that runs `command`; Fault when options contradict each other."""
    _check(options)
    network = endpoints(options)
    host: Part = {"ContainerIDFile": options.text("cidfile"), "AutoRemove": options.on("rm")}
    host.update(_binds_and_mounts(options))
    host.update(_networking(options))
    host.update(_namespaces(options))
    host.update(_privileges(options))
    host.update(_life(options))
    host.update(_memory(options))
    host.update(_cpu(options))
    host.update(_devices(options))
    return {
        **_process(options, image, command),
        **_identity(options),
        "Volumes": {volume: {} for volume in _anonymous_volumes(options)},
        "ExposedPorts": {
            port: {} for port in (*published(options.texts("publish")), *exposed(options.texts("expose")))
        },
        "Healthcheck": _health(options),
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": network},
    }


def refuse_foreign(options: Options) -> None:
    """Fault for a flag that only another system's engine knows, or that this one will not take."""
    for name in _WINDOWS_ONLY:
        if options.given(name):
            systems = "a Docker daemon running on windows, but the Docker daemon is running on linux"
            raise Fault(f'"--{name}" is only supported on {systems}')
    if options.on("use-api-socket"):
        raise Unimplemented("--use-api-socket is not built", hint="mount the engine's socket with --volume")


def _check(options: Options) -> None:
    """What contradicts itself, and what this engine will never do."""
    if options.text("pull") not in ("always", "missing", "never", ""):
        choices = 'must be one of "always", "missing" or "never"'
        raise Fault(f"invalid pull option: '{options.text('pull')}': {choices}")
    swappiness = options.number("memory-swappiness")
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise Fault(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    for name in ("pid", "uts", "userns", "cgroupns"):
        _check_namespace(name, options.text(name))


def _check_namespace(name: str, mode: str) -> None:
    known = {
        "pid": ("", "host", "container:"),
        "uts": ("", "host"),
        "userns": ("", "host"),
        "cgroupns": ("", "private", "host"),
    }
    titles = {"pid": "PID", "uts": "UTS", "userns": "USER", "cgroupns": "CGROUP"}
    joined = mode.partition(":")
    if mode in known[name] and mode != "container:":
        return
    if name == "pid" and joined[0] == "container" and joined[2]:
        return
    raise Fault(f"--{name}: invalid {titles[name]} mode")


# The process


def _process(options: Options, image: str, command: list[str]) -> Part:
    attached = options.texts("attach")
    interactive = options.on("interactive")
    stdin = interactive or "stdin" in attached
    part: Part = {
        "User": options.text("user"),
        "AttachStdin": stdin,
        "AttachStdout": not attached or "stdout" in attached,
        "AttachStderr": not attached or "stderr" in attached,
        "Tty": options.on("tty"),
        "OpenStdin": interactive,
        "StdinOnce": interactive and stdin,
        "Env": _environment(options),
        "Cmd": command or None,
        "Image": image,
        "WorkingDir": options.text("workdir"),
        "Entrypoint": [options.text("entrypoint")] if options.given("entrypoint") else None,
    }
    if options.text("stop-signal"):
        part["StopSignal"] = options.text("stop-signal")
    if options.given("stop-timeout"):
        part["StopTimeout"] = options.number("stop-timeout")
    return part


def _environment(options: Options) -> list[str]:
    return file_variables(options) + options.texts("env")


def file_variables(options: Options) -> list[str]:
    """The variables of `--env-file`; a bare name takes our own value, and none when we have none."""
    lines = [line for path in options.texts("env-file") for line in _lines(path)]
    filled = [f"{name}={variable(name)}" if "=" not in name and is_set(name) else name for name in lines]
    return [variable for variable in filled if "=" in variable]


def _identity(options: Options) -> Part:
    labels = [line for path in options.texts("label-file") for line in _lines(path)]
    return {
        "Hostname": options.text("hostname"),
        "Domainname": options.text("domainname"),
        "Labels": values.pairs(labels + options.texts("label")),
    }


def _lines(path: str) -> list[str]:
    """The `KEY=value` lines of a file; empty lines and comments do not count."""
    try:
        with open(path, "rb") as file:
            content = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise Fault(f"open {path}: {(error.strerror or '').lower()}") from None
    found: list[str] = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").rstrip("\r").lstrip(" \t")
        except UnicodeDecodeError:
            shown = " ".join(map(str, raw))
            raise Fault(f"invalid env file ({path}): invalid utf8 bytes at line {number}: [{shown}]") from None
        if not line or line.startswith("#"):
            continue
        key, mark, value = line.partition("=")
        if not key:
            raise Fault(f"invalid env file ({path}): no variable name on line '{line}'")
        if any(space in key for space in " \t"):
            raise Fault(f"invalid env file ({path}): variable '{key}' contains whitespaces")
        found.append(f"{key}={value}" if mark else key)
    return found


def _health(options: Options) -> Part | None:
    """How to check its health; None leaves it to the image."""
    times = {
        "Interval": "interval",
        "Timeout": "timeout",
        "StartPeriod": "start-period",
        "StartInterval": "start-interval",
    }
    settings: Part = {key: options.number(f"health-{name}") for key, name in times.items()}
    settings["Retries"] = options.number("health-retries")
    command = options.text("health-cmd")
    asked = bool(command) or any(settings.values())
    if options.on("no-healthcheck"):
        if asked:
            raise Fault("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not asked:
        return None
    for key, name in (*times.items(), ("Retries", "retries")):
        if settings[key] < 0:
            raise Fault(f"--health-{name} cannot be negative")
    given = {key: value for key, value in settings.items() if value}
    return {"Test": ["CMD-SHELL", command], **given} if command else given


# Mounts and network


def _binds_and_mounts(options: Options) -> Part:
    binds = [_absolute(spec) for spec in dict.fromkeys(options.texts("volume")) if _has_source(spec)]
    tmpfs = {}
    for spec in options.texts("tmpfs"):
        path, _, settings = spec.partition(":")
        tmpfs[path] = settings
    part: Part = {
        "Binds": binds or None,
        "VolumesFrom": options.texts("volumes-from") or None,
        "VolumeDriver": options.text("volume-driver"),
        "ShmSize": options.number("shm-size"),
        "ReadonlyRootfs": options.on("read-only"),
    }
    if tmpfs:
        part["Tmpfs"] = tmpfs
    if mounts := options.texts("mount"):
        part["Mounts"] = mounts
    return part


def _anonymous_volumes(options: Options) -> list[str]:
    return [spec for spec in dict.fromkeys(options.texts("volume")) if not _has_source(spec)]


def _has_source(spec: str) -> bool:
    """Whether a `--volume` value names a source; Fault when it is not a volume specification at all."""
    if not spec:
        raise Fault("invalid empty volume spec")
    if len(spec) < 3:
        return False
    drive = spec[0].isalpha() and spec[1:2] == ":"  # Docker's command takes `c:` for a Windows drive
    parts = spec[2:].split(":") if drive else spec.split(":")
    if drive:
        parts[0] = spec[:2] + parts[0]
    if "" in parts:
        raise Fault(f"invalid spec: {spec}: empty section between colons")
    if len(parts) > 3:
        raise Fault(f"invalid spec: {spec}: too many colons")
    return len(parts) > 1


def _absolute(spec: str) -> str:
    """A bind's source that begins with a dot is meant from here."""
    source, _, rest = spec.partition(":")
    if not source.startswith("."):
        return spec
    from os.path import abspath

    return f"{abspath(source)}:{rest}"


def _networking(options: Options) -> Part:
    part: Part = {
        "NetworkMode": network_mode(options),
        "PortBindings": published(options.texts("publish")),
        "PublishAllPorts": options.on("publish-all"),
        "Dns": options.texts("dns"),
        "DnsOptions": options.texts("dns-option"),
        "DnsSearch": options.texts("dns-search"),
        "ExtraHosts": options.texts("add-host") or None,
        "Links": options.texts("link") or None,
    }
    return part


# Isolation


def _namespaces(options: Options) -> Part:
    part: Part = {
        "CgroupnsMode": options.text("cgroupns"),
        "IpcMode": options.text("ipc"),
        "PidMode": options.text("pid"),
        "UTSMode": options.text("uts"),
        "UsernsMode": options.text("userns"),
        "Isolation": options.text("isolation"),
        "CgroupParent": options.text("cgroup-parent"),
    }
    if sysctls := values.pairs(options.texts("sysctl")):
        part["Sysctls"] = sysctls
    return part


def _privileges(options: Options) -> Part:
    security, paths = _security(options.texts("security-opt"))
    return {
        "Privileged": options.on("privileged"),
        "CapAdd": options.texts("cap-add") or None,
        "CapDrop": options.texts("cap-drop") or None,
        "GroupAdd": options.texts("group-add") or None,
        "SecurityOpt": security or None,
        "MaskedPaths": paths,
        "ReadonlyPaths": paths,
    }


def _security(items: list[str]) -> tuple[list[str], list[str] | None]:
    """Security options as the engine takes them: profiles read in, `systempaths=unconfined` as its two empty lists."""
    kept: list[str] = []
    paths: list[str] | None = None
    for item in items:
        key, mark, setting = item.partition("=")
        if not mark and key != "no-new-privileges":
            key, mark, setting = item.partition(":")
        if (not mark or not setting) and key != "no-new-privileges":
            raise Fault(f"Invalid --security-opt: {quoted(item)}")
        if item == "systempaths=unconfined":
            paths = []
        elif key == "seccomp" and setting not in ("unconfined", "builtin"):
            kept.append("seccomp=" + _profile(setting))
        else:
            kept.append(item)
    return kept, paths


def _profile(path: str) -> str:
    from corten.wire.codec import dumps, loads

    try:
        with open(path, encoding="utf-8") as file:
            return dumps(loads(file.read()))
    except OSError as error:
        raise Fault(f"opening seccomp profile ({path}) failed: open {path}: {(error.strerror or '').lower()}") from None
    except ValueError as error:
        raise Fault(f"compacting json for seccomp profile ({path}) failed: {error}") from None


def _life(options: Options) -> Part:
    policy = restart_policy(options.text("restart"))
    if options.on("rm") and policy["Name"] not in ("", "no"):
        raise Fault("conflicting options: cannot specify both --restart and --rm")
    driver, settings = options.text("log-driver"), values.pairs(options.texts("log-opt"))
    if driver == "none" and settings:
        raise Fault(f"invalid logging opts for driver {driver}")
    part: Part = {
        "RestartPolicy": policy,
        "LogConfig": {"Type": driver, "Config": settings},
        "OomScoreAdj": options.number("oom-score-adj"),
        "Runtime": options.text("runtime") or None,
    }
    if part["Runtime"] is None:
        del part["Runtime"]
    if options.given("init"):
        part["Init"] = options.on("init")
    if annotations := values.pairs(options.texts("annotation")):
        part["Annotations"] = annotations
    if storage := _storage(options.texts("storage-opt")):
        part["StorageOpt"] = storage
    return part


def restart_policy(text: str) -> Part:
    """`on-failure:3` as the API takes it."""
    name, mark, count = text.partition(":")
    if mark and not name:
        raise Fault("invalid restart policy format: no policy provided before colon")
    if count and not count.removeprefix("-").removeprefix("+").isdecimal():
        raise Fault("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _storage(items: list[str]) -> dict[str, str]:
    if any("=" not in item for item in items):
        raise Fault("invalid storage option")
    return values.pairs(items)


# Limits


def _memory(options: Options) -> Part:
    return {
        "Memory": options.number("memory"),
        "MemoryReservation": options.number("memory-reservation"),
        "MemorySwap": options.number("memory-swap"),
        "MemorySwappiness": options.number("memory-swappiness"),
        "OomKillDisable": options.on("oom-kill-disable"),
        "PidsLimit": options.number("pids-limit"),
        "Ulimits": sorted({u["Name"]: u for u in options.value("ulimit")}.values(), key=lambda u: str(u["Name"])),
    }


def _cpu(options: Options) -> Part:
    return {
        "NanoCpus": options.number("cpus"),
        "CpuShares": options.number("cpu-shares"),
        "CpuPeriod": options.number("cpu-period"),
        "CpuQuota": options.number("cpu-quota"),
        "CpuRealtimePeriod": options.number("cpu-rt-period"),
        "CpuRealtimeRuntime": options.number("cpu-rt-runtime"),
        "CpusetCpus": options.text("cpuset-cpus"),
        "CpusetMems": options.text("cpuset-mems"),
        "BlkioWeight": options.number("blkio-weight"),
        "BlkioWeightDevice": options.texts("blkio-weight-device"),
        "BlkioDeviceReadBps": options.texts("device-read-bps"),
        "BlkioDeviceWriteBps": options.texts("device-write-bps"),
        "BlkioDeviceReadIOps": options.texts("device-read-iops"),
        "BlkioDeviceWriteIOps": options.texts("device-write-iops"),
    }


def _devices(options: Options) -> Part:
    named = [device for device in options.texts("device") if _is_cdi(device)]
    requests = list(options.value("gpus"))
    if named:
        requests.append({"Driver": "cdi", "Count": 0, "DeviceIDs": named, "Capabilities": None, "Options": None})
    return {
        "Devices": [_device(device) for device in options.texts("device") if not _is_cdi(device)],
        "DeviceCgroupRules": options.texts("device-cgroup-rule") or None,
        "DeviceRequests": requests or None,
    }


def _is_cdi(device: str) -> bool:
    """`vendor.com/class=name`: a device of the Container Device Interface, not a path."""
    kind, mark, name = device.partition("=")
    return bool(mark and name) and "/" in kind and not kind.startswith("/")


def _device(text: str) -> Part:
    """`HOST[:CONTAINER][:PERMISSIONS]`."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise Fault(f"bad format for path: {text}")
    permissions = "rwm"
    inside = parts[1] if len(parts) > 1 else parts[0]
    if len(parts) == 3:
        permissions = parts[2]
        if not _are_permissions(permissions):
            raise Fault(f"bad mode specified: {permissions}")
    elif len(parts) == 2 and _are_permissions(parts[1]):
        permissions, inside = parts[1], parts[0]
    if not inside.startswith("/"):
        raise Fault(f"{inside} is not an absolute path")
    from os.path import normpath

    path = normpath(parts[0]) if inside == parts[0] else parts[0]
    target = path if inside == parts[0] else (inside if len(parts) == 3 else normpath(inside))
    return {"PathOnHost": path, "PathInContainer": target, "CgroupPermissions": permissions}


def _are_permissions(text: str) -> bool:
    return bool(text) and not text.strip("rwm") and len(set(text)) == len(text)
