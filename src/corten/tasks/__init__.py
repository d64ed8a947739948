"""Running things: monitor client, exec, stdio, exits, restore."""

__all__: list[str] = []
