"""Filesystem states with parents."""

__all__: list[str] = []
