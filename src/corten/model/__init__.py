"""The nouns of OCI and of Corten, immutable: no I/O, no clock, no random."""

__all__: list[str] = []
