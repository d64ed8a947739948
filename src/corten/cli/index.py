"""The tree of commands: which path is declared where.

This is all that a start of `corten` reads to find the one module it needs. A row names a module below
`corten.cli` and the `Command` in it; the words of the row are the paths, first the one that stands in help pages.
`tests/unit/cli/test_index.py` holds this table and the commands' own paths together.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.table import Command

__all__ = ["GROUPS", "PATHS", "commands", "find", "load"]

GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "volume": "Manage volumes",
    "system": "Manage Corten itself",
    "builder": "Manage builds",
}

_ROWS = """
container.run:RUN            container run, run
container.run:CREATE         container create, create
container.ps:PS              container ls, container list, container ps, ps
image.ls:LS                  image ls, image list, images
image.ls:HISTORY             image history, history
image.registry:PULL          image pull, pull
image.registry:PUSH          image push, push
image.registry:SEARCH        search
image.login:LOGIN            login
image.login:LOGOUT           logout
system.version:VERSION       version
"""


def _paths() -> dict[str, str]:
    found: dict[str, str] = {}
    for row in _ROWS.strip().split("\n"):
        where, _, words = row.partition(" ")
        for path in words.split(","):
            found[path.strip()] = where
    return found


PATHS = _paths()


def find(words: list[str]) -> tuple[str, list[str]]:
    """The command's path at the head of `words`, and the words behind it; an empty path when there is none."""
    for length in (2, 1):
        path = " ".join(words[:length])
        if len(words) >= length and path in PATHS:
            return path, words[length:]
    return "", words


def load(path: str) -> Command:
    """Import the one module that declares the command at `path`."""
    module, _, name = PATHS[path].partition(":")
    full = f"corten.cli.{module}"
    __import__(full)
    import sys

    command: Command = getattr(sys.modules[full], name)
    return command


def commands() -> list[Command]:
    """Every command once, by importing every module: for help pages, completion and tests."""
    places: dict[str, str] = {}
    for path, where in PATHS.items():
        places.setdefault(where, path)
    return [load(path) for path in places.values()]
