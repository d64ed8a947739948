"""What the command line does at the checkpoints of a launch: the controller's rows of a container's plan."""

from __future__ import annotations

from corten.model.errors import Internal
from corten.runtime.state import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from corten.model.runtime_spec import RuntimeSpec
    from corten.plan.step import Step
    from corten.runtime.container import Container

__all__ = ["VERSION", "Controller"]

VERSION = "1.2.0"  # of the runtime specification, as `state` says it


class Controller:
    """Does the controller's rows of a container's plan."""

    def __init__(self, container: Container, spec: RuntimeSpec, record: Mapping[str, Any]) -> None:
        self.container = container
        self.spec = spec
        self.record = record

    def __call__(self, row: Step, fds: list[int]) -> None:
        match row.op:
            case "write-state":
                pass  # `create` writes it, with what it then knows
            case "hook":
                status = "created" if row.args[0] == "startContainer" else "creating"
                self.container.run_hook(row, self.spec, self._record(), status)
            case "send-listener":
                from corten.runtime import seccomp_agent

                seccomp_agent.send(row, fds[0], self._state())
            case "map-users":
                from corten.runtime import subordinate_ids

                subordinate_ids.map_users(self._record()["pid"], str(row.args[0]), str(row.args[1]))
            case "start-unit":
                self.container.unit(self.spec).start(self._record()["pid"])
            case "move-netdev":
                self._move_device(row, fds)
            case op:
                raise Internal(f"the plan asks for {op}, which the command-line runtime never does", place=row.origin)

    def _record(self) -> Mapping[str, Any]:
        """The record, or while it is being created, what is known so far."""
        launch = self.container.launch
        if launch is None:
            return self.record
        return {**self.record, "pid": launch.pid, "start": start_time(launch.pid)}

    def _state(self) -> dict[str, Any]:
        record = self._record()
        return {
            "ociVersion": VERSION,
            "id": self.container.id,
            "status": "creating",
            "pid": record["pid"],
            "bundle": record["bundle"],
            "annotations": record["annotations"],
        }

    def _move_device(self, row: Step, fds: list[int]) -> None:
        from corten.kernel.netlink import NETLINK_ROUTE, Netlink
        from corten.kernel.netns import NetworkJoin
        from corten.runtime import net_devices

        with NetworkJoin.of_copies(0, fds) as join, Netlink.open(NETLINK_ROUTE) as host:
            net_devices.move(host, join.route, join.netns_fd, str(row.args[0]), str(row.args[1]), row.origin)
