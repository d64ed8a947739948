"""What a 401 asks for: the ``WWW-Authenticate`` header (RFC 9110, 11.6.1).

>>> parse('Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull"')[0].scheme
'bearer'
"""

import re
from typing import NamedTuple

__all__ = ["Challenge", "parse"]

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETER = re.compile(rf'\s*({TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({TOKEN}))\s*(?:,|$)')
SCHEME = re.compile(rf"\s*({TOKEN})(?:\s+|$)")


class Challenge(NamedTuple):
    """One way to authenticate; `scheme` is lower-case."""

    scheme: str
    parameters: dict[str, str]


def parse(header: str) -> list[Challenge]:
    """Every challenge of the header, in order; what is malformed ends the list."""
    found: list[Challenge] = []
    at = 0
    while match := SCHEME.match(header, at):
        at = match.end()
        parameters: dict[str, str] = {}
        while pair := PARAMETER.match(header, at):
            quoted, plain = pair[2], pair[3]
            parameters[pair[1].lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            at = pair.end()
        found.append(Challenge(match[1].lower(), parameters))
    return found
