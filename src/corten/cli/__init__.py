"""Commands, over client and compose."""

__all__: list[str] = []
