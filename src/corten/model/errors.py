"""One closed set of error kinds, and one table from them to every edge.

A message says *action + object + cause*; `hint` says the remedy; `place` says where in the input the
cause stands (a JSON pointer, a Dockerfile range, a plan row). Nothing ever classifies an error by searching its text.

>>> raise NotFound("No such container: web", hint="list them with: corten ps -a")
"""

import errno

__all__ = [
    "AlreadyExists",
    "Cancelled",
    "Conflict",
    "CortenError",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "NotModified",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "of_system",
]


class CortenError(Exception):
    """The root of every error that Corten raises on purpose.

    `http` and `grpc` are the status codes of its kind, `exit_code` what a command ends with.
    """

    http = 500
    grpc = 13
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", place: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place

    @property
    def kind(self) -> str:
        """The kind's name as it stands in REST answers, for instance ``NotFound``."""
        return type(self).__name__


class NotFound(CortenError):
    http, grpc = 404, 5


class AlreadyExists(CortenError):
    http, grpc = 409, 6


class Conflict(CortenError):
    """The object's present state forbids the request (a running container cannot be removed)."""

    http, grpc = 409, 10


class InvalidArgument(CortenError):
    http, grpc = 400, 3


class Unauthenticated(CortenError):
    http, grpc = 401, 16


class PermissionDenied(CortenError):
    http, grpc = 403, 7


class FailedPrecondition(CortenError):
    """The host or the engine is not in the state the request needs."""

    http, grpc = 412, 9


class NotModified(CortenError):
    """The request asked for what is already so (start of a running container)."""

    http, grpc = 304, 6


class Unavailable(CortenError):
    http, grpc = 503, 14


class ResourceExhausted(CortenError):
    http, grpc = 429, 8


class Cancelled(CortenError):
    http, grpc = 499, 1


class DeadlineExceeded(CortenError):
    http, grpc = 504, 4


class Unimplemented(CortenError):
    """What is not built yet says so, naming what is missing."""

    http, grpc = 501, 12


class DataLoss(CortenError):
    """Stored bytes are not what their digest promises."""

    http, grpc = 500, 15


class Internal(CortenError):
    http, grpc = 500, 13


_FULL = "free some space and try again; nothing was lost"
_TOO_MANY = "raise the limit (ulimit -n, pids.max), or end something"
_OF_SYSTEM: dict[int, tuple[type[CortenError], str]] = {
    errno.ENOSPC: (ResourceExhausted, _FULL),
    errno.EDQUOT: (ResourceExhausted, _FULL),
    errno.EMFILE: (ResourceExhausted, _TOO_MANY),
    errno.ENFILE: (ResourceExhausted, _TOO_MANY),
    errno.EAGAIN: (ResourceExhausted, _TOO_MANY),
    errno.ENOMEM: (ResourceExhausted, "the machine or the engine's cgroup is out of memory"),
    errno.EROFS: (FailedPrecondition, "mount it writable, or choose another root with --root DIR"),
}


def of_system(error: OSError, action: str = "") -> CortenError | None:
    """What the operating system refuses for want of something, as an error of ours; None where it has another reason.

    `action` says what was to be done; the object is the path that the error names.
    """
    if error.errno not in _OF_SYSTEM:
        return None
    kind, hint = _OF_SYSTEM[error.errno]
    words = (action, error.filename if isinstance(error.filename, str) else "", (error.strerror or "").lower())
    return kind(": ".join(word for word in words if word), hint=hint)
