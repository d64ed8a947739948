"""The flags that describe a container to be: shared by `run` and `create`.

Each is a row with its own reader, so that a wrong value is refused with its flag's name before anything else
happens. How the rows become the body of the request is in `corten.cli.container.config`.
"""

from __future__ import annotations

from corten.cli import values
from corten.cli.container import readers
from corten.cli.flags import Flag, integer, number, switch, text, texts, value
from corten.client.environment import variable

__all__ = ["CONTAINER_FLAGS", "CREATE_FLAGS", "MEMORY_FLAGS", "RUN_FLAGS"]

_UINT16 = integer(0, 2**16 - 1)
_UINT64 = integer(0, 2**64 - 1)
_TIME = "duration"

# Which `update` can change as well.
MEMORY_FLAGS = (
    value(
        "kernel-memory",
        "",
        "Kernel memory",
        "bytes",
        values.memory,
        0,
        gone="and no longer supported by the kernel",
    ),
    value("memory", "m", "Most memory", "bytes", values.memory, 0),
    value("memory-reservation", "", "Memory to fall back to when it gets scarce", "bytes", values.memory, 0),
    value("memory-swap", "", "Most memory and swap together, -1 for no limit", "bytes", values.memory_swap, 0),
)


def _process() -> tuple[Flag, ...]:
    return (
        texts("attach", "a", "Connect to STDIN, STDOUT or STDERR", read=readers.stream_name),
        text("entrypoint", "", "Program to run in place of the image's ENTRYPOINT"),
        texts("env", "e", "Set an environment variable; without a value it takes ours", read=readers.variable),
        texts("env-file", "", "Read environment variables from a file"),
        texts("group-add", "", "Join a further group"),
        switch("init", "", "Put an init before the command that passes signals on and reaps children"),
        switch("interactive", "i", "Keep stdin open even when nobody is attached"),
        text("stop-signal", "", "Signal that asks the container to stop"),
        number("stop-timeout", "", "Seconds to wait for a stop before killing"),
        switch("tty", "t", "Give the command a terminal"),
        texts("ulimit", "", "Set a limit, NAME=SOFT[:HARD]", kind="ulimit", read=readers.ulimit),
        text("user", "u", "Run as this user, NAME|UID[:GROUP|GID]"),
        text("workdir", "w", "Working directory of the command"),
    )


def _identity() -> tuple[Flag, ...]:
    return (
        texts("annotation", "", "Add an annotation that the OCI runtime sees", kind="map", read=values.key_value),
        text("cidfile", "", "Write the container's id to this file"),
        text("domainname", "", "NIS domain name"),
        text("hostname", "h", "Host name"),
        texts("label", "l", "Add a label", read=readers.label),
        texts("label-file", "", "Read labels from a file, one a line"),
        text("name", "", "Name of the container"),
        text("platform", "", "Platform to choose from an image for several", variable("DOCKER_DEFAULT_PLATFORM")),
        text("pull", "", 'When to fetch the image: "always", "missing", "never"', "missing"),
        switch("quiet", "q", "Do not show the progress of a pull"),
        text("restart", "", "When to start again: no, always, unless-stopped, on-failure[:N]", "no"),
        switch("rm", "", "Remove the container and its anonymous volumes when it ends"),
        text("runtime", "", "OCI runtime that runs the container"),
        switch("use-api-socket", "", "Lend the engine's socket and the registry logins to the container", hidden=True),
    )


def _security() -> tuple[Flag, ...]:
    return (
        texts("cap-add", "", "Grant a capability"),
        texts("cap-drop", "", "Take a capability away"),
        text("cgroupns", "", "Cgroup namespace: host, private, or empty for the engine's default"),
        text("cgroup-parent", "", "Cgroup below which the container's is made"),
        text("ipc", "", "IPC namespace: none, private, shareable, host, container:NAME"),
        text("isolation", "", "Isolation technology (default is the only one on Linux)"),
        text("pid", "", "PID namespace: host, container:NAME"),
        switch("privileged", "", "Grant everything that the engine itself may do"),
        switch("read-only", "", "Make the root filesystem read-only"),
        texts("security-opt", "", "Security option: no-new-privileges, seccomp=FILE|unconfined, apparmor=, label="),
        texts("sysctl", "", "Set a namespaced kernel parameter", kind="map", read=readers.sysctl),
        text("userns", "", "User namespace: host, or empty for the engine's"),
        text("uts", "", "UTS namespace: host, or empty for its own"),
    )


def _network() -> tuple[Flag, ...]:
    return (
        texts("add-host", "", "Add a line to /etc/hosts, HOST:IP", read=readers.extra_host),
        texts("dns", "", "Name server to use", read=readers.address),
        texts("dns-option", "", "Option for resolv.conf"),
        texts("dns-opt", "", "Option for resolv.conf", same_as="dns-option", hidden=True),
        texts("dns-search", "", "Domain to search names in", read=readers.search_domain),
        texts("expose", "", "Expose a port or a range of ports"),
        text("ip", "", "IPv4 address (172.30.100.104)", read=readers.optional_address),
        text("ip6", "", "IPv6 address (2001:db8::33)", read=readers.optional_address),
        texts("link", "", "Link to another container, NAME[:ALIAS]", read=readers.link),
        texts("link-local-ip", "", "Link-local address of the container"),
        text("mac-address", "", "MAC address (92:d0:c6:0a:29:33)"),
        texts("network", "", "Network to join; name=NET,alias=A,ip=… for more", kind="network", read=readers.network),
        texts("net", "", "Network to join", kind="network", read=readers.network, same_as="network", hidden=True),
        texts("network-alias", "", "Further name of the container in its network"),
        texts("net-alias", "", "Further name in its network", same_as="network-alias", hidden=True),
        texts("publish", "p", "Publish a port on the host, [[IP:]HOST:]PORT[/PROTO]"),
        switch("publish-all", "P", "Publish every exposed port at a free port of the host"),
    )


def _storage() -> tuple[Flag, ...]:
    return (
        text("log-driver", "", "Log driver"),
        texts("log-opt", "", "Option for the log driver"),
        texts(
            "mount", "", "Mount something, type=bind|volume|tmpfs,source=…,target=…", kind="mount", read=readers.mount
        ),
        value("shm-size", "", "Size of /dev/shm", "bytes", values.memory, 0),
        texts("storage-opt", "", "Option for the snapshotter"),
        texts("tmpfs", "", "Mount a tmpfs at a directory"),
        texts("volume", "v", "Mount a volume or a host's path, [SOURCE:]TARGET[:OPTIONS]"),
        text("volume-driver", "", "Driver of the volumes that are made on the way"),
        texts("volumes-from", "", "Mount what another container mounts"),
    )


def _health() -> tuple[Flag, ...]:
    return (
        text("health-cmd", "", "Command that checks the container's health"),
        value("health-interval", "", "Time between two checks", _TIME, values.duration, 0),
        number("health-retries", "", "Failures in a row that make it unhealthy"),
        value("health-start-interval", "", "Time between two checks while it starts", _TIME, values.duration, 0),
        value("health-start-period", "", "Time to start in, before failures count", _TIME, values.duration, 0),
        value("health-timeout", "", "Longest time one check may take", _TIME, values.duration, 0),
        switch("no-healthcheck", "", "Disable the image's health check"),
    )


def _resources() -> tuple[Flag, ...]:
    return (
        number("blkio-weight", "", "Share of block I/O, 10 to 1000, 0 for none", kind="uint16", read=_UINT16),
        texts("blkio-weight-device", "", "Share of a device's I/O, DEVICE:WEIGHT", read=readers.device_weight),
        number("cpu-count", "", "Number of CPUs (Windows only)", hidden=True),
        number("cpu-percent", "", "Percentage of CPU (Windows only)", hidden=True),
        number("cpu-period", "", "Length of a CFS period in microseconds"),
        number("cpu-quota", "", "CPU time in each CFS period in microseconds"),
        number("cpu-rt-period", "", "Length of a real-time period in microseconds"),
        number("cpu-rt-runtime", "", "Real-time CPU time in each period in microseconds"),
        number("cpu-shares", "c", "Share of CPU time against others"),
        value("cpus", "", "Number of CPUs, such as 1.5", "decimal", values.cpus, 0),
        text("cpuset-cpus", "", "CPUs it may run on (0-3, 0,1)"),
        text("cpuset-mems", "", "Memory nodes it may use (0-3, 0,1)"),
        texts("device", "", "Give a device of the host, PATH[:PATH][:PERMISSIONS]"),
        texts("device-cgroup-rule", "", "Allow devices, TYPE MAJOR:MINOR PERMISSIONS", read=readers.device_rule),
        texts("device-read-bps", "", "Bytes a second to read from a device", read=readers.device_bytes),
        texts("device-read-iops", "", "Reads a second from a device", read=readers.device_operations),
        texts("device-write-bps", "", "Bytes a second to write to a device", read=readers.device_bytes),
        texts("device-write-iops", "", "Writes a second to a device", read=readers.device_operations),
        texts("gpus", "", "GPUs to give ('all' for all of them)", kind="gpu-request", read=readers.gpu_request),
        value("io-maxbandwidth", "", "Most I/O bandwidth (Windows only)", "bytes", values.memory, 0, hidden=True),
        number("io-maxiops", "", "Most I/O operations (Windows only)", kind="uint", read=_UINT64, hidden=True),
        *MEMORY_FLAGS,
        number("memory-swappiness", "", "Readiness to swap, 0 to 100", -1),
        switch("oom-kill-disable", "", "Do not kill when memory runs out"),
        number("oom-score-adj", "", "Preference of the OOM killer, -1000 to 1000"),
        number("pids-limit", "", "Most processes, -1 for no limit"),
    )


_TRUST = switch("disable-content-trust", "", "Skip the verification of the image", default=True, hidden=True)

CONTAINER_FLAGS = (
    *_process(), *_identity(), *_security(), *_network(), *_storage(), *_health(), *_resources(), _TRUST
)  # fmt: skip
CREATE_FLAGS = CONTAINER_FLAGS
RUN_FLAGS = (
    *CONTAINER_FLAGS,
    switch("detach", "d", "Run in the background and print the id"),
    text("detach-keys", "", "Keys that detach from the container"),
    switch("sig-proxy", "", "Pass the signals we get on to the container", default=True),
    texts(
        "explain", "", "Tell the story of this run: all of it, or PHASE,…", kind="phases", read=values.csv, alone="all"
    ),
    text("rootfs", "", "Run on a directory instead of an image; DIR:O keeps changes apart"),
)
