"""`corten serve`: be the engine."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]

from corten.cli.flags import number, switch, text, texts
from corten.cli.system.entry import call_entry
from corten.cli.table import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["SERVE"]


def _run(session: Session, options: Options, _: list[str]) -> int:
    argv: list[str] = []
    if root := options.text("root") or session.root():
        argv += ["--root", root]
    for host in options.texts("host"):
        argv += ["--host", host]
    if options.on("background"):
        argv.append("--background")
    argv += [f"--{name}" for name in ("tls", "tlsverify") if options.on(name)]
    for name in ("tlscacert", "tlscert", "tlskey"):
        if options.text(name):
            argv += [f"--{name}", options.text(name)]
    if options.given("ready-fd"):
        argv += ["--ready-fd", str(options.number("ready-fd"))]
    import gc

    gc.set_threshold(700, 10, 10)  # the interpreter's own: a command collects rarely, an engine lives long
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)  # a client that goes away must not take the engine along
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    return call_entry("corten.daemon.command", argv)


SERVE = Command(
    "serve",
    "[OPTIONS]",
    "Be the engine, in the foreground",
    _run,
    about=(
        "Be the engine of a root, in the foreground. Commands start one in the background when they\n"
        "find none, so this is for service managers (it speaks LISTEN_FDS and sd_notify) and for\n"
        "watching its log."
    ),
    flags=(
        switch("background", "", "Detach from the terminal and leave when idle", hidden=True),
        texts("host", "H", "Listen here too: unix://PATH or tcp://127.0.0.1:PORT"),
        number("ready-fd", "", "Descriptor to close when ready", hidden=True),
        switch("tls", "", "Speak TLS on TCP; implied by --tlsverify"),
        text("tlscacert", "", "Trust clients with certificates of this authority (default ~/.docker/ca.pem)"),
        text("tlscert", "", "The engine's own certificate (default ~/.docker/cert.pem)"),
        text("tlskey", "", "Its key (default ~/.docker/key.pem)"),
        switch("tlsverify", "", "Speak TLS on TCP and ask clients for a certificate"),
        text("root", "", "Directory that holds everything of the engine; its socket is DIR/corten.sock"),
    ),
)
