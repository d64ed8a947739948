"""The rows of a plan that Python does at a checkpoint: network, devices, hooks, id maps, the seccomp agent."""

from collections.abc import Callable

from corten.kernel.netlink import NETLINK_ROUTE, Netlink
from corten.kernel.netns import NetworkJoin
from corten.model.errors import Internal
from corten.plan import Step
from corten.runtime import net_devices, seccomp_agent, subordinate_ids
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
            case "move-netdev":
                self._move_device(step, fds)
            case "map-users":
                subordinate_ids.map_users(self._launch.pid, str(step.args[0]), str(step.args[1]))
            case "send-listener":
                seccomp_agent.send(step, fds[0], self._hooks.state("creating", self._launch.pid))
            case op:
                raise Internal(f"the plan asks for {op}, which the engine never does", place=step.origin)

    def _move_device(self, step: Step, fds: list[int]) -> None:
        with NetworkJoin.of_copies(0, fds) as join, Netlink.open(NETLINK_ROUTE) as host:
            net_devices.move(host, join.route, join.netns_fd, str(step.args[0]), str(step.args[1]), step.origin)

    def _connect(self, fds: list[int]) -> None:
        join = NetworkJoin.of_copies(self._launch.pid, fds)
        try:
            if self._on_network:
                self._on_network(join)
        finally:
            join.close()
