"""The `context` commands: engines by name, kept where docker's command line keeps them, so that both share them."""

__all__: list[str] = []
