"""python -m tests.bench [ROW…] [--rounds N] [--newest] [--json FILE]: run the rows and print their table."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.peers import Containerd, Corten, Dockerd, Engine, Namespace, Podman, available, newest, versions
from tests.bench.rows import ENGINE_ROWS, IMAGE_ROWS, RUNTIME_ROWS
from tests.bench.turns import Measured
from tests.images import stand_ins


def start_engines(stack: ExitStack, scratch: Path, names: set[str], over: Path | None) -> list[Engine]:
    """Start what is installed and wanted, the peers with `over` laid over /usr; each is closed with the stack."""
    makers: dict[str, tuple[tuple[str, ...], Callable[[], Engine]]] = {
        "corten": ((), lambda: Corten(scratch / "corten")),
        "docker": (("dockerd", "docker"), lambda: Dockerd(scratch / "docker", over=over)),
        "podman": (("podman",), lambda: Podman(scratch / "podman", over=over)),
        "ctr": (("containerd", "ctr"), lambda: Containerd(scratch / "ctr", over=over)),
    }
    archive = scratch / "tiny.tar"
    archive.write_bytes(stand_ins("tiny:latest"))
    engines = []
    for name, (programs, make) in makers.items():
        if (not names or name in names) and available(*programs):
            engine = make()
            stack.callback(engine.close)
            engine.load(archive)
            engines.append(engine)
    return engines


def runtimes(namespace: Namespace, names: set[str]) -> dict[str, list[str]]:
    ours = str(Path(sys.executable).with_name("corten-runtime"))
    known = {"runc": "runc", "crun": "crun", "bwrap": "bwrap", "corten": ours}
    return {
        name: [*namespace.enter, program]
        for name, program in known.items()
        if (not names or name in names) and available(program)
    }


def show(measured: Measured) -> None:
    ratio = measured.ratio("corten")
    fields = "  ".join(f"{name} {measured.value(name):.4g}" for name in sorted(measured.figures))
    verdict = f"ratio {ratio:.2f}" if ratio is not None else ""
    print(f"{measured.row:48} {measured.unit:4} {fields:60} {verdict}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join([*RUNTIME_ROWS, *ENGINE_ROWS, *IMAGE_ROWS])}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="contenders, by comma")
    parser.add_argument("--newest", action="store_true", help="with the peers of Debian unstable")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("./dev bench: the engines need root")
    if unknown := set(options.rows) - {*RUNTIME_ROWS, *ENGINE_ROWS, *IMAGE_ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    wanted = set(options.rows) or {*RUNTIME_ROWS, *ENGINE_ROWS, *IMAGE_ROWS}
    names = set(filter(None, options.only.split(",")))
    results: list[Measured] = []

    def keep(measured: Measured | list[Measured]) -> None:
        for one in measured if isinstance(measured, list) else [measured]:
            results.append(one)
            show(one)

    over = newest() if options.newest else None
    scratch = Path(tempfile.mkdtemp(prefix="corten-bench-", dir="/dev/shm"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        namespace = Namespace(over)
        stack.callback(namespace.close)
        print("peers:", "; ".join(versions(namespace.enter).values()))
        if wanted & RUNTIME_ROWS.keys():
            for row in (one for one in RUNTIME_ROWS if one in wanted):
                keep(RUNTIME_ROWS[row](runtimes(namespace, names), options.rounds, scratch))
        if wanted & (ENGINE_ROWS.keys() | IMAGE_ROWS.keys()):
            engines = start_engines(stack, scratch, names, over)
            for row in (one for one in ENGINE_ROWS if one in wanted):
                keep(ENGINE_ROWS[row](engines, options.rounds))
            for row in (one for one in IMAGE_ROWS if one in wanted):
                keep(IMAGE_ROWS[row](engines, options.rounds, scratch))
    if options.json:
        table = {m.row: {"unit": m.unit, **{n: round(m.value(n), 3) for n in m.figures}} for m in results}
        options.json.write_text(json.dumps(table, indent=1))
    return 0


sys.exit(main())
