"""Registry client, authentication, resolver."""

__all__: list[str] = []
