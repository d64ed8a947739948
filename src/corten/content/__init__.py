"""Content-addressed blobs: ingest, resume, commit, read."""

__all__: list[str] = []
