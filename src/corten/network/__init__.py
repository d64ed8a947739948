"""Sandboxes, bridges, address pools, name service, published ports."""

__all__: list[str] = []
