"""A registry's error answer as one of our kinds (distribution-spec, "Error Codes").

{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": …}]}
"""

import json
from typing import NamedTuple

from corten.model.errors import (
    CortenError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)

__all__ = ["error_of"]

KINDS: dict[int, type[CortenError]] = {
    400: InvalidArgument,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    405: Unimplemented,
    413: InvalidArgument,
    416: InvalidArgument,
    429: ResourceExhausted,
}
HINTS: dict[type[CortenError], str] = {
    Unauthenticated: "log in to the registry: corten login REGISTRY",
    PermissionDenied: "log in with an account that may do this: corten login REGISTRY",
    ResourceExhausted: "wait a while, or log in: registries allow more to known users",
    Unavailable: "the registry is in trouble; try again later",
}
LONGEST, MOST = 300, 4


class Problem(NamedTuple):
    code: str
    message: str


def error_of(action: str, status: int, body: bytes) -> CortenError:
    """The error for an answer with `status`; its text is `action`, then the registry's code and message."""
    kind = KINDS.get(status, Unavailable if status >= 500 else InvalidArgument)
    said = "; ".join(f"{one.code.lower().replace('_', ' ')}: {one.message}" for one in problems(body))
    return kind(f"{action}: {said or f'the registry answers {status}'}", hint=HINTS.get(kind, ""))


def problems(body: bytes) -> list[Problem]:
    try:
        entries = json.loads(body)["errors"]
        return [Problem(shown(one.get("code")), shown(one.get("message"))) for one in entries[:MOST]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def shown(text: object) -> str:
    """A registry's words, short and without what a terminal would obey."""
    return "".join(filter(str.isprintable, str(text or "")[:LONGEST]))
