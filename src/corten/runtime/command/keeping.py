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
    from typing import NoReturn

    from corten.model.runtime_spec import Process
    from corten.runtime.command import Context
    from corten.runtime.container import Container, Request
    from corten.runtime.plancache.front import Handed

__all__ = ["execution", "launch"]


def launch(context: Context, handed: Handed, container: Container) -> None:
    """Keep a container's plan, and the template of an exec in it."""
    from corten.runtime.compiler import Options
    from corten.runtime.plancache import Launched, keep_launch

    record = container.entry.record()
    launched = Launched(container.id, record["bundle"], Options(**record["options"]), record)
    _keep(context, container, lambda directory: keep_launch(handed, launched, directory))


def execution(context: Context, handed: Handed, container: Container, process: Process, request: Request) -> None:
    """Keep the plan of an exec whose process came as a document."""
    from corten.runtime.plancache import keep_exec

    record, config = container.entry.record(), container.entry.read("config.json")
    options = request.options({"ociVersion": "1.0.0", "process": process}, listener=False)
    _keep(context, container, lambda directory: keep_exec(handed, config, options, record, directory))


def _keep(context: Context, container: Container, work: Callable[[int], str]) -> None:
    """Do `work`, which gets the container's directory and answers the reason why it kept nothing. All that it needs of
    the container has been read: a short-lived one may be gone before the process aside begins."""
    directory = os.open(container.entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if context.globals.on("debug"):
            if reason := work(directory):
                context.log("debug", f"the plan is not kept: {REASONS[reason]}")
        elif os.fork() == 0:
            _aside(lambda: work(directory))
    finally:
        os.close(directory)


def _aside(work: Callable[[], str]) -> NoReturn:
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for stream in (0, 1, 2):
            os.dup2(null, stream)  # whoever reads our output shall not wait for us
        os.setsid()
        work()
    finally:
        os._exit(0)
