"""The launch-plan language: what Python decided and C will do, as a flat readable list."""

__all__: list[str] = []
