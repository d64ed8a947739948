"""Docker semantics, a module per family of use-cases."""

__all__: list[str] = []
