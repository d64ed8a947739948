"""What users and operators set about registries: mirrors, credential helpers; and search at one's own registry."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model import roots
from tests.fake_registry import FakeRegistry, RegistryHandler
from tests.root.engines import OTHER_HOST, Engine
from tests.root.test_registry_use import PROGRAM, in_network_of, offer

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="the registry lives in the engine's own network namespace")

# A helper as docker's are: `get`, `store` and `erase`, one JSON document a server.
HELPER = """\
#!/bin/sh
dir=$(dirname "$0")/kept; mkdir -p "$dir"
input=$(cat)
name() { echo "$1" | tr -c 'a-zA-Z0-9\\n' _; }
case $1 in
store) echo "$input" > "$dir/$(name "$(echo "$input" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/')")" ;;
get) cat "$dir/$(name "$input")" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm "$dir/$(name "$input")" ;;
esac
"""


@pytest.fixture(scope="module")
def mirrored() -> Iterator[tuple[Engine, FakeRegistry]]:
    """An engine whose configuration names a mirror of Docker Hub."""
    engine = Engine.temporary()
    engine.enter()
    assert engine.holder
    registry = in_network_of(engine.holder.pid, FakeRegistry)
    data = Path(roots.below(str(engine.root)).data)
    data.mkdir(parents=True)
    (data / "engine.json").write_text(json.dumps({"registry-mirrors": [f"http://{registry.address}"]}))
    engine.start()
    yield engine, registry
    engine.end()
    registry.close()


def corten(engine: Engine, *words: str, stdin: str = "", path: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {**engine.environment, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})}
    command = [PROGRAM, "--host", engine.host, *words]
    return subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_mirror_serves_what_is_named_without_a_registry(mirrored: tuple[Engine, FakeRegistry]) -> None:
    engine, registry = mirrored
    offer(registry, "latest")
    for name in ("latest", *(name for repo, name in registry.manifests if ":" in name)):
        registry.manifests["library/team", name] = registry.manifests["team/app", name]
    done = corten(engine, "pull", "team")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("docker.io/library/team:latest\n")
    assert corten(engine, "images", "--format={{.Repository}}:{{.Tag}}").stdout == "team:latest\n"
    assert corten(engine, "info", "--format={{.RegistryConfig.Mirrors}}").stdout == f"[http://{registry.address}/]\n"
    assert corten(engine, "rmi", "team").returncode == 0


def test_a_search_at_a_registry_of_ones_own_lists_filters_and_bounds(mirrored: tuple[Engine, FakeRegistry]) -> None:
    engine, registry = mirrored
    rows = [
        {"name": f"team/{name}", "description": "words " * 20, "star_count": stars, "is_official": stars > 5}
        for name, stars in (("one", 9), ("two", 1))
    ]

    def hook(handler: RegistryHandler) -> bool:
        if not handler.path.startswith("/v1/search"):
            return False
        assert "q=thing" in handler.path
        wanted = 1 if "n=1" in handler.path.split("&") else len(rows)
        handler.answer(200, json.dumps({"results": rows[:wanted]}).encode())
        return True

    registry.hook = hook
    try:
        term = f"{registry.address}/thing"
        shown = corten(engine, "search", term).stdout.splitlines()
        assert shown[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
        assert [line.split()[0] for line in shown[1:]] == ["team/one", "team/two"]
        assert "[OK]" in shown[1]
        assert corten(engine, "search", "--format={{.Name}}", "--limit=1", term).stdout == "team/one\n"
        official = ("search", "--format={{.Name}} {{.StarCount}}", "--filter=is-official=true", term)
        assert corten(engine, *official).stdout == "team/one 9\n"
        assert corten(engine, "search", "--limit=101", term).returncode == 1
    finally:
        registry.hook = lambda _: False


def test_a_credential_helper_keeps_the_login_and_the_file_does_not(
    mirrored: tuple[Engine, FakeRegistry], scratch: Path
) -> None:
    engine, registry = mirrored
    helper = scratch / "docker-credential-kept"
    helper.write_text(HELPER)
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    config = engine.home / ".docker/config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text('{"credsStore": "kept", "other": 7}')
    registry.users = {"anna": "secret"}
    try:
        name = offer(registry)
        path = str(scratch)
        assert corten(engine, "pull", name, path=path).returncode == 1
        login = ("login", "-u", "anna", "--password-stdin", registry.address)
        assert corten(engine, *login, stdin="secret", path=path).stdout == "Login Succeeded\n"
        assert "secret" not in config.read_text()
        assert json.loads(config.read_text())["other"] == 7
        assert "secret" in next((scratch / "kept").iterdir()).read_text()
        assert corten(engine, "pull", name, path=path).returncode == 0
        assert corten(engine, "push", name, path=path).returncode == 0
        assert corten(engine, "rmi", name).returncode == 0
        assert corten(engine, "logout", registry.address, path=path).returncode == 0
        assert list((scratch / "kept").iterdir()) == []
        assert corten(engine, "pull", name, path=path).returncode == 1
    finally:
        registry.users = {}
        config.unlink()
