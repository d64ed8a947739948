"""The OCI runtime: RuntimeSpec to plan to process."""

__all__: list[str] = []
