"""Hand a filter's notification descriptor to the agent that ``listenerPath`` names (config-linux.md, "Seccomp").

The agent gets one message: the container process state as JSON, and with it, by SCM_RIGHTS, the descriptor at which
the kernel asks what shall become of a system call (seccomp_unotify(2)).
"""

from __future__ import annotations

import _socket

from corten.runtime.unix_socket import connect
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from corten.plan.step import Step

__all__ = ["send"]

# The number in the specification's example, which crun sends and agents look for.
_PROCESS_STATE = "0.2.0"


def send(row: Step, fd: int, state: Mapping[str, Any]) -> None:
    """Do a `send-listener` row. `state` is the container's, with its pid. Raises NotFound when nobody listens."""
    path, metadata = str(row.args[0]), str(row.args[1])
    message = {
        "ociVersion": _PROCESS_STATE,
        "fds": ["seccompFd"],
        "pid": state["pid"],
        "metadata": metadata,
        "state": state,
    }
    agent = connect(path, "the seccomp agent")
    try:
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
        agent.sendmsg([codec.dumps(message).encode()], rights)
    finally:
        agent.close()
