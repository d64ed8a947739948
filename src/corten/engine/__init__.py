"""Docker's semantics, a module per family of use-cases.

    create ──► start ──► (runs) ──► ending ──► remove          the way of one container; `lifecycle` has the states
                 ▲                    │ restart policy
                 └────────────────────┘

- A *record* is what was asked of a container, a *state* how it goes (`record`); both are frozen and change only through
  `services.commit`: database, memory and event in one step.
- `Engine` (in `engine`) puts everything together; `containers`, `execs`, `images`, `networks`, `volumes`, `system`
  and `events` are the families as edges call them. Every call blocks and is thread-safe: a lock for each container.
- A request is read by `merging` (the image's defaults), `validation`, `mountspec` and `names`; `specification` folds it
  into a RuntimeSpec; `sandbox` asks the network; `start` has the monitor launch it.
- When the engine comes back, `restore` adopts what runs and puts right what does not.

>>> engine.containers.create(ContainerConfig(image="busybox", cmd=("true",)), HostConfig(), NetworkingConfig())
Created(id='4f…', warnings=[])
"""

from corten.engine.engine import Engine, settings_for
from corten.engine.services import Services, Settings

__all__ = ["Engine", "Services", "Settings", "settings_for"]
