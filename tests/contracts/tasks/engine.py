"""An engine to be killed: a process that runs tasks and does what its command line says.

``main(RUN, ROOTFS, SCRATCH, COUNT, STEP, *ARGV)`` makes COUNT containers and then waits to be killed at STEP: in the
middle of ``create`` (in the network's callback), ``created``, or ``running``. It prints ``ready`` when it is there.
"""

import json
import time
from pathlib import Path

from corten.kernel.netns import NetworkJoin
from corten.tasks import LogFile, TaskConfig, Tasks
from tests.contracts.tasks.container import Workshop


def _wait(_: NetworkJoin | None = None) -> None:
    print("ready", flush=True)
    time.sleep(60)


def main(run_dir: str, rootfs: str, scratch: str, count: str, step: str, *argv: str) -> None:
    workshop = Workshop(Tasks(run_dir), Path(rootfs), Path(scratch))
    for number in range(int(count)):
        id = f"e{number}"
        spec = workshop.spec(*argv)
        spec["linux"]["cgroupsPath"] = f"{workshop.cgroup}/{id}"
        config = TaskConfig(id=id, bundle=scratch, log=LogFile(workshop.log_path(id)), open_stdin=True)
        task = workshop.tasks.create(spec, config, on_network=_wait if step == "create" else None)
        if step == "running":
            task.start()
    print(json.dumps([task.pid for task in workshop.tasks]))
    _wait()
