"""Python SDK over the engine's socket."""

__all__: list[str] = []
