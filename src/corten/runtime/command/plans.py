"""plan and validate: what a launch would do, without doing it."""

from __future__ import annotations

import os
import sys

from corten.kernel.probe import Host
from corten.model.errors import InvalidArgument
from corten.plan import LaunchPlan
from corten.runtime.compiler import Options, compile
from corten.runtime.container import Request, create, read_config
from corten.runtime.state import Store
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.command import Context

__all__ = ["plan", "validate"]


def plan(context: Context) -> int:
    given = context.given
    first = _plan_of(context, context.operand(0, "bundle or container"))
    if given.on("trace"):
        return _trace(context)
    if given.text("explain"):
        from corten.plan import explain

        number = given.number("explain") or 0
        if not 0 <= number < len(first.steps):
            raise InvalidArgument(f"the plan has no row {number}", hint=f"rows are 0 to {len(first.steps) - 1}")
        sys.stdout.write(explain(first, number))
    elif given.on("diff"):
        from corten.plan import diff

        sys.stdout.write(diff(first, _plan_of(context, context.operand(1, "the other bundle or container"))))
    elif given.on("check"):
        return _check(first)
    else:
        sys.stdout.write(_shown(first, given.text("format", "text")))
    return 0


def validate(context: Context) -> int:
    """Silent and 0 for a configuration that this machine can run; else the error with its place, and 1."""
    bundle = context.operand(0, "bundle")
    warnings: list[str] = []
    _compiled(bundle, warnings)
    for warning in warnings:
        context.log("warning", warning)
    return 0


def _plan_of(context: Context, name: str) -> LaunchPlan:
    """The plan of a bundle's directory, or else of a container that exists."""
    if os.path.isdir(name):
        return _compiled(name, [])
    entry = Store(context.root).open(name)
    record = entry.record()
    return compile(entry.spec(), Host(), bundle=record["bundle"], id=name, options=Options(**record["options"]))


def _compiled(bundle: str, warnings: list[str]) -> LaunchPlan:
    with open(os.path.join(bundle, "config.json"), "rb") as file:
        spec = read_config(file.read())
    id = os.path.basename(os.path.abspath(bundle)) or "root"
    options = Options(console=True)
    return compile(spec, Host(), bundle=os.path.abspath(bundle), id=id, options=options, warnings=warnings)


def _shown(shown: LaunchPlan, form: str) -> str:
    if form == "text":
        from corten.plan import describe

        return describe(shown)
    if form == "json":
        from corten.plan import as_json

        return codec.dumps_indented(as_json(shown), "  ") + "\n"
    if form == "mermaid":
        from corten.plan import mermaid

        return mermaid(shown)
    raise InvalidArgument(f"unknown format {form!r}", hint="text, json or mermaid", place="--format")


def _check(checked: LaunchPlan) -> int:
    from corten.plan import check

    broken = check(checked)
    for one in broken:
        sys.stdout.write(f"{one}\n")
    return 1 if broken else 0


def _trace(context: Context) -> int:
    """Launch the bundle under a name of its own, up to exec, and show what each row took."""
    from corten.plan.text import sentence
    from corten.runtime.container import start_now

    bundle = os.path.abspath(context.operand(0, "bundle"))
    with open(os.path.join(bundle, "config.json"), "rb") as file:
        request = Request(config=file.read())
    store = Store(context.root)
    container = create(store, f"trace-{os.getpid()}", request, Host(), bundle=bundle, listener=False, trace=True)
    try:
        launch = start_now(container, read_config(request.config))
        for row, nanoseconds in launch.times:
            sys.stdout.write(f"{nanoseconds / 1000:10.1f} us  {row:>3}  {sentence(launch.plan.steps[row])}\n")
        total = sum(nanoseconds for _, nanoseconds in launch.times)
        sys.stdout.write(f"{total / 1000:10.1f} us  in all\n")
    finally:
        container.delete(force=True)
    return 0
