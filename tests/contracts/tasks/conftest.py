"""The contract of `corten.tasks`, kept by the shipped monitor and by one that is built under sanitizers.

Containers have a busybox root. What needs only the shipped monitor takes `workshop`, what needs a small backlog and
little patience takes `careful`, and the rest takes `either`, which is both in turn.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.kernel import program
from corten.tasks.tasks import Tasks
from tests.contracts.tasks.container import Workshop
from tests.root.plans.bundle import make_rootfs

HERE = Path(__file__).parent
ROOT = Path(__file__).resolve().parents[3]
# With a small backlog and little patience, so that tests come to the end of both.
SMALL = ("-DSTALL=1", "-DLINGER=2", "-DBACKLOG_MAX=1048576")
STUB = """
#include "corten.h"
#ifdef REPORTS
const char *__asan_default_options(void) { return "log_path=" REPORTS ":detect_leaks=0"; }
const char *__ubsan_default_options(void) { return "log_path=" REPORTS ":print_stacktrace=1"; }
#endif
int main(int argc, char **argv) { return monitor_main(argc - 1, argv + 1); }
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("root")


def build_monitor(directory: Path, name: str, *flags: str, sources: Path | None = None) -> str:
    """A program that is only a monitor, compiled with other flags than the shipped one."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    (directory / "stub.c").write_text(STUB)
    files = sorted((sources or ROOT / "native").glob("monitor*.c"))
    command = ["cc", "-std=gnu11", "-g", "-D_GNU_SOURCE", f"-I{ROOT}/native", *flags, "-o", str(directory / name)]
    subprocess.run([*command, str(directory / "stub.c"), *map(str, files)], check=True)
    return str(directory / name)


@pytest.fixture(scope="session")
def builds() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="corten-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def sanitized(builds: Path) -> str:
    """A monitor that reports every invalid access, overflow and undefined operation to builds/report.PID."""
    reports = f'-DREPORTS="{builds}/report"'
    sanitizers = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
    return build_monitor(builds, "sanitized", reports, *sanitizers, *SMALL)


@pytest.fixture
def no_reports(builds: Path) -> Iterator[None]:
    yield
    reports = [path.read_text() for path in builds.glob("report.*")]
    for path in builds.glob("report.*"):
        path.unlink()
    assert not reports, reports[0]


@pytest.fixture
def quiet(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No callback of the watcher's thread has raised: it would only print that."""
    yield
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def workshop(scratch: Path, leaves_nothing: None, quiet: None) -> Iterator[Workshop]:  # noqa: ARG001
    """Tasks as the engine has them, monitors from the shipped program."""
    rootfs = make_rootfs(scratch / "rootfs")
    with Workshop(Tasks(f"{scratch}/run"), rootfs, scratch) as made:
        yield made


@pytest.fixture
def careful(scratch: Path, sanitized: str, no_reports: None, leaves_nothing: None, quiet: None) -> Iterator[Workshop]:  # noqa: ARG001
    """The same with sanitized monitors."""
    rootfs = make_rootfs(scratch / "rootfs")
    with Workshop(Tasks(f"{scratch}/run", program.path(), monitor=sanitized), rootfs, scratch) as made:
        yield made


@pytest.fixture(params=["shipped", "sanitized"])
def either(request: pytest.FixtureRequest) -> Workshop:
    """Both in turn: the contract holds for either."""
    name = {"shipped": "workshop", "sanitized": "careful"}[request.param]
    found: Workshop = request.getfixturevalue(name)
    return found
