"""What was installed, and the engine at our address."""

from __future__ import annotations

import importlib.util

from corten.cli.doctor.finding import FAIL, NOTE, OK, WARN, Finding
from corten.client.connection import Connection, EngineError
from corten.model.errors import CortenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.cli.session import Session

__all__ = ["look"]

_NEEDED = ("msgspec", "h11", "wsproto", "dnslib", "isal", "cryptography")


def look(session: Session) -> Iterator[Finding]:
    yield _program()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding("installation", FAIL, f"Python packages are missing: {', '.join(missing)}", "pip install corten")
    else:
        yield Finding("installation", OK, "every Python package is there")
    yield _engine(session)


def _program() -> Finding:
    from corten.kernel import program

    try:
        return Finding("installation", OK, f"the static program is {program.path()}")
    except CortenError as error:
        return Finding("installation", FAIL, error.message, error.hint)


def _engine(session: Session) -> Finding:
    """Whether an engine answers; none is started for this."""
    connection = Connection(session.address(), timeout=5.0)
    try:
        version = connection.request("GET", "/version").json()
    except OSError as error:
        if session.owns_engine():
            return Finding("installation", NOTE, "no engine runs yet: the first command that needs one starts it")
        reason = error.strerror or str(error)
        return Finding(
            "installation", WARN, f"no engine answers at {session.address().text}: {reason}", "start it there"
        )
    except (EngineError, CortenError) as error:
        return Finding("installation", WARN, f"the engine at {session.address().text} answers with an error: {error}")
    return Finding("installation", OK, f"engine {version['Version']} answers at {session.address().text}")
