"""The OCI runtime suites: runtime-tools' validation programs (Go) and crun's tests (Python, with a static init in C).

Both print TAP. They run in a mount namespace of their own without the empty v2 tree, since Debian's crun refuses a
hybrid host; a point is one `ok` or `not ok` line, named by its file and its description.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from corten.images.bootstrap.sources import configured
from tests.bench.peers import Namespace
from tests.conformance.cache import run, suite

__all__ = ["crun_tests", "fetch", "runtime_tools"]

MODULE = "github.com/opencontainers/runtime-tools"
MODULE_VERSION = "v0.9.0"
CRUN_RELEASE = "trixie"
# The release has no go.mod; these are the versions of its time that still build.
MODULES = {
    "github.com/blang/semver": "v3.5.1+incompatible",
    "github.com/hashicorp/go-multierror": "v1.0.0",
    "github.com/mndrix/tap-go": "v0.0.0-20171203230836-629fa407e90b",
    "github.com/mrunalp/fileutils": "v0.5.0",
    "github.com/opencontainers/runtime-spec": "v1.0.2",
    "github.com/opencontainers/selinux": "v1.6.0",
    "github.com/satori/go.uuid": "v1.2.0",
    "github.com/sirupsen/logrus": "v1.4.2",
    "github.com/stretchr/testify": "v1.4.0",
    "github.com/syndtr/gocapability": "v0.0.0-20170704070218-db04d3cc01c8",
    "github.com/urfave/cli": "v1.20.0",
    "github.com/xeipuuv/gojsonschema": "v1.2.0",
}
# A program's time; an emulated machine asks for more (tests/conformance/vm.py).
SECONDS = int(os.environ.get("CORTEN_SUITE_SECONDS", "60"))
POINT = re.compile(r"^(not ok|ok)\b\s*\d*\s*-?\s*(.*)$")


def prepare_runtime_tools(place: Path) -> None:
    """Build `runtimetest` and the 58 validation programs from the Go module."""
    found = json.loads(run("go", "mod", "download", "-json", f"{MODULE}@{MODULE_VERSION}", cwd=place))
    source = place / "source"
    shutil.copytree(found["Dir"], source)
    run("chmod", "-R", "u+w", source)
    pinned = "".join(f"require {name} {version}\n" for name, version in MODULES.items())
    (source / "go.mod").write_text(f"module {MODULE}\n\ngo 1.20\n\n{pinned}")
    run("go", "mod", "tidy", cwd=source)
    run("go", "build", "-o", "runtimetest", "./cmd/runtimetest", cwd=source, CGO_ENABLED="0")
    for program in sorted((source / "validation").glob("*/*.go")):
        if "util" not in program.parts:
            run("go", "build", "-o", program.with_suffix(".t"), program, cwd=source, CGO_ENABLED="0")


def prepare_crun(place: Path) -> None:
    """Get the crun source package by name with a private deb-src list, and compile its static init."""
    known = configured(Path("/etc/apt"))
    mirror = next(one for one in known if "security" not in one.suite and "main" in one.components)
    (place / "lists/partial").mkdir(parents=True)
    (place / "sources.list").write_text(f"deb-src {mirror.uri} {CRUN_RELEASE} main\n")
    options = [f"-oDir::Etc::SourceList={place}/sources.list", "-oDir::Etc::SourceParts=/dev/null"]
    options += [f"-oDir::State::Lists={place}/lists", "-oAPT::Sandbox::User=root"]
    run("apt-get", *options, "update", "-qq")
    # Some mirrors lack the packaging beside the archive, and apt then fails after it has fetched (and verified) that.
    subprocess.run(["apt-get", *options, "source", "--download-only", "-qq", "crun"], cwd=place, check=False)
    archive = next(path for path in place.glob("crun_*.orig.tar.*") if path.suffix != ".asc")
    (place / "source").mkdir()
    run("tar", "-xf", archive, "-C", place / "source", "--strip-components=1")
    tests = place / "source/tests"
    (place / "source/config.h").touch()
    run("cc", "-static", "-I", place / "source", "-o", tests / "init", tests / "init.c")


def points(output: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in output.splitlines():
        if not (match := POINT.match(line)):
            continue
        name = match[2].strip()
        if re.search(r"#\s*(skip|todo)", name, re.IGNORECASE):
            found[re.split(r"\s*#", name)[0]] = "skipped"
        else:
            found[name] = "passed" if match[1] == "ok" else "failure"
    return found


def run_program(command: list[str], cwd: Path, env: dict[str, str]) -> tuple[int | None, str]:
    """(exit status or None on time-out, what it printed); a program that hangs is ended with its group."""
    process = subprocess.Popen(
        ["sh", "-c", 'cd "$0" && exec "$@"', str(cwd), *command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            output = ""
        return None, output
    return process.returncode, output


def in_private_namespace(cwd: Path, programs: dict[str, list[str]], env: dict[str, str]) -> dict[str, str]:
    """Run each program; its points, and the program itself as `NAME (file)`: passed only when all of it is."""
    namespace = Namespace()
    states: dict[str, str] = {}
    try:
        for name, command in programs.items():
            inside = [*namespace.enter, "sh", "-c", 'cd "$0" && exec "$@"', str(cwd), *command]
            status, output = run_program(inside, cwd, env)
            found = points(output)
            kinds = Counter(found.values())
            good = status == 0 and kinds["passed"] and not kinds["failure"]
            state = "passed" if good else "skipped" if status == 0 and not kinds["failure"] and found else "failure"
            states[f"{name} (file)"] = "timeout" if status is None else state
            states |= {f"{name}: {point}": one for point, one in found.items()}
            print(f"{states[f'{name} (file)']:8} {name} {dict(kinds)}", file=sys.stderr, flush=True)
    finally:
        namespace.close()
    return states


def fetch(name: str) -> Path:
    """The sources of the suite `name`, built; fetched where they are not there yet."""
    if name == "crun":
        return suite("crun-tests-1", prepare_crun) / "source"
    return suite(f"runtime-tools-{MODULE_VERSION}-1", prepare_runtime_tools) / "source"


def runtime_tools(runtime: str, only: str = "") -> dict[str, str]:
    """runtime-tools' validation programs with the runtime at that path."""
    source = fetch("runtime-tools")
    programs = {path.parent.name: [str(path)] for path in sorted(source.glob("validation/*/*.t")) if only in str(path)}
    return in_private_namespace(source, programs, {**os.environ, "RUNTIME": runtime})


def crun_tests(runtime: str, only: str = "") -> dict[str, str]:
    """crun's own tests with the runtime at that path."""
    source = fetch("crun")
    programs = {
        path.stem: [sys.executable, str(path)]
        for path in sorted(source.glob("tests/test_*.py"))
        if only in str(path) and path.stem != "tests_utils"
    }
    init = str(source / "tests/init")
    return in_private_namespace(source, programs, {**os.environ, "OCI_RUNTIME": runtime, "INIT": init})
