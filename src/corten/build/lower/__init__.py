"""Dockerfile to graph: each stage folds its instructions into a vertex (the files) and an image config.

Variables are replaced here, instruction by instruction, since ENV and ARG before it decide what a name means; ENV beats
ARG. Only the stages that the target needs are lowered. Nothing is read or run: what a base image is comes from
`Resolve`, which the caller gives.

- `lowering` walks the stages; `state` is what one is while it is folded, and what comes out.
- `run`, `mount` and `copy` are the instructions that make files, `config` those that change the configuration.
"""

from corten.build.lower.lowering import lower
from corten.build.lower.state import Base, Line, Lowered, Options, Resolve, Step

__all__ = ["Base", "Line", "Lowered", "Options", "Resolve", "Step", "lower"]
