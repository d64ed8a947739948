"""Reads the options of `--tmpfs`: a comma-separated list as mount(8) takes, of what is safe for a tmpfs."""

from __future__ import annotations

from corten.model.container import TmpfsOptions
from corten.model.errors import InvalidArgument

__all__ = ["from_mount", "options"]

DEFAULT = ("noexec", "nosuid", "nodev")
FLAGS = {"ro", "rw", "suid", "dev", "exec", "sync", "async", "dirsync", "mand", "atime", "diratime", "relatime"}
FLAGS |= {f"no{flag}" for flag in ("suid", "dev", "exec", "mand", "atime", "diratime", "relatime")}
FLAGS |= {"strictatime", "nostrictatime"}
VALUES = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}


def options(text: str) -> list[str]:
    """The mount options of `--tmpfs PATH:text`. Later ones win over the defaults noexec, nosuid, nodev."""
    chosen = list(DEFAULT)
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if equals and name in VALUES and value:
            chosen.append(part)
        elif not equals and name in FLAGS:
            chosen = [other for other in chosen if other not in opposites(name)] + [name]
        else:
            raise InvalidArgument(f'invalid tmpfs option ["{part}"]')
    return chosen


def opposites(flag: str) -> set[str]:
    return {flag, f"no{flag}", flag.removeprefix("no"), *({"ro", "rw"} if flag in ("ro", "rw") else ())}


def from_mount(settings: TmpfsOptions | None, *, readonly: bool) -> list[str]:
    """The mount options of `--mount type=tmpfs`."""
    chosen = options(",".join("=".join(words) for words in (settings.options if settings else None) or ()))
    if settings and settings.size_bytes:
        chosen.append(f"size={settings.size_bytes}")
    if settings and settings.mode:
        chosen.append(f"mode={settings.mode:o}")
    return chosen + (["ro"] if readonly else [])
