"""From a RuntimeSpec to a LaunchPlan, by passes.

A pass reads one concern of the configuration and appends rows to a `Draft`. `compile` is their order, and that order is
the launch: read it to see how a container comes to be. Nothing here changes anything on the machine.

>>> plan = compile(spec, Host(), bundle="/bundle", id="web")
>>> print(describe(plan))
"""

from __future__ import annotations

from corten.runtime.compiler import (
    control_groups,
    devices,
    hooks,
    mounts,
    namespaces,
    process,
    root,
    settings,
    terminal,
)
from corten.runtime.compiler.draft import Draft, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from corten.kernel.probe import Host
    from corten.model.runtime_spec import RuntimeSpec
    from corten.plan.step import LaunchPlan

    Pass = Callable[[Draft], None]

__all__ = ["Options", "compile", "compile_exec"]

# The passes in the order of the launch. First what is read and refused before anything happens,
_CHECKS: tuple[Pass, ...] = (namespaces.read, hooks.checked)
# then the host half, with the machine's privileges and names,
_HOST: tuple[Pass, ...] = (
    control_groups.make,
    settings.intel_rdt,
    root.source,
    mounts.sources,
    devices.sources,
    namespaces.open_joined,
    namespaces.clone,
)
# the parent half beside the child,
_PARENT: tuple[Pass, ...] = (namespaces.map_ids, process.prepare, process.report)
# and the child: namespaces, then the file system, then privileges; `created`; then the filter and exec.
_CHILD: tuple[Pass, ...] = (
    control_groups.attach,
    namespaces.mapped,
    namespaces.enter_joined,
    namespaces.enter_cgroup,
    settings.names,
    settings.loopback,
    settings.network,
    root.own_mounts,
    namespaces.time_offsets,
    root.enter,
    mounts.attach,
    devices.nodes,
    devices.links,
    terminal.make,
    terminal.console,
    settings.sysctls,
    hooks.runtime,
    hooks.create_container,
    process.working_directory,
    root.mask,
    root.leave_host,
    process.enter,
    terminal.take,
    process.privileges,
    process.created,
    hooks.start_container,
    process.execute,
)


def compile(
    spec: RuntimeSpec,
    host: Host,
    *,
    bundle: str,
    id: str,
    options: Options | None = None,
    warnings: list[str] | None = None,
) -> LaunchPlan:
    """The plan that creates and starts the container `id` from `spec` on `host`.

    `bundle` is the absolute directory that relative paths of the configuration count from. What the host cannot give
    but a container can live without is appended to `warnings`. Raises InvalidArgument with the JSON pointer of a field
    that is wrong or cannot be enforced here.
    """
    draft = Draft(spec, host, options or Options(), bundle=bundle, id=id)
    for each in (*_CHECKS, *_HOST, *_PARENT, *_CHILD):
        each(draft)
    if warnings is not None:
        warnings += draft.warnings
    return draft.plan()


def compile_exec(
    spec: RuntimeSpec,
    host: Host,
    *,
    id: str,
    pid: int,
    start: int,
    options: Options | None = None,
    cgroup: str = "",
    warnings: list[str] | None = None,
) -> LaunchPlan:
    """The plan that starts one more process in the running container `id`.

    `spec` is the container's own configuration with `process` replaced by the new one; `pid` is the container's first
    process and `start` its start time (field 22 of /proc/PID/stat), which tells it from a later process of the same
    number. `cgroup` is a directory below the container's cgroups.
    """
    from corten.runtime.compiler import joining

    draft = Draft(spec, host, options or Options(), bundle="/", id=id)
    namespaces.read(draft)
    joining.enter(draft, pid, start, cgroup)
    for each in (process.prepare, process.report, joining.root, terminal.make, process.enter, terminal.take):
        each(draft)
    process.privileges(draft)
    process.execute(draft)
    if warnings is not None:
        warnings += draft.warnings
    return draft.plan()
