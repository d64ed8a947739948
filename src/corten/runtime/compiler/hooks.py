"""``/hooks``: where in the plan the controller runs which hooks.

prestart and createRuntime run when the mounts are made, before pivot_root (as runc: such hooks add mounts of their
own); createContainer next, in the container's namespaces but by host paths; startContainer after `start`, in the
container; poststart and poststop are the caller's, outside of any plan (runtime.md, "Lifecycle").
"""

from __future__ import annotations

from corten.plan import ops
from corten.runtime.compiler.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.model.runtime_spec import Hook
    from corten.plan.step import Step

__all__ = ["KINDS", "checked", "create_container", "runtime", "start_container"]

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def checked(draft: Draft) -> None:
    """Refuse what could not be run when its time has come."""
    for kind, hooks in (draft.spec.get("hooks") or {}).items():
        if kind not in KINDS:
            raise draft.refuse(f"unknown kind of hook {kind!r}", f"/hooks/{kind}", f"one of {', '.join(KINDS)}")
        for n, hook in enumerate(hooks or ()):  # type: ignore[var-annotated, arg-type]
            if not hook.get("path", "").startswith("/"):
                raise draft.refuse("the path of a hook must be absolute", f"/hooks/{kind}/{n}/path")
            if "timeout" in hook and hook["timeout"] <= 0:
                raise draft.refuse("the timeout of a hook must be above 0", f"/hooks/{kind}/{n}/timeout")


def runtime(draft: Draft) -> None:
    """prestart and createRuntime: namespaces and mounts exist, the root is still the host's."""
    _stop(draft, "createRuntime", "prestart", "createRuntime")


def create_container(draft: Draft) -> None:
    """createContainer: the mounts are made; paths still resolve outside."""
    _stop(draft, "createContainer", "createContainer")


def start_container(draft: Draft) -> None:
    """startContainer: after `start`, before the program."""
    _stop(draft, "startContainer", "startContainer")


def _stop(draft: Draft, name: str, *kinds: str) -> None:
    """A checkpoint, and after it the controller's rows for these kinds in the order of the configuration."""
    rows: list[Step] = []
    for kind in kinds:
        for n, hook in enumerate(_listed(draft, kind)):
            args, env = tuple(hook.get("args") or ()), tuple(hook.get("env") or ())
            place = f"/hooks/{kind}/{n}"
            rows.append(ops.hook(kind, hook["path"], args, env, hook.get("timeout", 0), origin=place))
    if rows:
        why = "the controller runs hooks here"
        draft.child += [ops.checkpoint(name, (), actor="child", why=why), *rows]


def _listed(draft: Draft, kind: str) -> list[Hook]:
    found: Any = (draft.spec.get("hooks") or {}).get(kind)
    return found or []
