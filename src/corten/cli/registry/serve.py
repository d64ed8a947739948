"""`corten registry serve`: be a registry."""

from __future__ import annotations

from corten.cli.flags import number, text
from corten.cli.system.entry import call_entry
from corten.cli.table import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["SERVE"]


def _run(_: Session, options: Options, __: list[str]) -> int:
    import _signal  # type: ignore[import-not-found]

    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)  # a client that goes away must not take the registry along
    argv: list[str] = []
    for name in ("listen", "root", "tls-cert", "tls-key", "htpasswd"):
        if value := options.text(name):
            argv += [f"--{name}", value]
    if options.given("ready-fd"):
        argv += ["--ready-fd", str(options.number("ready-fd"))]
    return call_entry("corten.daemon.registry", argv)


SERVE = Command(
    "registry serve",
    "[OPTIONS]",
    "Be a registry, in the foreground",
    _run,
    about=(
        "Be a registry that docker, podman, skopeo and Corten push to and pull from. Everything is in\n"
        "plain files below one directory; whatever no repository names is freed every hour.\n\n"
        "Without --htpasswd everybody who reaches the port may push, pull and delete."
    ),
    flags=(
        text("htpasswd", "", "Ask for a user and password of this file (made by htpasswd -B)", kind="file"),
        text("listen", "", "Address and port, for instance 127.0.0.1:5000", kind="host:port"),
        number("ready-fd", "", "Descriptor that is told the port when ready", hidden=True),
        text("root", "", "Directory that holds the registry", kind="dir"),
        text("tls-cert", "", "Certificate chain in PEM", kind="file"),
        text("tls-key", "", "Private key in PEM", kind="file"),
    ),
)
