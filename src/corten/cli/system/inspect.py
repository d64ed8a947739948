"""`corten inspect`: all there is to know about things of any kind.

A name is looked for among containers, images, networks, volumes and so on, in this order; the first that has it is
shown. `--type` looks among one kind only.
"""

from __future__ import annotations

from corten.cli.container.inspect import SIZE
from corten.cli.flags import quoted, text
from corten.cli.inspection import print_inspected
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["INSPECT"]

_PLACES = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
    "service": "/services/{}",
    "task": "/tasks/{}",
    "node": "/nodes/{}",
    "plugin": "/plugins/{}/json",
    "secret": "/secrets/{}",
    "config": "/configs/{}",
}
# These answer 503 from an engine that is no node of a swarm, which is every one of ours: nothing of the name is there.
_OF_SWARM = ("service", "task", "node", "secret", "config")


def _run(session: Session, options: Options, names: list[str]) -> int:
    kind = options.text("type")
    if options.given("type") and kind not in _PLACES:
        if not kind:
            raise Fault('type is empty: must be one of "config", "container", "image", "network", "node", "plugin", '
                        '"secret", "service", "task", "volume"')  # fmt: skip
        known = ", ".join(quoted(name) for name in sorted(_PLACES))
        raise Fault(f"unknown type: {quoted(kind)}: must be one of {known}")
    sized = "1" if options.on("size") else None

    def fetch(name: str) -> str:
        if kind:
            return session.text(_PLACES[kind].format(name), {"size": sized} if kind == "container" else None)
        return _search(session, name, sized)

    return print_inspected(names, fetch, options.text("format"))


def _search(session: Session, name: str, sized: str | None) -> str:
    for kind, place in _PLACES.items():
        try:
            return session.text(place.format(name), {"size": sized} if kind == "container" else None)
        except EngineError as error:
            if error.status != 404 and kind not in (*_OF_SWARM, "plugin"):
                raise
    raise Fault(f"Error: No such object: {name}")


INSPECT = Command(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Show everything about containers, images, networks, volumes, …",
    _run,
    least=1,
    most=MANY,
    completes="container",
    flags=(DETAIL_FORMAT, SIZE, text("type", "", "Kind of thing to look for: container, image, network, volume, …")),
)
