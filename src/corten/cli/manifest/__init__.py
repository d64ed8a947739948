"""The `manifest` commands: lists of images for several platforms, made and looked at without an engine."""

__all__: list[str] = []
