"""generate: a configuration by flags, to standard output or a file."""

from __future__ import annotations

import sys

from corten.runtime.command.flags import Flag
from corten.runtime.container import read_config
from corten.runtime.generation import EDITS, generated
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.command import Context

__all__ = ["FLAGS", "generate"]

_SWITCHES = ("rootfs-readonly", "process-terminal", "process-no-new-privileges", "linux-disable-oom-kill")
FLAGS = (
    Flag("--template", "FILE", "begin with this configuration"),
    Flag("--output", "FILE", "write it there (default: standard output)"),
    *(
        Flag(f"--{name}", "" if name in _SWITCHES or name.endswith("-all") else "VALUE", help, many=True)
        for name, (_, _, help) in EDITS.items()
    ),
)


def generate(context: Context) -> int:
    given = context.given
    template = None
    if path := given.text("template"):
        with open(path, "rb") as file:
            template = read_config(file.read())
    text = codec.dumps_indented(generated(given.values, template), "\t") + "\n"
    if path := given.text("output"):
        with open(path, "w") as target:
            target.write(text)
    else:
        sys.stdout.write(text)
    return 0
