"""Dockerfile to graph to solve to export; cache.

    Dockerfile ─dockerfile.parse→ instructions ─lower→ graph of digested vertices ─solve→ snapshots ─export→ image

- `dockerfile` is the language. It knows nothing of files or containers.
- `graph` has the vertices: an operation on the results of others, named by the digest of what it means.
- `context` receives what a client sends; `selection` is what a copy takes of a tree, `copy` brings it over.
- `execute` runs a command, with what `mounts` shows to it and the `stubs` that mounts stand on.
- `solve` does each vertex once, those that do not need each other side by side; `layer` makes and stacks layers.
- `cache` remembers what steps gave; `shelf` does so in plain files that a CI can store.
- `export` makes the image; `progress` tells the build in the words of docker's classic builder, `status` vertex by
  vertex.

>>> image = Builder(tools).build(Request(names=("app",)), stream, "", print, Cancel())
"""

from corten.build.builder import Builder, Pruned, Request
from corten.build.tools import Host, Tools

__all__ = ["Builder", "Host", "Pruned", "Request", "Tools"]
