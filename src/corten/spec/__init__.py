"""Folds options into a RuntimeSpec: the one path from flags to spec, for the engine, the builder and pods.

A spec starts as Docker's default (`spec.default`) and passes through a list of options, each a small function:

>>> from corten.spec import build, options
>>> made = build(options.process(("sleep", "1")), options.hostname("web"), options.no_new_privileges())
>>> made["process"]["args"]
['sleep', '1']

The other modules answer the questions that options are made from: which capabilities (`capabilities`), which
system calls (`seccomp` over `seccomp_profile`), which devices (`devices`), which limits (`resources`), who (`user`),
what `--security-opt` and `--tmpfs` mean (`security`, `tmpfs`). Nothing here knows of HTTP or of stored records.
"""

from corten.spec.options import Option, build

__all__ = ["Option", "build"]
