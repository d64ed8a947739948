"""Why a plan is not kept: each reason by name, with what would go wrong if it were.

What C does not even offer (an ordinary user's container, inherited sockets, a flag that is not usual) never comes here;
native/front.c and native/front_words.c leave it to Python from the start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.plan.step import LaunchPlan
    from corten.runtime.plancache.front import Key
    from corten.runtime.plancache.host import Witnessed

__all__ = ["REASONS", "of_host", "of_plan"]

REASONS = {
    "nowhere": "the directory for plans cannot be made or written, or is not this user's alone",
    "hooks": "hooks are run by Python with the state of this very container, in its order and with its time limits",
    "controller": "a row is the controller's (a seccomp listener, a network device, newuidmap), and C is none",
    "descriptor": "the plan inherits a descriptor that C has no means to make",
    "warnings": "a warning must be told at every launch, and only compiling tells it",
    "host": "compiling asked something of the host that neither the key nor a witness tells",
    "delegated": "only Python makes room in a cgroup that is ours alone, and sees what an inner root may use",
    "changed": "what Python read of the process is not what C read: it changed in between",
    "value": "a string that changes from container to container does not reach its row whole",
    "rules": "the plan breaks a rule of plan.check",
    "size": "the entry or one of its parts is larger than what C reads",
    "plain": "the id or the bundle has characters that C does not take",
}

_SLOTS = frozenset(("start", "console", "stdin", "stdout", "stderr"))
_OFF_THE_CONTROLLER = frozenset(("write-state",))


def of_plan(plan: LaunchPlan, warnings: list[str], *, console: bool) -> str:
    """The reason not to keep this plan, "" for none; `console` is whether C is told of a socket for the terminal."""
    if any(row.op == "hook" for row in plan.steps):
        return "hooks"
    if any(row.actor == "controller" and row.op not in _OFF_THE_CONTROLLER for row in plan.steps):
        return "controller"
    if any(slot not in _SLOTS or (slot == "console" and not console) for _, slot in plan.inherit):
        return "descriptor"
    return "warnings" if warnings else ""


def of_host(host: Witnessed, key: Key) -> str:
    """The reason not to keep what was compiled for this host, "" for none."""
    if host.unknown():
        return "host"
    if host.in_user_namespace or _makes_room(host):
        return "delegated"
    return "changed" if host.differs(key) else ""


def _makes_room(host: Witnessed) -> bool:
    """Whether `delegation.make_room` may move processes before a launch."""
    tree = host.layout.unified
    if tree is None or host.layout.mode != "v2":
        return False
    from corten.runtime.delegation import ours_alone

    return ours_alone(tree)
