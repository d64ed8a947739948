"""Protocols as bytes in, events out: they know neither sockets nor files."""

__all__: list[str] = []
