"""`corten doctor`: the command around `corten.cli.doctor`."""

from __future__ import annotations

import sys
from os import environ, geteuid, uname

from corten import __version__
from corten.cli.doctor.finding import FAIL, NOTE, OK, WARN
from corten.cli.flags import switch, text
from corten.cli.table import Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.cli.doctor import Finding
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["DOCTOR", "findings"]

_SIGNS = {OK: "ok  ", NOTE: "note", WARN: "WARN", FAIL: "FAIL"}


def findings(session: Session) -> Iterator[Finding]:
    """All that can be found out, area by area."""
    from corten.cli.doctor import files, groups, host, installation, network, users
    from corten.model.roots import of

    root = session.root()
    yield from host.look()
    yield from groups.look()
    yield from users.look()
    yield from files.look(of({**environ, "CORTEN_ROOT": root} if root else environ, geteuid()).data)
    yield from network.look()
    yield from installation.look(session)


def _run(session: Session, options: Options, _: list[str]) -> int:
    found = list(findings(session))
    form = options.text("format")
    if form not in ("", "json"):
        raise Fault(f"corten doctor: unknown format {form}", hint="the only other format is json")
    if form == "json":
        _print_json(found)
    else:
        _print(found, quiet=options.on("quiet"))
    return 1 if any(finding.level == FAIL for finding in found) else 0


def _print_json(found: list[Finding]) -> None:
    from corten.wire.codec import dumps_indented

    rows = [{"area": one.area, "level": one.level, "what": one.what, "mend": one.mend} for one in found]
    sys.stdout.write(dumps_indented(rows) + "\n")


def _print(found: list[Finding], *, quiet: bool) -> None:
    sys.stdout.write(f"Corten {__version__}, Linux {uname().release}, {uname().machine}\n")
    shown = [finding for finding in found if not quiet or finding.level in (WARN, FAIL)]
    for area in dict.fromkeys(finding.area for finding in shown):
        sys.stdout.write(f"\n{area}\n")
        for finding in shown:
            if finding.area == area:
                sys.stdout.write(f"  {_SIGNS[finding.level]}  {finding.what}\n")
                if finding.mend:
                    sys.stdout.write(f"        mend: {finding.mend}\n")
    counts = {level: sum(finding.level == level for finding in found) for level in (WARN, FAIL)}
    verdict = "containers run here" if not counts[FAIL] else "no container can run here"
    sys.stdout.write(f"\n{verdict}; {counts[WARN]} warnings, {counts[FAIL]} failures\n")


DOCTOR = Command(
    "doctor",
    "[OPTIONS]",
    "Say what this host can do for containers, and how to mend the rest",
    _run,
    flags=(
        text("format", "f", "`json` prints JSON"),
        switch("quiet", "q", "Show warnings and failures only"),
    ),
)
