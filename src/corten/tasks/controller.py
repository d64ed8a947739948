"""The rows of a plan that Python does at a checkpoint: connect the network, run hooks."""

import os
from collections.abc import Callable

from corten.kernel.netns import NetworkJoin
from corten.model.errors import Unimplemented
from corten.plan import Step
from corten.runtime.launch import Launch
from corten.tasks.hooks import Hooks

__all__ = ["Controller", "OnNetwork"]

OnNetwork = Callable[[NetworkJoin], object]


class Controller:
    """Does each controller row as `Launch` comes to it."""

    def __init__(self, launch: Launch, hooks: Hooks, on_network: OnNetwork | None) -> None:
        self._launch = launch
        self._hooks = hooks
        self._on_network = on_network

    def __call__(self, step: Step, fds: list[int]) -> None:
        match step.op:
            case "connect-network":
                self._connect(fds)
            case "hook":
                self._hooks.run(step, self._launch.pid)
            case "write-state":
                pass  # Tasks writes the record, also for a plan without this row
            case op:
                raise Unimplemented(f"the engine does not do {op} yet", place=step.origin)

    def _connect(self, fds: list[int]) -> None:
        join = NetworkJoin.from_fds(self._launch.pid, [os.dup(fd) for fd in fds])
        try:
            if self._on_network:
                self._on_network(join)
        finally:
            join.close()
