"""The launch-plan language: what Python decided and C will do, as a flat readable list.

A container is started in two halves. Python reads the configuration and **decides**: it compiles a `LaunchPlan`, a list
of `Step`s, without touching the kernel. The C interpreter (`corten @launch`, native/launch.c) **does**: it executes the
rows from top to bottom, whoever runs them, and decides nothing. So what is about to happen with privileges can be
printed, compared, checked and tested before it happens.

>>> from corten.plan import LaunchPlan, encode, ops
>>> from corten.plan.flags import CLONE_NEWUTS
>>> plan = LaunchPlan([
...     ops.clone(CLONE_NEWUTS, "", slot="pidfd", why="the container begins here"),
...     ops.sethostname("web", origin="/hostname"),
...     ops.exec(("/bin/hostname",), ()),
... ])
>>> raw = encode(plan)

The operations stand in native/ops.toml, from which `ops` (constructors), `catalog` (texts) and the C header are
generated. Vocabulary: *actor* (host before clone, parent and child after it, controller = Python at a checkpoint),
*slot* (a named descriptor), *accept* (an errno that does no harm), *origin* (JSON pointer), *why* (one sentence).
docs/plan.md tells more.
"""

from corten.plan.encode import encode
from corten.plan.step import LaunchPlan, Step

__all__ = ["LaunchPlan", "Step", "encode"]
