"""`corten port`: where a container's ports are reached."""

from __future__ import annotations

from corten.cli.table import Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["PORT"]


def _run(session: Session, _options: Options, words: list[str]) -> int:
    ports = session.get(f"/containers/{words[0]}/json")["NetworkSettings"].get("Ports") or {}
    if len(words) == 1:
        for port in sorted(ports, key=_order):
            session.say(*(f"{port} -> {_place(binding)}" for binding in ports[port] or []))
        return 0
    number, _, protocol = words[1].partition("/")
    if not (number.isascii() and number.isdecimal()) or int(number) > 65535:
        raise Fault(f"Error: invalid port ({number}): invalid syntax")
    bindings = ports.get(f"{number}/{protocol or 'tcp'}")
    if not bindings:
        raise Fault(f"Error: No public port '{words[1]}' published for {words[0]}")
    session.say(*map(_place, bindings))
    return 0


def _order(port: str) -> tuple[int, str]:
    number, _, protocol = port.partition("/")
    return int(number), protocol


def _place(binding: dict[str, str]) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"


PORT = Command(
    "port, container port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "Show where the ports of a container are reached",
    _run,
    least=1,
    most=2,
    completes="container",
)
