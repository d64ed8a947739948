"""python -m tests.conformance SUITE --against ENGINE [-k WORDS] [--json FILE]: run one suite and print its score."""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.bench.peers import Corten, Dockerd
from tests.conformance import docker_py, runtime_suites
from tests.conformance.distribution import distribution


def engine_suite(against: str, only: str) -> dict[str, str]:
    scratch = Path(tempfile.mkdtemp(prefix="corten-suite-", dir="/dev/shm"))
    engine = {"docker": Dockerd, "corten": Corten}[against](scratch / "engine")
    try:
        return docker_py.run_suite(f"unix://{engine.socket}", engine.namespace.enter, only)
    finally:
        engine.close()
        shutil.rmtree(scratch, ignore_errors=True)


def runtime_path(against: str) -> str:
    if against == "corten":
        return str(Path(sys.executable).with_name("corten-runtime"))
    return shutil.which(against) or against


SUITES: dict[str, Callable[[str, str], dict[str, str]]] = {
    "distribution": distribution,
    "docker-py": engine_suite,
    "runtime-tools": lambda against, only: runtime_suites.runtime_tools(runtime_path(against), only),
    "crun": lambda against, only: runtime_suites.crun_tests(runtime_path(against), only),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--against", default="corten")
    parser.add_argument("-k", dest="only", default="")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fetch", action="store_true", help="only fetch and build the OCI runtime suite")
    options = parser.parse_args()
    if options.fetch:
        runtime_suites.fetch(options.suite)
        return 0
    states = SUITES[options.suite](options.against, options.only)
    if options.json:
        options.json.write_text(json.dumps(states, indent=1, sort_keys=True))
    for name, state in sorted(states.items()):
        if state not in ("passed", "skipped"):
            print(f"{state:8} {name}")
    print(options.suite, options.against, dict(Counter(states.values())))
    return 0


sys.exit(main())
