"""The text of overlayfs's option `lowerdir=`: directories with colons between them, the topmost first.

A colon in a name is written ``\\:``, and a backslash ``\\\\`` (Documentation/filesystems/overlayfs.rst, "Multiple lower
layers"). Whoever writes or reads the option does it here.

>>> join(["/a", "/b:c"])
'/a:/b\\\\:c'
"""

__all__ = ["join", "split"]


def join(directories: list[str]) -> str:
    return ":".join(escaped(directory) for directory in directories)


def split(text: str) -> list[str]:
    """The directories that `join` was given."""
    found, name, letters = [], "", iter(text)
    for letter in letters:
        if letter == ":":
            found.append(name)
            name = ""
        else:
            name += next(letters, "") if letter == "\\" else letter
    return [*found, name]


def escaped(directory: str) -> str:
    return directory.replace("\\", "\\\\").replace(":", "\\:")
