"""Dockerfile to graph to solve to export; cache.

    Dockerfile ─dockerfile.parse→ instructions ─lower→ graph of digested vertices ─solve→ snapshots ─export→ image

`dockerfile` is the language. It knows nothing of files or containers.
"""

__all__: list[str] = []
