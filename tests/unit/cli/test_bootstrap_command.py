"""`corten image bootstrap` from a small signed mirror: to a file, and into an engine."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.mirror import Mirror
from tests.unit.cli.engine import Scripted
from tests.unit.test_bootstrap import mirror

__all__ = ["mirror"]

OURS = str(Path(sys.executable).with_name("corten"))


def bootstrap(source: Mirror, home: Path, *words: str, host: str = "unix:///nonexistent") -> None:
    given = ["--mirror", source.uri, "--keyring", str(source.root / "keyring.gpg")]
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "CORTEN_HOST": host}
    command = [OURS, "image", "bootstrap", *given, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def contents(archive: Path) -> tuple[list[str], set[str]]:
    """The names of an archive's image, and its files."""
    with tarfile.open(archive) as outer:
        member = outer.extractfile("manifest.json")
        assert member is not None
        manifest = json.load(member)[0]
        with tarfile.open(fileobj=outer.extractfile(manifest["Layers"][0])) as layer:
            return manifest["RepoTags"], set(layer.getnames())


def test_the_image_has_the_wished_name_packages_and_variant(mirror: Mirror, tmp_path: Path) -> None:
    out = tmp_path / "image.tar"
    bootstrap(
        mirror, tmp_path, "--variant", "base", "--packages", "dash", "-t", "shell:1", "-o", str(out), "debian:bookworm"
    )
    names, files = contents(out)
    assert names == ["shell:1"]
    assert {"usr/bin/dash", "usr/lib/libgcc.so"} <= files
    static = tmp_path / "static.tar"
    bootstrap(mirror, tmp_path, "--variant", "static", "-o", str(static), "debian:bookworm")
    assert "usr/lib/libgcc.so" not in contents(static)[1]


def test_without_a_file_it_is_loaded_into_the_engine(mirror: Mirror, tmp_path: Path) -> None:
    engine = Scripted(tmp_path / "engine.sock", {"POST /images/load": ({"stream": "Loaded image: busybox:latest\n"},)})
    bootstrap(mirror, tmp_path, "busybox", host=engine.address)
    engine.close()
    loaded = tmp_path / "loaded.tar"
    loaded.write_bytes(engine.asked("POST /images/load").body)
    assert contents(loaded)[0] == ["busybox:latest"]


def test_the_exact_packages_and_their_document_go_to_files(mirror: Mirror, tmp_path: Path) -> None:
    kept, sbom, first, second = (tmp_path / name for name in ("base.lock", "base.spdx.json", "1.tar", "2.tar"))
    bootstrap(mirror, tmp_path, "--lock", str(kept), "--sbom", str(sbom), "-o", str(first), "debian:bookworm")
    assert {one["name"] for one in json.loads(kept.read_bytes())["files"]} >= {"libc6", "tzdata"}
    assert json.loads(sbom.read_bytes())["spdxVersion"] == "SPDX-2.3"
    mirror.add("libc6", {"lib/x86_64-linux-gnu/libc.so.6": b"newer"}, version="2", Depends="libgcc-s1")
    mirror.publish()
    bootstrap(mirror, tmp_path, "--locked", str(kept), "-o", str(second), "debian:bookworm")
    assert first.read_bytes() == second.read_bytes()
    bootstrap(mirror, tmp_path, "-o", str(second), "debian:bookworm")
    assert first.read_bytes() != second.read_bytes()
