"""What a failed launch means to the user: Docker's exit codes and words.

126 is "found, but it cannot be executed", 127 "not found", 128 anything else. Which it is tells the kind of the error
at the plan's program rows; the texts are those that Docker's command line recognises (cli/command/container/run.go).
"""

from typing import NamedTuple

from corten.model.errors import (
    CortenError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    of_system,
)

__all__ = ["CREATING", "EXECUTING", "Failure", "explained"]

NOT_EXECUTABLE, NOT_FOUND, FAILED = 126, 127, 128
CREATING = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
CREATING += "runc create failed: unable to start container process: "
EXECUTING = "OCI runtime exec failed: exec failed: unable to start container process: "
PROGRAM = "/process/args"
HINTS = {
    NOT_FOUND: "look for the program in the image; a script also needs the interpreter that its first line names",
    NOT_EXECUTABLE: "the file must be executable for the container's user, and made for this machine's architecture",
}


class Failure(NamedTuple):
    """The error to raise, and what the container's State.ExitCode becomes."""

    exit_code: int
    error: CortenError


def explained(error: Exception, *, prefix: str = CREATING) -> Failure:
    """An error of the launch as Docker would tell it. One that is no fault of the program keeps its kind."""
    if isinstance(error, CortenError) and error.place.startswith(PROGRAM):
        code = exit_code(error)
        return Failure(code, InvalidArgument(f"{prefix}{error.message}: unknown", hint=HINTS.get(code, "")))
    if isinstance(error, CortenError):
        return Failure(FAILED, error)
    if isinstance(error, OSError) and (refused := of_system(error, "cannot start the container")) is not None:
        return Failure(FAILED, refused)
    return Failure(FAILED, Internal(f"{prefix}{error}: unknown"))


def exit_code(error: CortenError) -> int:
    if isinstance(error, NotFound):
        return NOT_FOUND
    if isinstance(error, PermissionDenied | FailedPrecondition):
        return NOT_EXECUTABLE
    return FAILED
