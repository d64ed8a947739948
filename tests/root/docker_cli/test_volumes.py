"""Volumes, bind mounts and tmpfs through docker's command line."""

import re
from pathlib import Path

from tests.root.engines import IMAGE, Engine


def test_volumes_outlive_containers_and_are_filled_from_the_image(engine: Engine) -> None:
    engine.docker("run", "--rm", "-v", "data:/data", IMAGE, "sh", "-c", "echo kept > /data/file")
    assert engine.out("run", "--rm", "-v", "data:/data:ro", IMAGE, "cat", "/data/file") == "kept"
    assert engine.docker("run", "--rm", "-v", "data:/data:ro", IMAGE, "touch", "/data/x", check=False).returncode == 1
    assert "passwd" in engine.out("run", "--rm", "-v", "filled:/etc", IMAGE, "ls", "/etc")
    assert set(engine.out("volume", "ls", "-q").split()) == {"data", "filled"}
    engine.docker("create", "--name", "keeper", "-v", "data:/data", IMAGE, "true")
    assert "volume is in use" in engine.docker("volume", "rm", "data", check=False).stderr
    engine.docker("rm", "keeper")
    engine.docker("volume", "rm", "data", "filled")


def test_bind_mounts_and_tmpfs_are_what_they_say(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    assert engine.out("run", "--rm", "-v", f"{tmp_path}:/x", IMAGE, "cat", "/x/file") == "from the host"
    engine.docker("run", "--rm", "--mount", f"type=bind,source={tmp_path},target=/x", IMAGE, "touch", "/x/made")
    assert (tmp_path / "made").exists()
    refused = engine.docker(
        "run", "--rm", "--mount", f"type=bind,source={tmp_path}/none,target=/x", IMAGE, "true", check=False
    )
    assert refused.returncode == 125
    assert "bind source path does not exist" in refused.stderr
    assert "tmpfs" in engine.out("run", "--rm", "--tmpfs", "/scratch", IMAGE, "grep", " /scratch ", "/proc/mounts")


def test_a_volume_is_made_with_options_listed_by_label_and_looked_at(engine: Engine) -> None:
    options = ("-d", "local", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m", "--label", "kind=quick")
    assert engine.out("volume", "create", *options, "quick") == "quick"
    try:
        assert engine.out("volume", "ls", "-q", "--filter", "label=kind=quick") == "quick"
        assert engine.out("volume", "inspect", "--format", "{{.Driver}} {{.Options.o}}", "quick") == "local size=2m"
        shown = engine.out("run", "--rm", "-v", "quick:/q", IMAGE, "grep", " /q ", "/proc/mounts")
        assert re.search(r"^tmpfs /q tmpfs \S*size=2048k", shown)
    finally:
        assert engine.out("volume", "rm", "quick") == "quick"
    assert "no such volume" in engine.docker("volume", "inspect", "quick", check=False).stderr.lower()
