"""`corten build --output` and `--secret`: where the result goes instead of the image store, and what RUN may read.

The engine builds an image as ever; its files come back the way `corten export` brings them, through a container that
is never started. So it works with an engine on another machine too.
"""

from __future__ import annotations

import os

from corten.cli.archives import write_output
from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.session import Session

__all__ = ["Output", "deliver", "read_output", "secrets_header"]

_LARGEST_SECRET = 32 << 10


class Output:
    """`kind` is local (a directory), tar (a file, "" for stdout) or image (nothing else to do)."""

    def __init__(self, kind: str, place: str = "") -> None:
        self.kind = kind
        self.place = place


def read_output(text: str) -> Output:
    """`DIR`, `-`, or `type=local|tar|image,dest=…` as docker's flag has it; ValueError says what is wrong."""
    if "=" not in text:
        return Output("tar") if text == "-" else Output("local", text)
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind, place = fields.pop("type", ""), fields.pop("dest", "")
    if fields:
        raise ValueError(f"unknown output option {next(iter(fields))!r}")
    if kind in ("image", "docker") and not place:
        return Output("image")
    if kind == "tar":
        return Output("tar", "" if place == "-" else place)
    if kind != "local":
        raise ValueError(f"output type {kind!r} is not supported: use local, tar or image")
    if not place:
        raise ValueError("dest is required for local output")
    return Output("local", place)


def deliver(session: Session, image: str, output: Output, *, keep: bool) -> None:
    """Bring the files of `image` to where they belong; without `keep` an image that has no name goes again."""
    if output.kind == "image":
        return
    from corten.cli.extraction import extract

    created = session.post("/containers/create", body={"Image": image, "Cmd": ["none"]}).json()["Id"]
    try:
        answer = session.engine.request("GET", f"/containers/{created}/export").check()
        if output.kind == "tar":
            write_output(answer.chunks(), output.place)
        else:
            os.makedirs(output.place, exist_ok=True)
            extract(iter(answer.chunks()), output.place, rename=("", ""))
    finally:
        session.delete(f"/containers/{created}", {"force": "1"})
    if not keep and not session.get(f"/images/{image}/json").get("RepoTags"):
        session.delete(f"/images/{image}")


def secrets_header(items: list[str]) -> dict[str, str]:
    """The header that carries `--secret id=NAME[,src=FILE|,env=VARIABLE]`; no header without secrets."""
    if not items:
        return {}
    from base64 import b64encode

    from corten.wire.codec import dumps

    contents = {name: b64encode(content).decode() for name, content in map(_secret, items)}
    return {"X-Corten-Secrets": b64encode(dumps(contents).encode()).decode()}


def _secret(item: str) -> tuple[str, bytes]:
    fields = dict(part.partition("=")[::2] for part in item.split(","))
    kind = fields.pop("type", "file")
    name = fields.pop("id", "")
    path, variable = fields.pop("src", "") or fields.pop("source", ""), fields.pop("env", "")
    if not name or fields or kind not in ("file", "env"):
        raise Fault(f"invalid secret {item!r}: write id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if not path:
        return name, _variable(variable or name)
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_SECRET + 1)
    except OSError as error:
        raise Fault(f"cannot read secret {name}: {path}: {error.strerror}") from None
    if len(content) > _LARGEST_SECRET:
        raise Fault(f"secret {name} is longer than {_LARGEST_SECRET} bytes")
    return name, content


def _variable(name: str) -> bytes:
    if name not in os.environ:
        raise Fault(f"there is no environment variable {name} for the secret", hint="or name a file: src=FILE")
    return os.fsencode(os.environ[name])
