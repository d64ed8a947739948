"""A client may act on the first output it sees, before the engine has recorded the start that led to it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from corten.model.container import ExecConfig
from tests.root.engine.workbench import Workbench

pytestmark = pytest.mark.root


def test_a_container_that_ends_while_it_is_committed_is_committed(bench: Workbench) -> None:
    for _ in range(10):
        id = bench.start("sh", "-c", "touch /made")
        assert bench.engine.images.commit(id, config=None).startswith("sha256:")


@pytest.mark.parametrize(
    "act",
    [
        lambda bench, id: bench.containers.kill(id, "SIGUSR1"),
        lambda bench, id: bench.engine.execs.create(id, ExecConfig(cmd=("true",))),
        lambda bench, id: bench.containers.top(id),
        lambda bench, id: bench.containers.stop(id, timeout=0),
        lambda bench, id: bench.containers.restart(id, timeout=0),
        lambda bench, id: bench.containers.remove(id, force=True),
    ],
    ids=["kill", "exec", "top", "stop", "restart", "remove"],
)
def test_an_action_during_a_start_waits_for_it(bench: Workbench, act: Callable[[Workbench, str], object]) -> None:
    """Ctrl-C right after the first line of output was lost: "the container is not running"."""
    id = bench.create("sleep", "1000")
    container = bench.engine._services.catalog.find(id)
    with ThreadPoolExecutor() as pool:
        with container.lock:  # as a start holds it, which then comes from this thread
            acting = pool.submit(act, bench, id)
            time.sleep(0.2)
            assert not acting.done()
            bench.containers.start(id)
        acting.result(10)
