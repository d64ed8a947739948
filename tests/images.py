"""Stand-in images made from Debian's busybox-static, without a hub and without a daemon.

    python -m tests.images OUT.tar [NAME:TAG …]      writes one docker-archive (docker load, skopeo docker-archive:)

Each name gets an image id of its own (suites delete images by id and must not take the others along), and the same
arguments give the same bytes. `hello-world` prints Docker's greeting; every other name is a small system with
busybox as each of its commands, and the users that suites ask for.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
DEFAULT_NAMES = ("busybox:latest", "alpine:latest", "hello-world:latest", "debian:bookworm-slim", "ubuntu:latest")
SYSTEM_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GREETING = "\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n\n"

DIRECTORIES = [
    *("dev", "etc", "etc/profile.d", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys"),
    *("tmp", "usr", "usr/bin", "usr/lib", "usr/local", "usr/local/bin", "usr/sbin", "usr/share"),
    *("var", "var/cache", "var/lib", "var/log", "var/opt", "var/run", "var/spool", "var/tmp", "var/www"),
]
MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
postgres:x:70:70::/var/lib/postgresql:/bin/sh
guest:x:405:100:guest:/dev/null:/sbin/nologin
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """\
root:x:0:root
daemon:x:1:
bin:x:2:
tty:x:5:
disk:x:6:
wheel:x:10:root
www-data:x:33:
postgres:x:70:
users:x:100:
nogroup:x:65534:
nobody:x:65534:
"""
RELEASES = {
    "alpine": 'ID=alpine\nNAME="Alpine Linux"\nVERSION_ID=3.19.0\n',
    "debian": 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    "ubuntu": 'ID=ubuntu\nNAME="Ubuntu"\nVERSION_ID="22.04"\n',
}


class Layer:
    """A layer under construction; entries come out in the order they were added, with no time and no owner."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, kind: bytes, *, mode: int = 0o755, target: str = "", data: bytes = b"") -> "Layer":
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(data)
        self._tar.addfile(entry, io.BytesIO(data))
        return self

    def directory(self, name: str, mode: int = 0o755) -> "Layer":
        return self.add(name, tarfile.DIRTYPE, mode=mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> "Layer":
        return self.add(name, tarfile.REGTYPE, mode=mode, data=data)

    def symlink(self, name: str, target: str) -> "Layer":
        return self.add(name, tarfile.SYMTYPE, mode=0o777, target=target)

    def hardlink(self, name: str, target: str) -> "Layer":
        return self.add(name, tarfile.LNKTYPE, target=target)

    def close(self) -> bytes:
        """The layer's bytes."""
        self._tar.close()
        return self._buffer.getvalue()


@cache
def system_layer(flavour: str = "busybox") -> bytes:
    """A layer with a small system in it: busybox as every command, users, the usual directories."""
    layer = Layer().directory("bin").file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    for name in DIRECTORIES:
        layer.directory(name, MODES.get(name, 0o755))
    for command in subprocess.check_output([BUSYBOX, "--list-full"], text=True).split():
        if command != "bin/busybox":
            layer.hardlink(command, "bin/busybox")
    layer.file("etc/passwd", PASSWD.encode()).file("etc/group", GROUP.encode())
    layer.file("etc/shadow", b"root:*::0:::::\n", 0o640).file("etc/nsswitch.conf", b"hosts: files dns\n")
    layer.file("etc/hosts", b"127.0.0.1 localhost\n").file("etc/resolv.conf", b"").file("etc/hostname", b"localhost\n")
    layer.file("etc/os-release", RELEASES.get(flavour, 'ID=busybox\nNAME="BusyBox"\n').encode())
    return layer.close()


@cache
def greeting_layer() -> bytes:
    """A layer whose only program prints Docker's greeting."""
    layer = Layer().directory("bin").file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    return (
        layer.file("hello", b"#!/bin/busybox sh\n/bin/busybox cat /hello.txt\n", 0o755)
        .file("hello.txt", GREETING.encode())
        .close()
    )


def config(layers: Iterable[bytes], *, note: str = "stand-in", **run: Any) -> bytes:
    """An image configuration over these layers; `run` is Docker's ``config`` object (Cmd, Env, …)."""
    sums = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    value = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Env": [SYSTEM_PATH], **run},
        "rootfs": {"type": "layers", "diff_ids": sums},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"{note} {n}"} for n in range(len(sums))],
    }
    return json.dumps(value).encode()


def docker_archive(images: Iterable[tuple[bytes, list[bytes], list[str]]]) -> bytes:
    """A tar as ``docker save`` of old wrote it, from (config, layers, names) of each image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        manifest, seen = [], set()

        def put(name: str, data: bytes) -> str:
            if name not in seen:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
                seen.add(name)
            return name

        for config_json, layers, names in images:
            paths = [put(f"{hashlib.sha256(layer).hexdigest()}/layer.tar", layer) for layer in layers]
            config_path = put(f"{hashlib.sha256(config_json).hexdigest()}.json", config_json)
            manifest.append({"Config": config_path, "RepoTags": names, "Layers": paths})
        put("manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def stand_in(name: str) -> tuple[bytes, list[bytes], list[str]]:
    """The image for one name: its config, its layers, its names."""
    flavour = name.split("/")[-1].split(":")[0]
    if flavour == "hello-world":
        layers, command = [greeting_layer()], ["/hello"]
    else:
        layers, command = [system_layer(flavour)], ["sh"] if flavour == "busybox" else ["/bin/sh"]
    return config(layers, note=f"stand-in {name}", Cmd=command), layers, [name]


def stand_ins(*names: str) -> bytes:
    """One docker-archive with the stand-ins of all these names."""
    return docker_archive(stand_in(name) for name in names or DEFAULT_NAMES)


def main(argv: list[str]) -> None:
    if not argv:
        sys.exit(__doc__)
    Path(argv[0]).write_bytes(stand_ins(*argv[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
