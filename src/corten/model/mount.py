"""One mount, as a value: made by somebody else, somewhere else.

A snapshotter returns a list of these and never mounts: the launcher makes them in the container's own mount
namespace, so that nothing ever appears in the host's mount table.
"""

import msgspec

__all__ = ["Mount"]


class Mount(msgspec.Struct, frozen=True):
    """`options` are as mount(8) writes them, data and flags mixed; `target` is below the root ("" is the root)."""

    type: str
    source: str
    options: tuple[str, ...] = ()
    target: str = ""

    def option(self, name: str) -> str | None:
        """The value of ``name=value`` among the options, or None."""
        return next((text[len(name) + 1 :] for text in self.options if text.startswith(f"{name}=")), None)
