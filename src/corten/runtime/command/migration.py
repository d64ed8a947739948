"""checkpoint and restore, with runc's flags."""

from __future__ import annotations

import os

from corten.kernel.probe import Host
from corten.runtime import criu
from corten.runtime.command.foreground import forward_signals, wait
from corten.runtime.command.lifecycle import launch_request
from corten.runtime.container import Container, write_pid
from corten.runtime.state import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.command import Context

__all__ = ["checkpoint", "restore"]


def checkpoint(context: Context) -> int:
    from corten.runtime.migration import checkpoint as save

    container = Container(Store(context.root).open(context.id), Host())
    images = _images(context)
    save(container, criu.found(context.globals.text("criu")), images, context.given.chosen())
    return 0


def restore(context: Context) -> int:
    from corten.runtime.migration import restored

    binary = criu.found(context.globals.text("criu"))
    request, bundle = launch_request(context)
    store = Store(context.root)
    images = _images(context)
    chosen = context.given.chosen()
    container, pid = restored(
        store, context.id, request, Host(), binary=binary, images=images, wanted=chosen, bundle=bundle
    )
    if request.pid_file:
        write_pid(request.pid_file, pid)
    if context.given.on("detach"):
        return 0
    pidfd = os.pidfd_open(pid)
    forward_signals(pidfd)
    code = wait(pid, pidfd, None)
    container.delete(force=True)
    return code


def _images(context: Context) -> criu.Images:
    """Without a place of its own CRIU's log stands beside the images, where it outlives the container."""
    given = context.given
    directory = given.text("image-path", "checkpoint")
    return criu.Images(directory, given.text("work-path", directory), given.text("parent-path"))
