"""Keep what was compiled, when the static program asked: after a launch has come up, in a process aside, so that nobody
waits for it. With ``--debug`` it is done at once, and the reason is told when a plan is not kept.

Only an ordinary miss is kept. A launch that failed in the static program was of a kept plan already.
"""

from __future__ import annotations

import os

from corten.runtime.plancache.reasons import REASONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from corten.model.runtime_spec import Process
    from corten.runtime.command import Context
    from corten.runtime.container import Container, Request
    from corten.runtime.plancache.front import Handed

__all__ = ["execution", "keep", "launch"]


def keep(context: Context, work: Callable[[], str]) -> None:
    """Do `work` (`launch` or `execution`), which answers the reason why it kept nothing."""
    if context.globals.on("debug"):
        if reason := work():
            context.log("debug", f"the plan is not kept: {REASONS[reason]}")
        return
    if os.fork():
        return
    try:
        os.closerange(0, 256)  # whoever reads our output shall not wait for us
        os.setsid()
        work()
    finally:
        os._exit(0)


def launch(handed: Handed, container: Container) -> str:
    """Keep a container's plan, and the template of an exec in it. The reason why not, or ""."""
    from corten.runtime.compiler import Options
    from corten.runtime.plancache import Launched, keep_launch

    record = container.entry.record()
    options = Options(**record["options"])
    launched = Launched(container.id, record["bundle"], options, record)
    directory = os.open(container.entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return keep_launch(handed, launched, directory)
    finally:
        os.close(directory)


def execution(handed: Handed, container: Container, process: Process, request: Request) -> str:
    """Keep the plan of an exec whose process came as a document. The reason why not, or ""."""
    from corten.runtime.plancache import keep_exec

    record = container.entry.record()
    directory = os.open(container.entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        options = request.options({"ociVersion": "1.0.0", "process": process}, listener=False)
        return keep_exec(handed, container.entry.read("config.json"), options, record, directory)
    finally:
        os.close(directory)
