"""The OCI runtime configuration (``config.json``) as it stands in JSON, typed and nothing more.

These TypedDicts exist for the type checker: a spec travels through Corten as the plain dictionaries that `json` made,
so that the compile path needs no model library. `corten.runtime.validate` checks the values where they are read.
Field by field: opencontainers/runtime-spec, `config.md` and `config-linux.md`, version 1.3.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = [
    "Capabilities",
    "Device",
    "DeviceRule",
    "Hook",
    "Hooks",
    "IdMapping",
    "Linux",
    "Mount",
    "Namespace",
    "NetDevice",
    "Process",
    "Resources",
    "Rlimit",
    "Root",
    "RuntimeSpec",
    "Seccomp",
    "SyscallArg",
    "SyscallRule",
    "User",
]


class Root(TypedDict):
    path: str
    readonly: NotRequired[bool]


class IdMapping(TypedDict):
    containerID: int
    hostID: int
    size: int


class Mount(TypedDict):
    destination: str
    type: NotRequired[str]
    source: NotRequired[str]
    options: NotRequired[list[str]]
    uidMappings: NotRequired[list[IdMapping]]
    gidMappings: NotRequired[list[IdMapping]]


class User(TypedDict):
    uid: int
    gid: int
    umask: NotRequired[int]
    additionalGids: NotRequired[list[int]]


class Capabilities(TypedDict, total=False):
    bounding: list[str]
    effective: list[str]
    inheritable: list[str]
    permitted: list[str]
    ambient: list[str]


class Rlimit(TypedDict):
    type: str
    soft: int
    hard: int


class ConsoleSize(TypedDict):
    height: int
    width: int


class Scheduler(TypedDict):
    policy: str
    nice: NotRequired[int]
    priority: NotRequired[int]
    flags: NotRequired[list[str]]
    runtime: NotRequired[int]
    deadline: NotRequired[int]
    period: NotRequired[int]


IOPriority = TypedDict("IOPriority", {"class": str, "priority": int})


class CPUAffinity(TypedDict, total=False):
    initial: str
    final: str


class Process(TypedDict):
    cwd: str
    terminal: NotRequired[bool]
    consoleSize: NotRequired[ConsoleSize]
    user: NotRequired[User]
    args: NotRequired[list[str]]
    env: NotRequired[list[str]]
    capabilities: NotRequired[Capabilities]
    rlimits: NotRequired[list[Rlimit]]
    noNewPrivileges: NotRequired[bool]
    apparmorProfile: NotRequired[str]
    selinuxLabel: NotRequired[str]
    oomScoreAdj: NotRequired[int]
    scheduler: NotRequired[Scheduler]
    ioPriority: NotRequired[IOPriority]
    execCPUAffinity: NotRequired[CPUAffinity]


class Hook(TypedDict):
    path: str
    args: NotRequired[list[str]]
    env: NotRequired[list[str]]
    timeout: NotRequired[int]


class Hooks(TypedDict, total=False):
    prestart: list[Hook]
    createRuntime: list[Hook]
    createContainer: list[Hook]
    startContainer: list[Hook]
    poststart: list[Hook]
    poststop: list[Hook]


class Namespace(TypedDict):
    type: str
    path: NotRequired[str]


class Device(TypedDict):
    path: str
    type: str
    major: NotRequired[int]
    minor: NotRequired[int]
    fileMode: NotRequired[int]
    uid: NotRequired[int]
    gid: NotRequired[int]


class NetDevice(TypedDict, total=False):
    name: str


class DeviceRule(TypedDict):
    allow: bool
    type: NotRequired[str]
    major: NotRequired[int]
    minor: NotRequired[int]
    access: NotRequired[str]


class Memory(TypedDict, total=False):
    limit: int
    reservation: int
    swap: int
    kernel: int
    kernelTCP: int
    swappiness: int
    disableOOMKiller: bool
    useHierarchy: bool
    checkBeforeUpdate: bool


class CPU(TypedDict, total=False):
    shares: int
    quota: int
    burst: int
    period: int
    realtimeRuntime: int
    realtimePeriod: int
    cpus: str
    mems: str
    idle: int


class Pids(TypedDict):
    limit: int


class WeightDevice(TypedDict):
    major: int
    minor: int
    weight: NotRequired[int]
    leafWeight: NotRequired[int]


class ThrottleDevice(TypedDict):
    major: int
    minor: int
    rate: int


class BlockIO(TypedDict, total=False):
    weight: int
    leafWeight: int
    weightDevice: list[WeightDevice]
    throttleReadBpsDevice: list[ThrottleDevice]
    throttleWriteBpsDevice: list[ThrottleDevice]
    throttleReadIOPSDevice: list[ThrottleDevice]
    throttleWriteIOPSDevice: list[ThrottleDevice]


class HugepageLimit(TypedDict):
    pageSize: str
    limit: int


class InterfacePriority(TypedDict):
    name: str
    priority: int


class Network(TypedDict, total=False):
    classID: int
    priorities: list[InterfacePriority]


class Rdma(TypedDict, total=False):
    hcaHandles: int
    hcaObjects: int


class Resources(TypedDict, total=False):
    devices: list[DeviceRule]
    memory: Memory
    cpu: CPU
    pids: Pids
    blockIO: BlockIO
    hugepageLimits: list[HugepageLimit]
    network: Network
    rdma: dict[str, Rdma]
    unified: dict[str, str]


class SyscallArg(TypedDict):
    index: int
    value: int
    op: str
    valueTwo: NotRequired[int]


class SyscallRule(TypedDict):
    names: list[str]
    action: str
    errnoRet: NotRequired[int]
    args: NotRequired[list[SyscallArg]]


class Seccomp(TypedDict):
    defaultAction: str
    defaultErrnoRet: NotRequired[int]
    architectures: NotRequired[list[str]]
    flags: NotRequired[list[str]]
    listenerPath: NotRequired[str]
    listenerMetadata: NotRequired[str]
    syscalls: NotRequired[list[SyscallRule]]


class TimeOffset(TypedDict, total=False):
    secs: int
    nanosecs: int


class IntelRdt(TypedDict, total=False):
    closID: str
    schemata: list[str]
    l3CacheSchema: str
    memBwSchema: str
    enableMonitoring: bool


class Personality(TypedDict):
    domain: str
    flags: NotRequired[list[str]]


class MemoryPolicy(TypedDict):
    mode: str
    nodes: NotRequired[str]
    flags: NotRequired[list[str]]


class Linux(TypedDict, total=False):
    namespaces: list[Namespace]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]
    timeOffsets: dict[str, TimeOffset]
    devices: list[Device]
    netDevices: dict[str, NetDevice]
    cgroupsPath: str
    resources: Resources
    sysctl: dict[str, str]
    seccomp: Seccomp
    rootfsPropagation: str
    maskedPaths: list[str]
    readonlyPaths: list[str]
    mountLabel: str
    personality: Personality
    intelRdt: IntelRdt
    memoryPolicy: MemoryPolicy


class RuntimeSpec(TypedDict):
    ociVersion: str
    root: NotRequired[Root]
    process: NotRequired[Process]
    hostname: NotRequired[str]
    domainname: NotRequired[str]
    mounts: NotRequired[list[Mount]]
    hooks: NotRequired[Hooks]
    annotations: NotRequired[dict[str, str]]
    linux: NotRequired[Linux]
    vm: NotRequired[dict[str, Any]]
