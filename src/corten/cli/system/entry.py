"""Commands that are other programs' entry points, reached by name: they are none of the client's imports."""

from __future__ import annotations

from corten.model.errors import Unimplemented

__all__ = ["call_entry"]


def call_entry(module: str, argv: list[str]) -> int:
    """Import `module` and run its `main(argv)`; Unimplemented where this installation has no such part."""
    import sys

    try:
        __import__(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Unimplemented(f"{module} is not part of this installation") from None
    status: int = sys.modules[module].main(argv)
    return status
