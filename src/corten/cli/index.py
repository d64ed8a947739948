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
    "context": "Manage names of engines",
    "image": "Manage images",
    "network": "Manage networks",
    "volume": "Manage volumes",
    "system": "Manage Corten itself",
    "builder": "Manage builds",
    "manifest": "Manage image lists for several platforms",
    "registry": "Serve a registry",
}

_ROWS = """
container.run:RUN            container run, run
container.run:CREATE         container create, create
container.ps:PS              container ls, container list, container ps, ps
container.start:START        container start, start
container.start:ATTACH       container attach, attach
container.exec:EXEC          container exec, exec
container.logs:LOGS          container logs, logs
container.lifecycle:STOP     container stop, stop
container.lifecycle:RESTART  container restart, restart
container.lifecycle:KILL     container kill, kill
container.lifecycle:PAUSE    container pause, pause
container.lifecycle:UNPAUSE  container unpause, unpause
container.lifecycle:WAIT     container wait, wait
container.lifecycle:RM       container rm, container remove, rm
container.lifecycle:RENAME   container rename, rename
container.lifecycle:PRUNE    container prune
container.inspect:CONTAINER  container inspect
container.processes:TOP      container top, top
container.stats:STATS        container stats, stats
container.copy:CP            container cp, cp
container.changes:DIFF       container diff, diff
container.changes:EXPORT     container export, export
container.changes:COMMIT     container commit, commit
container.update:UPDATE      container update, update
container.port:PORT          container port, port
image.ls:LS                  image ls, image list, images
image.ls:HISTORY             image history, history
image.rm:RM                  image rm, image remove, rmi
image.rm:PRUNE               image prune
image.rm:TAG                 image tag, tag
image.archive:SAVE           image save, save
image.archive:LOAD           image load, load
image.archive:IMPORT         image import, import
image.inspect:IMAGE          image inspect
image.registry:PULL          image pull, pull
image.registry:PUSH          image push, push
image.registry:SEARCH        search
image.login:LOGIN            login
image.login:LOGOUT           logout
image.build:BUILD            image build, build, builder build
image.build:PRUNE            builder prune
image.bootstrap:BOOTSTRAP    image bootstrap
context.commands:CREATE      context create
context.commands:EXPORT      context export
context.commands:IMPORT      context import
context.commands:INSPECT     context inspect
context.commands:LS          context ls, context list
context.commands:RM          context rm, context remove
context.commands:SHOW        context show
context.commands:UPDATE      context update
context.commands:USE         context use
manifest.commands:INSPECT    manifest inspect
manifest.commands:CREATE     manifest create
manifest.commands:ANNOTATE   manifest annotate
manifest.commands:PUSH       manifest push
manifest.commands:RM         manifest rm
network.ls:LS                network ls, network list
network.create:CREATE        network create
network.connect:CONNECT      network connect
network.connect:DISCONNECT   network disconnect
network.rm:RM                network rm, network remove
network.rm:PRUNE             network prune
network.inspect:NETWORK      network inspect
volume.ls:LS                 volume ls, volume list
volume.create:CREATE         volume create
volume.rm:RM                 volume rm, volume remove
volume.rm:PRUNE              volume prune
volume.inspect:VOLUME        volume inspect
system.inspect:INSPECT       inspect
system.version:VERSION       version
system.info:INFO             system info, info
system.df:DF                 system df
system.events:EVENTS         system events, events
system.prune:PRUNE           system prune
system.reset:RESET           system reset
system.serve:SERVE           serve
registry.serve:SERVE         registry serve
system.runtime:RUNTIME       runtime
system.doctor:DOCTOR         doctor
system.completion:COMPLETION completion
system.completion:COMPLETE   __complete
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
