"""The hooks of a RuntimeSpec: those at a checkpoint of the launch, and those after start and delete."""

import msgspec

from corten.kernel import pidfd
from corten.model.runtime_spec import RuntimeSpec
from corten.plan import Step, ops
from corten.runtime import hook
from corten.runtime.compiler.namespaces import FLAGS

__all__ = ["Hooks"]

# The status that each kind finds the container in (runtime.md, "Lifecycle"); the others find it being created.
_STATUS = {"startContainer": "created", "poststart": "running", "poststop": "stopped"}


class Hooks:
    """The hooks of one container."""

    def __init__(self, spec: RuntimeSpec, id: str, bundle: str, program: str) -> None:
        self._spec = spec
        self._id = id
        self._bundle = bundle
        self._program = program

    def run(self, row: Step, pid: int) -> None:
        """Run the hook of a controller row. Raises FailedPrecondition or DeadlineExceeded when it fails."""
        kind = str(row.args[0])
        start = 0 if kind == "poststop" else pidfd.start_time(pid)
        listed = (self._spec.get("linux") or {}).get("namespaces") or []
        where = hook.Where(pid, start, [FLAGS[each["type"]] for each in listed], self._program)
        hook.run(row, msgspec.json.encode(self.state(_STATUS.get(kind, "creating"), pid)), where)

    def run_all(self, kind: str, pid: int) -> None:
        """Run the hooks of a kind that stands in no plan, in their order."""
        listed = dict(self._spec.get("hooks") or {}).get(kind) or []
        assert isinstance(listed, list)
        for number, each in enumerate(listed):
            args, env = tuple(each.get("args") or ()), tuple(each.get("env") or ())
            place = f"/hooks/{kind}/{number}"
            self.run(ops.hook(kind, each["path"], args, env, each.get("timeout", 0), origin=place), pid)

    def state(self, status: str, pid: int) -> dict[str, object]:
        """The container's state as hooks and seccomp agents read it (runtime.md, "State"); a stopped one has no pid."""
        found: dict[str, object] = {
            "ociVersion": self._spec.get("ociVersion", "1.0.0"),
            "id": self._id,
            "status": status,
            "bundle": self._bundle,
            "annotations": self._spec.get("annotations") or {},
        }
        if status != "stopped":
            found["pid"] = pid
        return found
