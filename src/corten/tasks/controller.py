"""The rows of a plan that Python does at a checkpoint: connect the network, run hooks."""

import os
from collections.abc import Callable

import msgspec

from corten.kernel import pidfd
from corten.kernel.netns import NetworkJoin
from corten.model.errors import Unimplemented
from corten.model.runtime_spec import RuntimeSpec
from corten.plan import Step, flags
from corten.runtime import hook
from corten.runtime.launch import Launch
from corten.tasks.config import TaskConfig

__all__ = ["Controller", "OnNetwork"]

_BITS = {
    "user": flags.CLONE_NEWUSER,
    "mount": flags.CLONE_NEWNS,
    "pid": flags.CLONE_NEWPID,
    "network": flags.CLONE_NEWNET,
    "ipc": flags.CLONE_NEWIPC,
    "uts": flags.CLONE_NEWUTS,
    "cgroup": flags.CLONE_NEWCGROUP,
    "time": flags.CLONE_NEWTIME,
}

OnNetwork = Callable[[NetworkJoin], object]


class Controller:
    """Does each controller row as `Launch` comes to it."""

    def __init__(
        self, launch: Launch, spec: RuntimeSpec, config: TaskConfig, on_network: OnNetwork | None, program: str
    ) -> None:
        self._launch = launch
        self._spec = spec
        self._config = config
        self._on_network = on_network
        self._program = program

    def __call__(self, step: Step, fds: list[int]) -> None:
        if step.op == "connect-network":
            self._connect(fds)
        elif step.op == "write-state":
            pass  # Tasks.launch writes the record, also for a plan without this row
        elif step.op == "hook":
            self._hook(step)
        else:
            raise Unimplemented(f"the engine does not do {step.op} yet", place=step.origin)

    def _connect(self, fds: list[int]) -> None:
        join = NetworkJoin.from_fds(self._launch.pid, [os.dup(fd) for fd in fds])
        try:
            if self._on_network:
                self._on_network(join)
        finally:
            join.close()

    def _hook(self, step: Step) -> None:
        pid = self._launch.pid
        where = hook.Where(pid, pidfd.start_time(pid), self._kinds(), self._program)
        hook.run(step, self.state("creating"), where)

    def _kinds(self) -> list[int]:
        """The namespaces that the container has of its own or joins."""
        listed = (self._spec.get("linux") or {}).get("namespaces") or []
        return [_BITS[each["type"]] for each in listed]

    def state(self, status: str) -> bytes:
        """The container's state as hooks read it (runtime.md, "State")."""
        found: dict[str, object] = {
            "ociVersion": self._spec.get("ociVersion", "1.0.0"),
            "id": self._config.id,
            "status": status,
            "pid": self._launch.pid,
            "bundle": self._config.bundle,
            "annotations": self._spec.get("annotations") or {},
        }
        return msgspec.json.encode(found)
