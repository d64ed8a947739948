"""What must be true of an engine whenever nothing is under way: its records, its containers and the kernel agree.

The same facts are kept in several places, each of which survives another kind of accident: the database, what the
engine says (`ps`), monitors and their children, cgroups, links, firewall maps, mounts, and directories. `violations`
reads all of them and tells every disagreement; `hold` waits until there is none.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from corten.client.address import Address
from corten.client.engine import Engine as Client
from corten.model import roots
from corten.model.errors import CortenError
from corten.network import Identity
from tests.root.engines import Engine

__all__ = ["devices", "hold", "violations"]

LIVE = ("running", "paused")


class Process(NamedTuple):
    """One process in the engine's network namespace."""

    pid: int
    parent: int
    words: list[str]


class Rows(NamedTuple):
    """What the database says."""

    containers: dict[str, dict[str, Any]]
    sandboxes: dict[str, dict[str, Any]]
    ports: set[tuple[str, str, int]]
    bridges: set[str]
    volumes: set[str]
    kept: set[tuple[str, str]]


def hold(engine: Engine, seconds: float = 10) -> None:
    """Fail with the list of what disagrees, unless it comes to agree in time."""
    deadline = time.monotonic() + seconds
    while found := seen(engine):
        assert time.monotonic() < deadline, "\n".join(found)
        time.sleep(0.1)


def seen(engine: Engine) -> list[str]:
    try:
        return violations(engine)
    except (OSError, CortenError) as error:
        raise AssertionError(f"{error}; the engine's log ends so:\n{engine.log[-4000:]}") from error


def violations(engine: Engine) -> list[str]:
    with closing(Client(Address(engine.host))) as asked:
        told = {row["Id"]: row for row in asked.containers.list(all=True)}
        states = {id: asked.containers.get(id).inspect()["State"] for id in told}
        volumes = {volume["Name"] for volume in asked.volumes.list() or ()}
    live = {id for id, row in told.items() if row["State"] in LIVE}
    rows = read(engine)
    return [
        *differ("containers in the database and in ps", set(rows.containers), set(told)),
        *states_differ(rows, told),
        *processes_differ(engine, live, states),
        *differ("cgroups and what runs", cgroups(engine), live),
        *differ("task directories and what runs", entries(engine, "run/tasks"), live),
        *(f"a directory of no container: {name}" for name in entries(engine, "data/containers") - set(told)),
        *(f"a reference of no container: {kept}" for kept in rows.kept if kept[0] not in told),
        *differ("volumes in the database and in `volume ls`", rows.volumes, volumes),
        *differ("volumes in the database and directories", rows.volumes, entries(engine, "data/volumes")),
        *network_differs(engine, rows, live),
        *(f"mounted: {point}" for point in mounts(engine)),
        *(f"unfinished: {path}" for path in unfinished(engine)),
    ]


def differ(what: str, one: set[Any], other: set[Any]) -> Iterator[str]:
    if one != other:
        yield f"{what}: only the first has {sorted(one - other)}, only the second {sorted(other - one)}"


def read(engine: Engine) -> Rows:
    with closing(sqlite3.connect(f"file:{engine.root}/data/engine.db?mode=ro", uri=True)) as rows:
        networks = [json.loads(document) for (document,) in rows.execute("SELECT document FROM networks")]
        return Rows(
            containers={id: json.loads(state) for id, state in rows.execute("SELECT id, state FROM containers")},
            sandboxes={id: json.loads(text) for id, text in rows.execute("SELECT container, document FROM sandboxes")},
            ports={*rows.execute("SELECT protocol, host_ip, host_port FROM ports")},
            bridges={network["bridge"] for network in networks if network.get("bridge")},
            volumes={name for (name,) in rows.execute("SELECT name FROM volumes")},
            kept={*rows.execute("SELECT src_id, dst_id FROM refs WHERE src_kind = 'container'")},
        )


def states_differ(rows: Rows, told: dict[str, Any]) -> Iterator[str]:
    for id, row in told.items():
        recorded = rows.containers.get(id, {}).get("status", "created")
        if recorded != row["State"]:
            yield f"{id[:12]} is {row['State']} in ps and {recorded} in the database"


def processes_differ(engine: Engine, live: set[str], states: dict[str, Any]) -> Iterator[str]:
    """Each live container has one monitor and a process below it; there is no other monitor, launcher or helper."""
    found = [process for process in processes(engine) if len(process.words) > 1 and process.words[1].startswith("@")]
    monitors = [process for process in found if process.words[1] == "@monitor"]
    yield from differ("monitors and what runs", {process.words[2] for process in monitors}, live)
    if len(monitors) != len(live):
        yield f"{len(monitors)} monitors for {len(live)} containers"
    yield from (f"a process that should have gone: {process}" for process in found if process not in monitors)
    by_id = {process.words[2]: process.pid for process in monitors}
    for id, state in states.items():
        if id not in live:
            if state["Pid"]:
                yield f"{id[:12]} does not run and has pid {state['Pid']}"
        elif parent_of(state["Pid"]) != by_id.get(id):
            yield f"{id[:12]}'s process {state['Pid']} is a child of {parent_of(state['Pid'])}, not of its monitor"


def network_differs(engine: Engine, rows: Rows, live: set[str]) -> Iterator[str]:
    """Every sandbox is of a live container; links and the firewall's maps are what sandboxes say, no more, no less."""
    strangers = set(rows.sandboxes) - live
    yield from (f"a sandbox of no running container: {id}" for id in strangers)
    endpoints = [end for sandbox in rows.sandboxes.values() for end in sandbox.get("endpoints", ())]
    wanted = {f"vc{end['id'][:12]}" for end in endpoints if end.get("device")}
    links = devices(engine)
    yield from differ("links and endpoints", {name for name in links if name.startswith("vc")}, wanted)
    yield from (f"a bridge of no network: {name}" for name in links - rows.bridges if not name.startswith(("vc", "lo")))
    used = {(protocol, "" if ip in ("0.0.0.0", "::") else ip, port) for protocol, ip, port in rows.ports}
    yield from differ("published ports in the firewall and in the database", published(engine), used)


def processes(engine: Engine) -> list[Process]:
    """All processes in the engine's own network namespace."""
    assert engine.holder is not None
    here = os.stat(f"/proc/{engine.holder.pid}/ns/net").st_ino
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_text().split("\0")
            if os.stat(f"/proc/{name}/ns/net").st_ino == here:
                found.append(Process(int(name), parent_of(int(name)), words))
    return found


def parent_of(pid: int) -> int:
    """-1 when there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def cgroups(engine: Engine) -> set[str]:
    name = f"corten-{roots.below(str(engine.root)).identity}"
    parents = [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]
    return {entry.name for parent in parents for entry in parent.iterdir() if entry.is_dir()}


def entries(engine: Engine, place: str) -> set[str]:
    directory = engine.root / place
    return set(os.listdir(directory)) if directory.exists() else set()


def devices(engine: Engine) -> set[str]:
    lines = engine.inside("cat", "/proc/net/dev").stdout.splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def published(engine: Engine) -> set[tuple[str, str, int]]:
    """(protocol, host address or "" for any, host port) of every element in the firewall's maps."""
    table = Identity.of(f"{engine.root}/data").table
    found = set()
    for name in ("port4", "port6", "any4", "any6"):
        listed = engine.inside("nft", "-j", "list", "map", "inet", table, name)
        assert listed.returncode == 0 or "No such file" in listed.stderr, listed.stderr
        maps = [item["map"] for item in json.loads(listed.stdout or '{"nftables": []}')["nftables"] if "map" in item]
        for key, _ in (element for one in maps for element in one.get("elem", ())):
            protocol, *address, port = key["concat"]
            found.add((protocol, address[0] if address else "", port))
    return found


def mounts(engine: Engine) -> list[str]:
    """Mount points below the root in the engine's own mount namespace: it mounts nothing there."""
    lines = engine.inside("cat", "/proc/self/mountinfo").stdout.splitlines()
    return [point for point in (line.split()[4] for line in lines) if point.startswith(f"{engine.root}/")]


def unfinished(engine: Engine) -> Iterator[Path]:
    """Files that stand for something half-done; `exit.new` is the place that a monitor keeps for the end."""
    for pattern in ("run/**/*.new", "data/**/new-*", "data/containers/*/.backlog"):
        yield from (path for path in engine.root.glob(pattern) if path.name != "exit.new")
