"""minbase: packages installed by their own dpkg in containers of ours; the archive is made around this host's dpkg."""

import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from corten.cli.image.scripts import run
from corten.images.bootstrap import Recipe, Result, lock, make
from corten.images.bootstrap.spdx import PATH
from corten.model.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.images import BUSYBOX
from tests.mirror import Mirror

pytestmark = [
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg"),
    pytest.mark.usefixtures("leaves_nothing"),
]
PROGRAMS = ("dpkg", "dpkg-deb", "dpkg-split", "tar")
APPLETS = ("sh", "rm", "diff", "cat", "ls", "find", "grep", "hostname", "date", "sed", "chown", "mkdir")
NOISE = """\
date +%s%N > /etc/machine-id; mkdir -p /var/log; date > /var/log/x.log; echo x > /var/log/dpkg.log
ls /sys/class/net > /networks
mkdir -p /run/x /tmp/x; date > /tmp/x/y; grep -q ^Pid /proc/self/status; hostname > /name
echo "a:*:$(( $(date +%s) / 86400 )):0:99999:7:::" > /etc/shadow; chown 4:5 /owned; echo noise >> /order
"""


def tools() -> dict[str, bytes | str]:
    """This host's dpkg and tar with the libraries they need, and busybox for the rest."""
    files: dict[str, bytes | str] = {
        "bin/busybox": BUSYBOX.read_bytes(),
        **{f"bin/{name}": "busybox" for name in APPLETS},
    }
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program
        files[f"usr/bin/{name}"] = Path(program).read_bytes()
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = Path(library).read_bytes()
    for name in ("ldconfig", "start-stop-daemon"):
        files[f"sbin/{name}"] = b"#!/bin/sh\nexit 0\n"
    return files


@pytest.fixture
def archive(scratch: Path) -> Mirror:
    mirror = Mirror(scratch / "mirror")
    required: Any = {"Priority": "required", "Maintainer": "Team <team@example.test>"}
    mirror.add("tools", {**tools(), "etc/kept": b"yes"}, Essential="yes", **required)
    mirror.add("apt", {}, Depends="noise", scripts={"postinst": "echo apt >> /order"}, **required)
    mirror.add("noise", {"owned": b""}, Pre_Depends="tools", scripts={"postinst": NOISE}, **required)
    mirror.add("plain", {"usr/plain": b"plain"}, Depends="apt")
    mirror.add(
        "needy",
        {},
        Pre_Depends="helper (>= 1)",
        scripts={"preinst": "grep -q helper /order", "postinst": "echo needy >> /order"},
    )
    mirror.add("helper", {}, scripts={"postinst": "echo helper >> /order"})
    mirror.publish()
    return mirror


def bootstrap(mirror: Mirror, cache: Path, packages: tuple[str, ...] = (), **more: Any) -> Result:
    keyring = str(mirror.root / "keyring.gpg")
    recipe = Recipe("debian:bookworm", "minbase", packages, mirror=mirror.uri, keyring=keyring)
    return make(recipe, cache=cache, run=run, **more)


def files(result: Result) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(result.image.layer)) as layer:
        return {one.name: (one, file.read() if (file := layer.extractfile(one)) else b"") for one in layer}


def test_packages_are_set_up_in_order_without_network_and_twice_the_same(archive: Mirror, scratch: Path) -> None:
    first = bootstrap(archive, scratch / "cache", ("needy", "plain"))
    tree = files(first)
    assert tree["order"][1].split() == [b"noise", b"apt", b"helper", b"needy"]
    assert tree["networks"][1] == b"lo\n"
    assert tree["name"][1] == b"corten\n"
    assert (tree["owned"][0].uid, tree["owned"][0].gid) == (4, 5)
    status = tree["var/lib/dpkg/status"][1].decode()
    assert status.count("Status: install ok installed") == 6
    gone = {"var/log/dpkg.log", "usr/sbin/policy-rc.d", "tmp/x", "run/x", "var/lib/dpkg/lock"}
    assert not gone & set(tree)
    assert tree["etc/machine-id"][1] == tree["var/log/x.log"][1] == b""
    assert tree["etc/shadow"][1] == b"a:*:19675:0:99999:7:::\n"  # the release's day
    assert {"dev", "proc", "sys"} <= set(tree)
    assert max(one.mtime for one, _ in tree.values()) <= 1_700_000_000
    assert bootstrap(archive, scratch / "cache", ("needy", "plain")).image.id == first.image.id
    assert tree[PATH][1] == first.sbom
    helper = {one["name"]: one for one in json.loads(first.sbom)["packages"]}["helper"]
    assert helper["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/helper@1?arch=amd64&distro=bookworm"


def test_a_lock_makes_the_same_image_when_the_archive_has_moved_on(archive: Mirror, scratch: Path) -> None:
    first = bootstrap(archive, scratch / "cache", ("helper",))
    lock.write(first.lock, scratch / "base.lock")
    kept = lock.read(scratch / "base.lock")
    old = next((archive.root / "pool").glob("helper*"))
    archive.add("helper", {}, version="2", scripts={"postinst": "echo newer >> /order"})
    archive.publish()
    assert bootstrap(archive, scratch / "cache", ("helper",)).image.id != first.image.id
    again = bootstrap(archive, scratch / "empty", ("helper",), locked=kept)
    assert again.image.id == first.image.id
    assert again.lock == first.lock
    shutil.copytree(archive.root, scratch / "snapshot")
    old.unlink()
    with pytest.raises(NotFound, match=r"helper_\d+.deb: no such file") as gone:
        bootstrap(archive, scratch / "other", ("helper",), locked=kept)
    assert "snapshot" in gone.value.hint
    recipe = Recipe("debian:bookworm", "minbase", ("helper",), mirror=f"file://{scratch}/snapshot")
    assert make(recipe, cache=scratch / "third", run=run, locked=kept).image.id == first.image.id
    with pytest.raises(InvalidArgument, match="the lock is for the packages"):
        bootstrap(archive, scratch / "cache", ("needy",), locked=kept)


def test_a_script_that_fails_is_shown_and_nothing_is_left(
    archive: Mirror, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add("broken", {}, scripts={"postinst": "echo what went wrong >&2; exit 7"})
    archive.publish()
    work = scratch / "work"
    work.mkdir()
    monkeypatch.setenv("TMPDIR", str(work))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(FailedPrecondition, match="what went wrong"):
        bootstrap(archive, scratch / "cache", ("broken",))
    assert list(work.iterdir()) == []
