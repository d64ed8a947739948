"""Reads what a request says of mounts: `-v` strings (`Binds`), `--mount` objects, the image's and the user's bare
volumes.

    -v /host/dir:/data:ro,z     a bind; the host's directory is made when missing
    -v name:/data:nocopy        a named volume
    -v /data                    an anonymous volume (arrives in `Config.Volumes`)
    --mount type=bind,…         a bind whose source must exist

The result is a list of `MountPoint`, one for each destination. Volumes have no `source` yet: they are made by
`volumes`.
"""

import posixpath
from collections.abc import Iterable

from msgspec.structs import replace

from corten.engine.record import MountPoint
from corten.model.container import ContainerConfig, HostConfig, Mount
from corten.model.errors import InvalidArgument, Unimplemented
from corten.spec import tmpfs

__all__ = ["from_binds", "from_mounts", "parse_bind", "requested"]

PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
IGNORED = frozenset(("z", "Z", "consistent", "cached", "delegated", "default"))
COPY_MODES = frozenset(("copy", "nocopy"))


def requested(config: ContainerConfig, host: HostConfig, inherited: Iterable[MountPoint]) -> tuple[MountPoint, ...]:
    """Every mount of a container, by destination: the inherited (`--volumes-from`) give way to the asked-for ones.

    A destination asked for twice is refused; a bare volume gives way to anything.
    """
    points = {point.destination: point for point in inherited}
    asked: set[str] = set()
    for point in (*from_binds(host.binds or ()), *from_mounts(host.mounts or ()), *from_tmpfs(host)):
        if point.destination in asked:
            raise InvalidArgument(f"Duplicate mount point: {point.destination}")
        asked.add(point.destination)
        points[point.destination] = point
    for path in config.volumes or {}:
        destination = clean(path, path)
        anonymous = MountPoint("volume", destination, driver=host.volume_driver, copy_up=True, anonymous=True)
        points.setdefault(destination, anonymous)
    return tuple(points.values())


def clean(destination: str, spec: str) -> str:
    """The destination in normal form; it must be absolute and not the root."""
    if not destination.startswith("/"):
        raise InvalidArgument(
            f"invalid volume specification: '{spec}': invalid mount config for type \"volume\": "
            f"invalid mount path: '{destination}' mount path must be absolute"
        )
    normal = posixpath.normpath(destination)
    if normal in ("/", "//"):
        raise InvalidArgument(
            f"invalid volume specification: '{spec}': invalid specification: destination can't be '/'"
        )
    if "\0" in normal:
        raise InvalidArgument(f"invalid volume specification: '{spec!r}'")
    return "/" + normal.lstrip("/")


def from_binds(binds: Iterable[str]) -> list[MountPoint]:
    return [parse_bind(text) for text in binds]


def parse_bind(text: str) -> MountPoint:
    """One `-v` string."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1]:
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, destination, mode = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    point = MountPoint("bind", clean(destination, text), mode=mode)
    point = with_mode(point, mode, text)
    if source.startswith("/"):
        if {"copy", "nocopy"} & set(mode.split(",")):
            raise InvalidArgument(f"invalid mode: {mode}")
        return replace(point, source=posixpath.normpath(source), propagation=point.propagation or "rprivate")
    nocopy = "nocopy" in mode.split(",")
    return replace(point, type="volume", name=source, copy_up=not nocopy)


def with_mode(point: MountPoint, mode: str, text: str) -> MountPoint:
    """The mode's words: access, propagation and labels once each at most."""
    words = mode.split(",") if mode else []
    access = [word for word in words if word in ("ro", "rw")]
    propagation = [word for word in words if word in PROPAGATIONS]
    known = len(access) + len(propagation) + sum(word in IGNORED | COPY_MODES for word in words)
    if known != len(words) or len(access) > 1 or len(propagation) > 1 or (mode == "" and text.endswith(":")):
        raise InvalidArgument(f"invalid mode: {mode}")
    return replace(point, rw=access != ["ro"], propagation="".join(propagation))


def from_mounts(mounts: Iterable[Mount]) -> list[MountPoint]:
    return [from_mount(mount) for mount in mounts]


def from_mount(mount: Mount) -> MountPoint:
    """One `--mount`; options that belong to another type are refused."""
    check_options(mount)
    destination = clean_target(mount)
    match mount.type:
        case "bind":
            return from_bind_mount(mount, destination)
        case "volume":
            return from_volume_mount(mount, destination)
        case "tmpfs":
            options = tuple(tmpfs.from_mount(mount.tmpfs_options, readonly=mount.read_only))
            return MountPoint("tmpfs", destination, rw=not mount.read_only, options=options)
        case "image":
            raise Unimplemented("--mount type=image is not built yet")
        case "npipe" | "cluster":
            raise InvalidArgument(f'invalid mount config for type "{mount.type}": it does not exist on this host')
    raise invalid(mount, "mount type unknown")


def invalid(mount: Mount, cause: str) -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{mount.type}": {cause}')


def check_options(mount: Mount) -> None:
    given = {
        "bind": ("BindOptions", mount.bind_options),
        "volume": ("VolumeOptions", mount.volume_options),
        "tmpfs": ("TmpfsOptions", mount.tmpfs_options),
        "image": ("ImageOptions", mount.image_options),
    }
    for kind, (name, options) in given.items():
        if options is not None and kind != mount.type:
            raise invalid(mount, f"field {name} must not be specified")


def clean_target(mount: Mount) -> str:
    if not mount.target:
        raise invalid(mount, "field Target must not be empty")
    if not mount.target.startswith("/"):
        raise invalid(mount, f"invalid mount path: '{mount.target}' mount path must be absolute")
    normal = "/" + posixpath.normpath(mount.target).lstrip("/")
    if normal == "/":
        raise invalid(mount, "invalid specification: destination can't be '/'")
    return normal


def from_bind_mount(mount: Mount, destination: str) -> MountPoint:
    if not mount.source:
        raise invalid(mount, "field Source must not be empty")
    if not mount.source.startswith("/"):
        raise invalid(mount, f"invalid mount path: '{mount.source}' mount path must be absolute")
    options = mount.bind_options
    propagation = options.propagation if options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise invalid(mount, f"invalid propagation mode: {propagation}")
    if options and options.read_only_non_recursive and options.read_only_force_recursive:
        raise invalid(mount, "ReadOnlyForceRecursive and ReadOnlyNonRecursive must not be set together")
    words = {
        "bind": bool(options and options.non_recursive),
        "must-exist": not (options and options.create_mountpoint),
        "ro-here-only": bool(options and (options.read_only_non_recursive or options.non_recursive)),
    }
    return MountPoint(
        "bind",
        destination,
        source=posixpath.normpath(mount.source),
        rw=not mount.read_only,
        propagation=propagation or "rprivate",
        options=tuple(word for word, present in words.items() if present),
    )


def from_volume_mount(mount: Mount, destination: str) -> MountPoint:
    options = mount.volume_options
    config = options.driver_config if options else None
    return MountPoint(
        "volume",
        destination,
        name=mount.source,
        driver=config.name if config else "",
        rw=not mount.read_only,
        copy_up=not (options and options.no_copy),
        anonymous=not mount.source,
        subpath=options.subpath if options else "",
        volume_options=dict(config.options or {}) if config else {},
        volume_labels=dict(options.labels or {}) if options else {},
    )


def from_tmpfs(host: HostConfig) -> list[MountPoint]:
    return [
        MountPoint("tmpfs", clean(path, path), options=tuple(tmpfs.options(text)), mode=text)
        for path, text in (host.tmpfs or {}).items()
    ]
