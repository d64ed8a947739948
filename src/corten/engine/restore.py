"""What a new engine does with the containers it finds: adopt what runs, record what ended, finish what was begun.

The monitor of each container kept running, or left the exit behind with its true time. Nothing here depends on how
the last engine ended.
"""

from functools import partial

from corten.engine import ending, health, ledger, remove, restart
from corten.engine.record import Container
from corten.engine.services import Services, commit
from corten.engine.start import launch
from corten.model.errors import CortenError
from corten.tasks import Exit, Task
from corten.tasks.exit import UNKNOWN_CODE

__all__ = ["load", "restore"]


def load(services: Services) -> None:
    """Fill the catalog from the database."""
    with services.database.read() as rows:
        for record, state in ledger.containers(rows):
            services.catalog.add(Container(record, state))


def restore(services: Services, *, booted: bool) -> None:
    """Bring records and reality together. `booted` says that the machine has started since the last engine ran."""
    services.images.restore()  # the catalog's references keep what its containers stand on
    tasks = {task.id: task for task in services.tasks.restore()}
    up = {id: task for id, task in tasks.items() if task.status() in ("running", "paused") and services.catalog.get(id)}
    # Before anything that ended is let go or started again: what is not in this list loses its network here.
    services.networks.restore({id: task.pid for id, task in up.items()})
    for container in services.catalog:
        task = tasks.pop(container.id, None)
        if container.id in up:
            adopt(services, container, up[container.id])
        elif container.state.is_up:
            ended_meanwhile(services, container, task)
        elif task is not None:
            task.delete()
    for orphan in tasks.values():
        orphan.delete(force=True)
    for container in services.catalog:
        finish(services, container, booted=booted)


def adopt(services: Services, container: Container, task: Task) -> None:
    """Take over a container whose process went on without us."""
    with container.lock:
        container.task = task
        state = container.changed(pid=task.pid, status="paused" if task.status() == "paused" else "running")
        if state != container.state:
            commit(services, container, state=state)
        task.subscribe(partial(services.exits.handle, services, container, task))
        health.begin(services, container)


def ended_meanwhile(services: Services, container: Container, task: Task | None) -> None:
    """Record an exit that nobody was there to see; where even the monitor is gone, all we know is that it ended."""
    with container.lock:
        if container.state.status == "restarting":
            container.retry = services.exits.later(restart.FIRST_DELAY, services, container)
            return
        container.task = task
        ending.settle(services, container, known_exit(task))


def known_exit(task: Task | None) -> Exit:
    found = task.exit() if task is not None else None
    return found if found is not None else Exit(UNKNOWN_CODE)


def finish(services: Services, container: Container, *, booted: bool) -> None:
    """Complete a removal, and start what a restart policy wants after a boot."""
    state, host = container.state, container.record.host
    try:
        if state.status == "removing":
            with container.lock:
                commit(services, container, state=container.changed(status="dead"))
            remove.erase(services, container, volumes=host.auto_remove)
        elif host.auto_remove and state.status == "exited":
            remove.erase(services, container, volumes=True)
        elif booted and state.status == "exited" and restart.after_boot(host.restart_policy, state):
            with container.lock:
                launch(services, container)
    except (CortenError, OSError):
        # Its state says why; one container must not keep the engine from coming up.
        return
