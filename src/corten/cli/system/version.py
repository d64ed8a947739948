"""`corten version`: which command this is, and which engine it talks to."""

from __future__ import annotations

import sys
from posix import uname

from corten import __version__
from corten.cli.flags import text
from corten.cli.table import Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["DETAIL_FORMAT", "VERSION"]

DETAIL_FORMAT = text("format", "f", "Print by a Go template; `json` prints JSON")

_API_VERSION = "1.51"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _client(server: Any) -> dict[str, object]:
    agreed = min(_API_VERSION, (server or {}).get("ApiVersion", _API_VERSION), key=_version_key)
    return {
        "Version": __version__,
        "ApiVersion": agreed,
        "DefaultAPIVersion": _API_VERSION,
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": "linux",
        "Arch": _ARCHITECTURES.get(uname().machine, uname().machine),
    }


def _version_key(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def _server(session: Session) -> tuple[Any, Exception | None]:
    """What the engine says, or why it said nothing: the client's half is printed all the same."""
    try:
        return session.get("/version"), None
    except (Fault, EngineError, OSError) as error:
        return None, error


def _print(client: dict[str, object], server: Any, session: Session) -> None:
    agreed, default = client["ApiVersion"], client["DefaultAPIVersion"]
    note = f" (downgraded from {default})" if agreed != default else ""
    session.say(
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {agreed}{note}",
        f" Python version:    {client['PythonVersion']}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
    )
    if server is None:
        return
    session.say("", f"Server:{_platform_name(server)}")
    for component in server.get("Components") or []:
        session.say(f" {component['Name']}:", *_details(component))


def _platform_name(server: Any) -> str:
    name = (server.get("Platform") or {}).get("Name")
    return f" {name}" if name else ""


def _details(component: Any) -> list[str]:
    """A component's lines: the engine's in a fixed order, any other's as they come."""
    details = component.get("Details") or {}
    lines = [("Version", component["Version"])]
    if component["Name"] == "Engine":
        lines += [
            ("API version", f"{details.get('ApiVersion')} (minimum version {details.get('MinAPIVersion')})"),
            *((name, details[key]) for name, key in _ENGINE_LINES if details.get(key)),
            ("OS/Arch", f"{details.get('Os')}/{details.get('Arch')}"),
            ("Experimental", details.get("Experimental", "false")),
        ]
    else:
        lines += list(details.items())
    return [f"  {name + ':':<18}{value}" for name, value in lines]


_ENGINE_LINES = (
    ("Go version", "GoVersion"),
    ("Python version", "PythonVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
)


def _run(session: Session, options: Options, _: list[str]) -> int:
    server, failure = _server(session)
    client = _client(server)
    form = options.text("format")
    if form == "json":
        from corten.wire.codec import dumps

        session.say(dumps({"Client": client, "Server": server}))
    elif form:
        from corten.cli.inspection import print_one

        print_one(form, {"Client": client, "Server": server}, kind="system.versionInfo", name="version")
    else:
        _print(client, server, session)
    if failure is not None:
        raise failure
    return 0


VERSION = Command("version", "[OPTIONS]", "Show which command and which engine this is", _run, flags=(DETAIL_FORMAT,))
