"""The registry server's core: repositories, tags, uploads."""

__all__: list[str] = []
