"""checkpoint and restore, which need CRIU and are not built yet."""

from __future__ import annotations

from corten.model.errors import Unimplemented

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.command import Context

__all__ = ["checkpoint", "restore"]


def checkpoint(context: Context) -> int:
    raise Unimplemented(f"cannot checkpoint {context.id}: saving processes by CRIU is not built yet")


def restore(context: Context) -> int:
    raise Unimplemented(f"cannot restore {context.id}: restoring processes by CRIU is not built yet")
