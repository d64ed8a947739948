"""`corten context …`: name engines, choose one, carry them to another machine."""

from __future__ import annotations

import os
import sys

from corten.cli.archives import open_input
from corten.cli.context import store
from corten.cli.flags import switch, text, value
from corten.cli.inspection import print_inspected
from corten.cli.listing import Listing, escaped_html
from corten.cli.session import DEFAULT
from corten.cli.settings import config_path, read_config, write_config
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command, Fault
from corten.client.environment import variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CREATE", "EXPORT", "IMPORT", "INSPECT", "LS", "RM", "SHOW", "UPDATE", "USE"]

_ABOUT_DEFAULT = "Current DOCKER_HOST based configuration"
_KEYS = ("ca", "cert", "from", "host", "key", "skip-tls-verify")
_LARGEST = 10 << 20


def _pairs(words: str) -> dict[str, str]:
    """`host=…,ca=…` as a mapping."""
    found = {}
    for pair in words.split(","):
        key, mark, content = pair.partition("=")
        if not mark:
            raise ValueError(f"invalid argument, {pair} must be formatted as key=value")
        found[key.strip().lower()] = content
    return found


_DOCKER = value("docker", "", "Where the engine listens: host=ADDRESS[,ca=,cert=,key=,skip-tls-verify=]", "map", _pairs)


def _default(session: Session) -> dict[str, Any]:
    """The context that the variables and flags make, in the form of a kept one."""
    endpoint = {"Host": session.plain_address(), "SkipTLSVerify": False}
    return {"Name": DEFAULT, "Metadata": {}, "Endpoints": {"docker": endpoint}}


def _meta(session: Session, name: str) -> dict[str, Any]:
    return _default(session) if name == DEFAULT else store.meta(name)


def _host(meta: dict[str, Any]) -> str:
    return str(((meta.get("Endpoints") or {}).get("docker") or {}).get("Host", ""))


def _description(meta: dict[str, Any]) -> str:
    return str((meta.get("Metadata") or {}).get("Description", ""))


# create and update


def _create(session: Session, options: Options, words: list[str]) -> int:
    name = words[0]
    store.check_name(name)
    if store.exists(name):
        raise Fault(f'context "{name}" already exists')
    given = options.value("docker") or {}
    copied = options.text("from") or given.get("from", "")
    meta: dict[str, Any] = {"Name": name, "Metadata": {}, "Endpoints": {}}
    tls: dict[str, bytes] = {}
    if copied or not given:
        source = _meta(session, copied or session.context())
        about = _description(source) if options.text("from") or not given else ""
        about = about or (_ABOUT_DEFAULT if source["Name"] == DEFAULT else "")
        meta = {**source, "Name": name, "Metadata": {"Description": about} if about else {}}
        tls = store.tls_files(source["Name"])
    else:
        meta["Endpoints"]["docker"], tls = _endpoint(given)
    _describe(meta, options)
    store.write(name, meta, tls)
    session.say(name)
    session.warn(f'Successfully created context "{name}"')
    return 0


def _endpoint(given: dict[str, str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The endpoint that `--docker` describes, and its TLS files."""
    for key in given:
        if key not in _KEYS:
            raise Fault(f"unable to create docker endpoint config: unrecognized config key: {key}")
    tls = {f"{key}.pem": _pem(key, given[key]) for key in ("ca", "cert", "key") if given.get(key)}
    skip = given.get("skip-tls-verify", "false").lower() in ("1", "t", "true")
    return {"Host": given.get("host", ""), "SkipTLSVerify": skip}, tls


def _pem(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            body = file.read(_LARGEST)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise Fault(f"unable to create docker endpoint config: open {path}: {reason}") from None
    if b"-----BEGIN " not in body:
        raise Fault(
            "unable to create docker endpoint config: invalid docker endpoint options: "
            f"failed to retrieve context tls info: {key}.pem seems invalid"
        )
    return body


def _describe(meta: dict[str, Any], options: Options) -> None:
    if options.given("description"):
        meta["Metadata"] = {**(meta.get("Metadata") or {}), "Description": options.text("description")}


CREATE = Command(
    "context create",
    "[OPTIONS] CONTEXT",
    "Name an engine",
    _create,
    least=1,
    most=1,
    flags=(
        text("description", "", "What it is"),
        _DOCKER,
        text("from", "", "Begin with a copy of this context"),
    ),
)


def _update(session: Session, options: Options, words: list[str]) -> int:
    name = words[0]
    store.check_name(name)
    meta = store.meta(name)
    tls: dict[str, bytes] = {}
    if given := options.value("docker"):
        endpoint, tls = _endpoint(given)
        meta["Endpoints"] = {**(meta.get("Endpoints") or {}), "docker": endpoint}
    _describe(meta, options)
    store.write(name, meta, tls)
    session.say(name)
    session.warn(f'Successfully updated context "{name}"')
    return 0


UPDATE = Command(
    "context update",
    "[OPTIONS] CONTEXT",
    "Change what a name means",
    _update,
    least=1,
    most=1,
    flags=(text("description", "", "What it is"), _DOCKER),
)


# ls, show, inspect


def _ls(session: Session, options: Options, _: list[str]) -> int:
    current = session.context()
    known = set(store.names())
    rows = [(name, _meta(session, name), name == current, "") for name in sorted({*known, DEFAULT})]
    if current not in known and current != DEFAULT:
        missing = f'context "{current}": context not found'
        rows.append((current, {}, True, missing))
    rows.sort(key=lambda row: row[0])
    in_table = options.text("format") in ("", "table")
    listed = Listing(
        "*formatter.clientContextContext",
        {
            "Name": ("NAME", lambda row: f"{row[0]} *" if row[2] and in_table and not options.on("quiet") else row[0]),
            "Description": ("DESCRIPTION", lambda row: _ABOUT_DEFAULT if row[0] == DEFAULT else _description(row[1])),
            "DockerEndpoint": ("DOCKER ENDPOINT", lambda row: _host(row[1])),
            "Current": ("", lambda row: row[2]),
            "Error": ("ERROR", lambda row: row[3]),
        },
    )
    shown = ["Name", "Description", "DockerEndpoint", "Error"]
    listed.print(rows, shown, form=options.text("format"), quiet="Name" if options.on("quiet") else "")
    if variable("DOCKER_HOST") and not session.named_context():
        session.warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set "
            "the global --context flag, or unset DOCKER_HOST environment variable."
        )
    return 0


LS = Command(
    "context ls, context list",
    "[OPTIONS]",
    "List the engines that have a name",
    _ls,
    flags=(
        text("format", "", "Print by a Go template; `json` prints JSON lines"),
        switch("quiet", "q", "Only the names"),
    ),
)


def _show(session: Session, _: Options, __: list[str]) -> int:
    session.say(session.context())
    return 0


SHOW = Command("context show", "", "Print the name of the context in use", _show)


def _inspect(session: Session, options: Options, words: list[str]) -> int:
    return print_inspected(words or [session.context()], lambda name: _as_text(session, name), options.text("format"))


def _as_text(session: Session, name: str) -> str:
    from corten.wire.codec import dumps

    kept = name != DEFAULT
    tls = sorted(store.tls_files(name)) if kept else []
    storage = {
        "MetadataPath": store.place("meta", name) if kept else "<IN MEMORY>",
        "TLSPath": store.place("tls", name) if kept else "<IN MEMORY>",
    }
    shown = {**_meta(session, name), "TLSMaterial": {"docker": tls} if tls else {}, "Storage": storage}
    return escaped_html(dumps(shown))


INSPECT = Command(
    "context inspect",
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    "Show everything about contexts",
    _inspect,
    most=MANY,
    flags=(DETAIL_FORMAT,),
)


# use and rm


def _use(session: Session, _: Options, words: list[str]) -> int:
    name = words[0]
    if name != DEFAULT:
        store.check_name(name)
        store.meta(name)
    config = read_config()
    config.pop("currentContext", None)
    if name != DEFAULT:
        config["currentContext"] = name
    if config or os.path.exists(config_path()):
        write_config(config)
    session.say(name)
    session.warn(f'Current context is now "{name}"')
    if variable("DOCKER_HOST") and name != DEFAULT:
        session.warn(
            f'Warning: DOCKER_HOST environment variable overrides the active context. To use "{name}", either set '
            "the global --context flag, or unset DOCKER_HOST environment variable."
        )
    return 0


USE = Command("context use", "CONTEXT", "Make a context the one in use", _use, least=1, most=1)


def _rm(session: Session, options: Options, words: list[str]) -> int:
    failures = []
    for name in words:
        try:
            _remove(session, name, force=options.on("force"))
            session.say(name)
        except Fault as fault:
            failures.append(fault.message)
    if failures:
        raise Fault("\n".join(failures))
    return 0


def _remove(session: Session, name: str, *, force: bool) -> None:
    if name == DEFAULT:
        raise Fault('context "default" cannot be removed')
    if not force and not store.exists(name):
        raise Fault(f'context "{name}" does not exist')
    if name == session.context():
        if not force:
            raise Fault(f'context "{name}" is in use, set -f flag to force remove')
        config = read_config()
        if config.pop("currentContext", None) is not None:
            write_config(config)
    store.remove(name)


RM = Command(
    "context rm, context remove",
    "CONTEXT [CONTEXT...]",
    "Forget contexts",
    _rm,
    least=1,
    most=MANY,
    flags=(switch("force", "f", "Also the one in use, and without a word about those that are not there"),),
)


# export and import


def _export(session: Session, _: Options, words: list[str]) -> int:
    from corten.cli.context.parcel import packed

    name = words[0]
    meta = _meta(session, name)
    body = packed(meta, store.tls_files(name) if name != DEFAULT else {})
    path = words[1] if len(words) > 1 else f"{name}.dockercontext"
    if path == "-":
        if session.terminal_out():
            raise Fault("cowardly refusing to export to a terminal, specify a file path")
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        return 0
    try:
        with open(path, "xb", opener=lambda place, how: os.open(place, how, 0o600)) as file:
            file.write(body)
    except OSError as error:
        raise Fault(f"open {path}: {(error.strerror or '').lower()}") from None
    session.warn(f'Written file "{path}"')
    return 0


EXPORT = Command(
    "context export",
    "CONTEXT [FILE|-]",
    "Write a context into a file",
    _export,
    least=1,
    most=2,
    about="Write a context into a file, with its keys; into CONTEXT.dockercontext where none is named.",
)


def _import(session: Session, _: Options, words: list[str]) -> int:
    from corten.cli.context.parcel import unpacked

    name, path = words
    store.check_name(name)
    if store.exists(name):
        raise Fault(f'context "{name}" already exists')
    descriptor = 0 if path == "-" else open_input(path)
    with open(descriptor, "rb", closefd=path != "-") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Fault(f"import context: {path} is larger than {_LARGEST} bytes")
    meta, tls = unpacked(data, store.TLS)
    store.write(name, {**meta, "Name": name}, tls)
    session.say(name)
    session.warn(f'Successfully imported context "{name}"')
    return 0


IMPORT = Command("context import", "CONTEXT FILE|-", "Read a context from a file", _import, least=2, most=2)
