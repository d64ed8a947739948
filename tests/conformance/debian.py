"""Newer peers and clients than this machine's release has: Debian packages, unpacked and never installed.

apt does the fetching in a root of its own: its own sources, lists and (empty) package status, but this host's mirror
and archive keyring, so that the signature of the suite's index and the hash of each package are checked as for an
installation.
Nothing of the host's package database is touched, and no maintainer script runs.

    root = unpacked("docker-cli")        # Path; root / "usr/bin/docker" is Debian unstable's
    root = unpacked("podman", dependencies=True)    # with every library that it needs
"""

import shutil
from pathlib import Path

from corten.images.bootstrap.sources import configured
from tests.conformance.cache import run, suite

__all__ = ["unpacked"]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UNSTABLE = "unstable"


def unpacked(*packages: str, dependencies: bool = False) -> Path:
    """The directory that holds the files of `packages` from Debian unstable, and of what they depend on if asked for.

    Raises RuntimeError where they cannot be had: no apt, no mirror, no network.
    """
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise RuntimeError(f"no {program} on this machine")
    name = f"debian-{UNSTABLE}-{'-'.join(packages)}-{'all-' if dependencies else ''}1"
    return suite(name, lambda place: fetch(place, packages, dependencies=dependencies))


def fetch(place: Path, packages: tuple[str, ...], *, dependencies: bool) -> None:
    apt = private_root(place / "apt")
    run("apt-get", *apt, "update", "-qq")
    if dependencies:  # the empty status makes apt resolve down to the C library
        run("apt-get", *apt, "install", "-qq", "-y", "--no-install-recommends", "--download-only", *packages)
    else:
        run("apt-get", *apt, "download", "-qq", *packages, cwd=place / "apt/cache/archives")
    for package in sorted(place.glob("apt/cache/archives/*.deb")):
        run("dpkg-deb", "--extract", package, place)
    shutil.rmtree(place / "apt")


def private_root(root: Path) -> list[str]:
    """apt's options for a root below `root` that knows one suite and trusts one keyring."""
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "lists/partial", "cache/archives/partial"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {UNSTABLE} main\n")
    options = {
        "Dir::Etc": root / "etc",
        "Dir::Etc::SourceList": root / "sources.list",
        "Dir::Etc::SourceParts": root / "none",
        "Dir::State": root,
        "Dir::State::Lists": root / "lists",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def mirror() -> str:
    """The mirror that this host's own main suite comes from."""
    for source in configured(Path("/etc/apt")):
        if source.keyring == str(KEYRING) and "-" not in source.suite:
            return source.uri
    raise RuntimeError("this host's package sources name no Debian mirror")
