"""`corten image inspect`: all there is to know about images."""

from __future__ import annotations

from corten.cli.image.ls import PLATFORM, platform_object
from corten.cli.inspection import print_inspected
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["IMAGE"]


def _run(session: Session, options: Options, names: list[str]) -> int:
    query = {"platform": platform_object(options.text("platform"))}
    return print_inspected(names, lambda name: session.text(f"/images/{name}/json", query), options.text("format"))


IMAGE = Command(
    "image inspect",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Show everything about images",
    _run,
    least=1,
    most=MANY,
    completes="image",
    flags=(DETAIL_FORMAT, PLATFORM),
)
