"""Bootstrap from a small signed mirror: trust, closure, layout, and the same bytes twice."""

import io
import json
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from corten.images.bootstrap import Recipe, Result, make
from corten.images.bootstrap.archive import write
from corten.images.bootstrap.index import Package, compare_versions, parse_packages
from corten.images.bootstrap.openpgp import read_keyring, split_clearsigned, verify
from corten.images.bootstrap.solve import closure
from corten.images.bootstrap.sources import suites
from corten.model.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from tests.mirror import Mirror, Signer

BUSYBOX = b"\x7fELF junk\0[\0[[\0ash\0httpd\0sh\0\0more"
COPYRIGHT, NEWS = "usr/share/doc/parts/copyright", "usr/share/doc/parts/NEWS"


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path / "mirror")
    mirror.add("base-files", {"etc/issue": b"hello\n", "lib/x": b"x"}, Depends="awk, nothing-at-all")
    mirror.add("base-passwd", {"usr/share/base-passwd/passwd.master": b"root:x:0:0::/root:/bin/sh\n"})
    mirror.add("netbase", {"etc/protocols": b"tcp 6\n"})
    mirror.add("tzdata", {"usr/share/zoneinfo/Etc/UTC": b"TZif"})
    mirror.add("ca-certificates", {"usr/share/ca-certificates/a/b.crt": b"CERT\n"}, Depends="openssl")
    mirror.add("libc6", {"lib/x86_64-linux-gnu/libc.so.6": b"libc"}, Depends="libgcc-s1")
    mirror.add("libgcc-s1", {"lib/libgcc.so": b"gcc"}, Depends="libc6")
    mirror.add("libssl3", {"usr/lib/libssl.so": b"ssl", "usr/share/man/man1/x.1": b"manual"}, Depends="libc6")
    mirror.add("dash", {"bin/dash": b"dash", "bin/sh": "dash"}, Depends="shell-parts (>= 1) | other")
    mirror.add("parts", {COPYRIGHT: b"(c)", NEWS: b"n"}, Provides="shell-parts")
    mirror.add("busybox-static", {"bin/busybox": BUSYBOX})
    mirror.publish()
    return mirror


def bootstrap(mirror: Mirror, cache: Path, name: str = "debian:bookworm", **fields: Any) -> Result:
    recipe = Recipe(name, mirror=mirror.uri, keyring=str(mirror.root / "keyring.gpg"))
    return make(recipe._replace(**fields), cache=cache)


def layer(result: Result) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(result.image.layer))


def test_the_same_release_gives_the_same_digest(mirror: Mirror, tmp_path: Path) -> None:
    first = bootstrap(mirror, tmp_path / "cache-1", packages=("dash",))
    second = bootstrap(mirror, tmp_path / "cache-2", packages=("dash",))
    assert first.image.id == second.image.id
    assert first.signers == (mirror.signer.fingerprint.hex().upper(),)


def test_base_holds_the_closure_and_merges_usr(mirror: Mirror, tmp_path: Path) -> None:
    result = bootstrap(mirror, tmp_path / "cache", packages=("dash",))
    assert {"dash", "parts", "libc6", "libgcc-s1"} <= {one.name for one in result.packages}
    with layer(result) as archive:
        entries = {entry.name: entry for entry in archive}
    assert entries["bin"].linkname == "usr/bin"
    assert entries["usr/bin/sh"].linkname == "dash"
    assert entries["usr/lib/x86_64-linux-gnu/libc.so.6"].isreg()
    assert COPYRIGHT in entries
    assert NEWS not in entries
    assert "usr/share/man/man1/x.1" not in entries
    assert all(entry.mtime <= 1_700_000_000 and not entry.uname for entry in entries.values())
    assert list(entries) == sorted(entries)


def test_static_holds_accounts_and_certificates_but_no_libc(mirror: Mirror, tmp_path: Path) -> None:
    with layer(bootstrap(mirror, tmp_path / "cache", variant="static")) as archive:
        names = archive.getnames()
        bundle = archive.extractfile("etc/ssl/certs/ca-certificates.crt")
        assert bundle
        assert bundle.read() == b"CERT\n"
    assert {"etc/passwd", "etc/shadow", "etc/localtime", "tmp", "var/lib/dpkg/status.d/tzdata"} <= set(names)
    assert not any("libc.so" in name for name in names)


def test_busybox_is_laid_out_as_its_applets(mirror: Mirror, tmp_path: Path) -> None:
    result = bootstrap(mirror, tmp_path / "cache", "busybox")
    with layer(result) as archive:
        links = {entry.name for entry in archive if entry.islnk()}
    assert links == {"bin/[", "bin/[[", "bin/ash", "bin/httpd", "bin/sh", "usr/bin/env"}
    assert json.loads(result.image.config)["config"]["Cmd"] == ["sh"]


def test_the_archive_is_one_that_load_reads(mirror: Mirror, tmp_path: Path) -> None:
    result = bootstrap(mirror, tmp_path / "cache", tag="mine")
    out = io.BytesIO()
    write(result.image, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        members = {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry))}
    (manifest,) = json.loads(members["manifest.json"])
    assert manifest["RepoTags"] == ["mine:latest"]
    assert members[manifest["Config"]] == result.image.config
    assert members[manifest["Layers"][0]] == result.image.layer


def test_a_changed_package_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    package = next((mirror.root / "pool").glob("netbase*"))
    package.write_bytes(package.read_bytes().replace(b"!<arch>", b"?<arch>"))
    with pytest.raises(DataLoss, match="not the file that the signed index promises"):
        bootstrap(mirror, tmp_path / "cache")


def test_a_changed_index_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    for path in mirror.root.glob("dists/bookworm/main/*/Packages.xz"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DataLoss, match="signed index"):
        bootstrap(mirror, tmp_path / "cache")


def test_a_changed_release_or_a_foreign_key_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    path = mirror.root / "dists/bookworm/InRelease"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"Codename: bookworm", b"Codename: bookwurm"))
    with pytest.raises(DataLoss, match="no good signature"):
        bootstrap(mirror, tmp_path / "cache")
    path.write_bytes(good)
    (mirror.root / "keyring.gpg").write_bytes(Signer().keyring())
    with pytest.raises(DataLoss, match="no good signature"):
        bootstrap(mirror, tmp_path / "cache")


def test_a_release_past_its_valid_until_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish(valid_until=time.time() - 60)
    with pytest.raises(DataLoss, match="valid until"):
        bootstrap(mirror, tmp_path / "cache")


def test_a_revoked_or_expired_key_does_not_vouch() -> None:
    signer = Signer()
    text, signatures = split_clearsigned(signer.clearsign("hello"))
    keys = read_keyring(signer.keyring())
    assert verify(text, signatures, keys, now=int(time.time())) == signer.fingerprint.hex().upper()
    (key,) = keys.values()
    for bad in (key._replace(revoked=True), key._replace(expires=key.created + 1)):
        with pytest.raises(DataLoss):
            verify(text, signatures, {bad.fingerprint: bad}, now=int(time.time()))


@pytest.mark.skipif(not shutil.which("gpgv"), reason="gpgv is not installed")
def test_gpgv_agrees_about_a_signature(tmp_path: Path) -> None:
    signer = Signer()
    ring, message = tmp_path / "ring.gpg", tmp_path / "message"
    ring.write_bytes(signer.keyring())
    for text, good in ((signer.clearsign("dashes\n and spaces \nend"), True), (Signer().clearsign("other"), False)):
        message.write_bytes(text)
        ours = True
        try:
            verify(*split_clearsigned(text), read_keyring(signer.keyring()), now=int(time.time()))
        except DataLoss:
            ours = False
        theirs = subprocess.run(["gpgv", "--keyring", ring, message], capture_output=True, check=False)
        assert (theirs.returncode == 0) == ours == good, theirs.stderr


def test_an_unknown_package_names_who_asked_for_it(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("broken", {}, Depends="absent")
    mirror.publish()
    with pytest.raises(NotFound, match="no package absent, which broken depends on"):
        bootstrap(mirror, tmp_path / "cache", packages=("broken",))


def test_a_package_that_leaves_the_root_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("evil", {"../../etc/passwd": b"root"})
    mirror.publish()
    with pytest.raises(DataLoss, match="leaves the root"):
        bootstrap(mirror, tmp_path / "cache", packages=("evil",))


@pytest.mark.parametrize("recipe", [Recipe("fedora:40"), Recipe("debian"), Recipe("debian:bookworm", variant="huge")])
def test_what_is_not_known_is_refused(recipe: Recipe, mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        make(recipe._replace(mirror=mirror.uri, keyring=str(mirror.root / "keyring.gpg")), cache=tmp_path)


def test_sources_of_both_styles_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb [arch=amd64 signed-by=/k.gpg] http://m.test/debian/ bookworm main #x\n")
    (tmp_path / "sources.list.d/s.sources").write_text(
        "Types: deb\nURIs: http://m.test/security\nSuites: bookworm-security\nComponents: main\nSigned-By: /s.gpg\n"
    )
    found = suites("bookworm", "", etc=tmp_path)
    assert [(one.uri, one.suite, one.keyring) for one in found] == [
        ("http://m.test/debian", "bookworm", "/k.gpg"),
        ("http://m.test/security", "bookworm-security", "/s.gpg"),
    ]
    with pytest.raises(FailedPrecondition, match="do not name a mirror"):
        suites("trixie", "", etc=tmp_path)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.0~rc1", "1.0"), ("1.9", "1.10"), ("1.0", "1:0.5"), ("1.0-1", "1.0-1+b1"), ("2.0", "2.0a"), ("1a", "1+")],
)
def test_versions_are_ordered_as_the_distribution_orders_them(older: str, newer: str) -> None:
    assert compare_versions(older, newer) < 0 < compare_versions(newer, older)
    assert compare_versions(older, older) == 0


def test_a_chosen_alternative_is_not_joined_by_another() -> None:
    def named(name: str, depends: str = "") -> Package:
        text = f"Package: {name}\nFilename: f\nSHA256: s\nDepends: {depends}\n"
        return next(parse_packages(text, "file:///m"))

    known = {one.name: one for one in (named("a", "b | c"), named("b"), named("c"), named("d", "c"))}
    assert [one.name for one in closure(["a", "c"], known)] == ["a", "c"]
