"""Composition root: config, lifecycle, signals, restore."""

__all__: list[str] = []
