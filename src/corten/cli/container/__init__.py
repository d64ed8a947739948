"""The commands about containers, one module for each family of verbs; `corten.cli.index` lists them."""

__all__: list[str] = []
