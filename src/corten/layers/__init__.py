"""Tar to filesystem and back: apply, diff, whiteouts, compression."""

__all__: list[str] = []
