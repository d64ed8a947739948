"""`corten volume create`."""

from __future__ import annotations

from corten.cli.container import readers
from corten.cli.flags import text, texts
from corten.cli.table import Command, Fault
from corten.cli.values import key_value, pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CREATE"]


def _run(session: Session, options: Options, words: list[str]) -> int:
    name = options.text("name")
    if words and name:
        raise Fault("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
    body = {
        "Name": words[0] if words else name,
        "Driver": options.text("driver"),
        "DriverOpts": pairs(options.texts("opt")),
        "Labels": pairs(options.texts("label")),
    }
    session.say(session.post("/volumes/create", body=body).json()["Name"])
    return 0


CREATE = Command(
    "volume create",
    "[OPTIONS] [VOLUME]",
    "Make a volume",
    _run,
    most=1,
    flags=(
        text("driver", "d", "Driver of the volume", "local"),
        texts("label", "", "Add a label", read=readers.label),
        text("name", "", "Name of the volume", hidden=True),
        texts("opt", "o", "Option for the driver", kind="map", read=key_value),
    ),
)
