"""Images: load, save, tag, unpack, bootstrap, pull, push."""

__all__: list[str] = []
