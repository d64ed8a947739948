"""What is measured: a function a row, each taking the engines (or runtimes) that take part.

A row asks every contender for the same work by its own command line, as a user would. Work that prepares or cleans up
stands outside the measured span.
"""

import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.build_rows import builds
from tests.bench.peers import Engine
from tests.bench.registry_rows import push_and_pull
from tests.bench.turns import Figure, Measured, measure, spawn
from tests.images import config, docker_archive

__all__ = ["ENGINE_ROWS", "IMAGE_ROWS", "RUNTIME_ROWS"]

Contenders = dict[str, Callable[[], Figure]]


def each(engines: Iterable[Engine], run: Callable[[Engine], Figure]) -> Contenders:
    return {engine.name: partial(run, engine) for engine in engines}


def quietly(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def with_cli(engines: Iterable[Engine]) -> list[Engine]:
    """The engines with docker's verbs (`ctr` has its own)."""
    return [engine for engine in engines if engine.name != "ctr"]


def run_command(engine: Engine, network: str) -> list[str]:
    if engine.name == "ctr":
        flags = ["--net-host"] if network == "host" else []
        name = f"bench-{os.urandom(4).hex()}"
        return [*engine.cli, "run", "--rm", *flags, "docker.io/library/tiny:latest", name, "true"]
    return [*engine.cli, "run", "--rm", f"--network={network}", "tiny", "true"]


def run_rm(network: str) -> Callable[[list[Engine], int], Measured]:
    def row(engines: list[Engine], rounds: int) -> Measured:
        taking_part = [engine for engine in engines if network != "bridge" or engine.name != "ctr"]
        contenders = each(taking_part, lambda engine: spawn(run_command(engine, network)))
        return measure(f"run --rm tiny true, {network}", contenders, rounds)

    return row


def many(engines: list[Engine], rounds: int) -> Measured:
    """Fifty started at once."""

    def fifty(engine: Engine) -> Figure:
        begin = time.perf_counter()
        quiet = subprocess.DEVNULL
        running = [subprocess.Popen(run_command(engine, "none"), stdout=quiet, stderr=quiet) for _ in range(50)]
        failed = sum(one.wait() != 0 for one in running)
        if failed:
            raise RuntimeError(f"{engine.name}: {failed} of 50 failed")
        return Figure(time.perf_counter() - begin)

    return measure("50 × run --rm at once, none", each(engines, fifty), max(2, rounds // 8))


def detached(engine: Engine, *flags: str) -> str:
    command = [*engine.cli, "run", "-d", "--network=none", *flags, "tiny", "sleep", "1000"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def remove(engine: Engine, *ids: str) -> None:
    quietly(*engine.cli, "rm", "-f", *ids)


def exec_true(engines: list[Engine], rounds: int) -> Measured:
    ids = {engine.name: detached(engine) for engine in with_cli(engines)}
    contenders = each(with_cli(engines), lambda e: spawn([*e.cli, "exec", ids[e.name], "true"]))
    measured = measure("exec true", contenders, rounds)
    for engine in with_cli(engines):
        remove(engine, ids[engine.name])
    return measured


def stop_now(engines: list[Engine], rounds: int) -> Measured:
    def stop(engine: Engine) -> Figure:
        name = detached(engine)
        figure = spawn([*engine.cli, "stop", "-t", "0", name])
        remove(engine, name)
        return figure

    return measure("stop -t 0", each(with_cli(engines), stop), rounds)


def force_remove(engines: list[Engine], rounds: int) -> Measured:
    def kill(engine: Engine) -> Figure:
        now = ["-t", "0"] if engine.name == "podman" else []
        return spawn([*engine.cli, "rm", "-f", *now, detached(engine)])

    return measure("rm -f", each(with_cli(engines), kill), rounds)


def ps_empty(engines: list[Engine], rounds: int) -> Measured:
    return measure("ps, none running", each(with_cli(engines), lambda e: spawn([*e.cli, "ps"])), rounds)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def get(connection: UnixConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def hundred(engines: list[Engine], rounds: int) -> list[Measured]:
    """The rows that need a hundred running containers: `ps`, the list by REST, memory besides the workload."""
    taking_part = [engine for engine in with_cli(engines) if engine.socket]
    idle = {engine.name: memory(engine) for engine in taking_part}
    ids = {engine.name: [detached(engine) for _ in range(100)] for engine in taking_part}
    ps = measure("ps, 100 running", each(taking_part, lambda e: spawn([*e.cli, "ps"])), rounds)

    def fifty_lists(engine: Engine) -> Figure:
        assert engine.socket
        connection = UnixConnection(engine.socket)
        if len(json.loads(get(connection, "/v1.40/containers/json"))) != 100:
            raise RuntimeError(f"{engine.name} does not list its 100 containers")
        begin = time.perf_counter()
        for _ in range(50):
            get(connection, "/v1.40/containers/json")
        return Figure((time.perf_counter() - begin) / 50)

    lists = measure("GET /containers/json, 100 running", each(taking_part, fifty_lists), rounds)
    full = {engine.name: memory(engine) for engine in taking_part}
    for engine in taking_part:
        remove(engine, *ids[engine.name])
    idle_row = {name: [Figure(0, rss)] for name, (rss, _) in idle.items()}
    full_row = {name: [Figure(0, pss)] for name, (_, pss) in full.items()}
    return [
        ps,
        lists,
        Measured("engine idle, RSS", idle_row, "KiB"),
        Measured("engine and helpers, 100 running, PSS", full_row, "KiB"),
    ]


def memory(engine: Engine) -> tuple[int, int]:
    """(RSS, PSS) in KiB of all the engine's processes; the workload is not among them."""
    rss = pss = 0
    for pid in engine.pids():
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        fields = dict(line.split(":") for line in rollup.splitlines()[1:])
        rss += int(fields["Rss"].split()[0])
        pss += int(fields["Pss"].split()[0])
    return rss, pss


def stats_once(engines: list[Engine], rounds: int) -> Measured:
    taking_part = [engine for engine in with_cli(engines) if engine.socket]
    ids = {engine.name: detached(engine) for engine in taking_part}

    def once(engine: Engine) -> Figure:
        assert engine.socket
        begin = time.perf_counter()
        get(UnixConnection(engine.socket), f"/v1.41/containers/{ids[engine.name]}/stats?stream=false&one-shot=true")
        return Figure(time.perf_counter() - begin)

    measured = measure("stats of one container, one-shot", each(taking_part, once), rounds)
    for engine in taking_part:
        remove(engine, ids[engine.name])
    return measured


ENGINE_ROWS: dict[str, Callable[[list[Engine], int], Measured | list[Measured]]] = {
    "bridge": run_rm("bridge"),
    "none": run_rm("none"),
    "host": run_rm("host"),
    "many": many,
    "exec": exec_true,
    "stop": stop_now,
    "rm": force_remove,
    "ps": ps_empty,
    "hundred": hundred,
    "stats": stats_once,
}


def big_image(archive: Path, megabytes: int) -> None:
    """A docker-archive of one layer with many small files, as a distribution's has."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for number in range(megabytes * 50):
            entry = tarfile.TarInfo(f"usr/lib/d{number % 200}/f{number}")
            entry.size = 20_480
            tar.addfile(entry, io.BytesIO(os.urandom(512) * 20 + b"x" * 10_240))
    layers = [layer.getvalue()]
    archive.write_bytes(docker_archive([(config(layers), layers, ["big:latest"])]))


def load_and_save(engines: list[Engine], rounds: int, scratch: Path) -> list[Measured]:
    archive = scratch / "big.tar"
    big_image(archive, 160)
    taking_part = with_cli(engines)

    def load(engine: Engine) -> Figure:
        quietly(*engine.cli, "rmi", "-f", "big:latest", check=False)
        return spawn([*engine.cli, "load", "-qi", str(archive)])

    def save(engine: Engine) -> Figure:
        out = scratch / f"{engine.name}.tar"
        out.unlink(missing_ok=True)
        return spawn([*engine.cli, "save", "-o", str(out), "big:latest"])

    count = max(3, rounds // 6)
    rows = [
        measure("load, 160 MB", each(taking_part, load), count),
        measure("save, 160 MB", each(taking_part, save), count),
    ]
    archive.unlink()
    return rows


def through_a_registry(engines: list[Engine], rounds: int, scratch: Path) -> list[Measured]:
    archive = scratch / "big.tar"
    big_image(archive, 160)
    rows = push_and_pull(with_cli(engines), max(3, rounds // 6), archive, "big:latest")
    archive.unlink()
    return rows


IMAGE_ROWS = {"images": load_and_save, "registry": through_a_registry, "build": builds}


def bundle(directory: Path, runtime: str) -> Path:
    """A bundle with busybox as its root file system and the runtime-spec's example config running `/bin/true`."""
    (directory / "rootfs/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", directory / "rootfs/bin/busybox")
    for applet in ("true", "sh", "sleep"):
        if not (directory / "rootfs/bin" / applet).exists():
            os.link(directory / "rootfs/bin/busybox", directory / "rootfs/bin" / applet)
    for name in ("proc", "sys", "dev"):
        (directory / "rootfs" / name).mkdir(exist_ok=True)
    if not (directory / "config.json").exists():
        subprocess.run([runtime, "spec"], cwd=directory, check=True)
    settings = json.loads((directory / "config.json").read_text())
    settings["process"] |= {"terminal": False, "args": ["/bin/true"]}
    (directory / "config.json").write_text(json.dumps(settings))
    return directory


def docker_like(settings: dict[str, Any]) -> dict[str, Any]:
    """The same with Docker's limits and its seccomp profile."""
    profile = json.loads((Path(__file__).parent.parent / "unit/runtime/docker-seccomp.json").read_text())
    resources = {**settings["linux"]["resources"], "memory": {"limit": 1 << 28}, "pids": {"limit": 200}}
    return {**settings, "linux": {**settings["linux"], "seccomp": profile, "resources": resources}}


def without_cache(command: list[str]) -> list[str]:
    return [*command[:-1], "env", "CORTEN_PLAN_CACHE=/proc", command[-1]]


def runtime_run(runtimes: dict[str, list[str]], rounds: int, scratch: Path) -> list[Measured]:
    """`run /bin/true` with a fresh id, hostname and cgroup path each time, as engines ask for it; of ours also with the
    same ones again, and without a plan cache."""
    place = bundle(scratch / "bundle", "runc")
    plain = json.loads((place / "config.json").read_text())

    def once(command: list[str], settings: dict[str, Any], name: str = "") -> Figure:
        name = name or f"bench-{os.urandom(5).hex()}"
        fresh = {**settings, "hostname": name, "linux": {**settings["linux"], "cgroupsPath": f"/{name}"}}
        (place / "config.json").write_text(json.dumps(fresh))
        return spawn([*command, "run", "--bundle", str(place), name])

    launchers = {name: command for name, command in runtimes.items() if name != "bwrap"}
    measured = []
    for what, settings in (("spec bundle", plain), ("Docker's limits and seccomp", docker_like(plain))):
        contenders: Contenders = {name: partial(once, command, settings) for name, command in launchers.items()}
        if ours := runtimes.get("corten"):
            contenders["corten, the same ids"] = partial(once, ours, settings, "bench-same")
            contenders["corten, cold"] = partial(once, without_cache(ours), settings)
        if "bwrap" in runtimes:
            flags = ["--unshare-all", "--bind", str(place / "rootfs"), "/", "--proc", "/proc", "--dev", "/dev"]
            contenders["bwrap"] = partial(spawn, [*runtimes["bwrap"], *flags, "/bin/true"])
        measured.append(measure(f"runtime run /bin/true, {what}, fresh ids", contenders, rounds))
    peaks: Contenders = {name: partial(peak, command, place, scratch) for name, command in launchers.items()}
    return [*measured, measure("peak memory of run", peaks, 3, "KiB")]


def runtime_verbs(runtimes: dict[str, list[str]], rounds: int, scratch: Path) -> list[Measured]:
    """Each verb of a container's life, as containerd calls them."""
    place = bundle(scratch / "bundle", "runc")
    settings = json.loads((place / "config.json").read_text())
    settings["process"]["args"] = ["/bin/sleep", "1000"]
    took: dict[str, dict[str, list[Figure]]] = {}
    taking_part = {name: command for name, command in runtimes.items() if name != "bwrap"}
    for n in range(rounds + 1):
        for runtime, command in taking_part.items():
            name = f"bench-{os.urandom(5).hex()}"
            settings["linux"]["cgroupsPath"] = f"/{name}"
            (place / "config.json").write_text(json.dumps(settings))
            verbs = (["create", "--bundle", str(place)], ["start"], ["state"], ["kill"], ["delete", "--force"])
            for verb in verbs:
                figure = spawn([*command, *verb, name, *(["KILL"] if verb == ["kill"] else [])])
                if n:
                    took.setdefault(verb[0], {}).setdefault(runtime, []).append(figure)
    return [Measured(f"runtime {verb}", figures) for verb, figures in took.items()]


def peak(command: list[str], place: Path, scratch: Path) -> Figure:
    """The largest resident set, told by busybox: a child of this large process would inherit its own peak."""
    report = scratch / "peak"
    name = f"bench-{os.urandom(5).hex()}"
    quietly("busybox", "time", "-f", "%M", "-o", str(report), *command, "run", "--bundle", str(place), name)
    pages = int(report.read_text().split()[-1])  # busybox takes the kernel's KiB for pages and multiplies them
    return Figure(0, pages * 1024 // os.sysconf("SC_PAGE_SIZE"))


def runtime_exec(runtimes: dict[str, list[str]], rounds: int, scratch: Path) -> Measured:
    place = bundle(scratch / "bundle", "runc")
    settings = json.loads((place / "config.json").read_text())
    settings["process"]["args"] = ["/bin/sleep", "1000"]
    taking_part = {name: command for name, command in runtimes.items() if name != "bwrap"}
    for name, command in taking_part.items():
        settings["linux"]["cgroupsPath"] = f"/bench-{name}"
        (place / "config.json").write_text(json.dumps(settings))
        quietly(*command, "run", "--detach", "--bundle", str(place), f"bench-{name}")
    contenders: Contenders = {
        name: partial(spawn, [*command, "exec", f"bench-{name}", "/bin/true"]) for name, command in taking_part.items()
    }
    measured = measure("runtime exec /bin/true", contenders, rounds)
    for name, command in taking_part.items():
        subprocess.run([*command, "delete", "--force", f"bench-{name}"], check=True)
    return measured


RUNTIME_ROWS: dict[str, Callable[[dict[str, list[str]], int, Path], Measured | list[Measured]]] = {
    "run": runtime_run,
    "runtime-exec": runtime_exec,
    "runtime-verbs": runtime_verbs,
}
