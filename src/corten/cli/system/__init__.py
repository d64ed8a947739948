"""The commands about the engine, the host and the command line itself; `corten.cli.index` lists them."""

__all__: list[str] = []
