"""Commands that serve a registry."""

__all__: list[str] = []
