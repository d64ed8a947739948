"""What ``corten-runtime --version`` prints: callers look for the specification's version and crun's feature words."""

from __future__ import annotations

__all__ = ["VERSION", "text"]

VERSION = "0.1.0"


def text() -> str:
    return f"corten-runtime version {VERSION}\nspec: 1.2.0\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +IDMAP\n"
