"""The OCI runtime: a configuration (`config.json`) becomes a plan, the plan becomes a process.

Three layers, each usable alone:

* `compile` and `compile_exec` turn a RuntimeSpec and what the host can do into a `LaunchPlan`; they change nothing.
  `compiler` shows the passes in their order, which is the order of a launch.
* `launch.Launch` spawns the interpreter with a plan and is its controller: checkpoints, hooks, errors.
* `container.Container` keeps the state of command-line containers: create, start, exec, kill, delete; and
  `command.main` is the `corten-runtime` command that runc's and crun's callers know.

>>> from corten.kernel.probe import Host
>>> plan = compile(spec, Host(), bundle="/bundle", id="web")

Beside them: `seccomp` (profiles to BPF), `limits` and `device_rules` (resources to control files), `mount_options`,
`cgroups` (statistics, freezer, update, removal of a container's cgroups). Everything that `compile` imports is kept
light: a cold start of the command is mostly Python's own.
"""

from corten.runtime.compiler import Options, compile, compile_exec

__all__ = ["Options", "compile", "compile_exec"]
