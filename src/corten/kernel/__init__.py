"""Thin typed calls to Linux, a file per subsystem, no policy."""

__all__: list[str] = []
