"""Builds over the API, and what the image holds."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from corten.client.address import Address
from corten.client.engine import Engine as Client
from tests.root.engines import IMAGE, Engine

__all__ = ["Built", "Site", "context", "directory", "stands_on_nothing"]


class Built:
    """What POST /build answered."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages

    @property
    def text(self) -> str:
        return "".join(message.get("stream", "") for message in self.messages)

    @property
    def error(self) -> str:
        return "".join(message.get("error", "") for message in self.messages)

    @property
    def id(self) -> str:
        assert not self.error, f"{self.error}\n{self.text}"
        return [str(message["aux"]["ID"]) for message in self.messages if "ID" in message.get("aux", {})][-1]

    @property
    def cached(self) -> int:
        return self.text.count("Using cache")


class Site:
    """An engine to build at."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.client = Client(Address(engine.host))

    def build(self, archive: bytes, headers: Mapping[str, str] | None = None, **query: str) -> Built:
        sent = {"Content-Type": "application/x-tar", **(headers or {})}
        connection = self.client._connection
        answer = connection.request("POST", "/build", query=dict(query), body=archive, headers=sent)
        if answer.status >= 400:
            return Built([{"error": json.loads(answer.read())["message"]}])
        return Built(list(answer.lines()))

    def files(self, image: str) -> dict[str, str]:
        """Every file of an image: mode, owner, and what is in it."""
        container = self.client.containers.create({"Image": image, "Cmd": ["none"]})
        try:
            data = io.BytesIO(b"".join(container.export()))
        finally:
            container.remove()
        with tarfile.open(fileobj=data) as archive:
            return {entry.name.strip("/"): shown(archive, entry) for entry in archive}

    def config(self, image: str) -> dict[str, Any]:
        found = self.client.images.get(image)["Config"]
        return {key: found[key] for key in CONFIG if found.get(key)}

    def look(self, image: str, base: Mapping[str, str]) -> list[str]:
        """What differs from the base's files, then the configuration."""
        files = self.files(image)
        lines = [f"- {path}" for path in sorted(base.keys() - files.keys())]
        lines += [f"{path} {about}" for path, about in sorted(files.items()) if base.get(path) != about]
        return [
            *lines,
            "",
            *(f"{key}: {json.dumps(value, sort_keys=True)}" for key, value in self.config(image).items()),
        ]

    def history(self, image: str) -> list[str]:
        rows = self.client.ask("GET", f"/images/{image}/history")
        base = len(self.client.ask("GET", f"/images/{IMAGE}/history"))
        made = rows if not any("stand-in" in row["CreatedBy"] for row in rows) else rows[:-base]
        return [row["CreatedBy"] for row in reversed(made)]


CONFIG = (
    *("User", "ExposedPorts", "Env", "Cmd", "Healthcheck", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels"),
    *("StopSignal", "Shell"),
)


def stands_on_nothing(case: Path) -> bool:
    """Whether the image of a golden has no base, so that all of its files are shown."""
    bases = [line for line in (case / "Dockerfile").read_text().splitlines() if line.startswith("FROM ")]
    return bases[-1].split()[1] == "scratch"


KINDS = {
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
    tarfile.CHRTYPE: "c",
    tarfile.FIFOTYPE: "p",
}


def shown(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    kind = KINDS.get(entry.type, "-")
    about = f"{kind} {entry.mode & 0o7777:04o} {entry.uid}:{entry.gid}"
    if kind in "lh":
        return f"{about} -> {entry.linkname}"
    if kind == "c":
        return f"{about} {entry.devmajor},{entry.devminor}"
    content = archive.extractfile(entry) if kind == "-" else None
    if content is None:
        return about
    data = content.read()
    text = data.decode(errors="replace")
    return f"{about} {json.dumps(text) if len(text) < 80 else hashlib.sha256(data).hexdigest()[:16]}"


def directory(place: Path, left_out: Iterable[str] = ()) -> bytes:
    """A directory as a context's tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in sorted(place.rglob("*")):
            name = str(path.relative_to(place))
            if name not in left_out:
                archive.add(path, name, recursive=False)
    return data.getvalue()


def context(dockerfile: str, files: Mapping[str, str] | None = None, *more: tarfile.TarInfo) -> bytes:
    """A context of these files, and of entries as they are (links, devices)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in regular({"Dockerfile": dockerfile, **(files or {})}):
            archive.addfile(entry, io.BytesIO(content))
        for entry in more:
            archive.addfile(entry)
    return data.getvalue()


def regular(files: Mapping[str, str]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name, text in files.items():
        entry, content = tarfile.TarInfo(name), text.encode()
        entry.size, entry.mode = len(content), 0o644
        yield entry, content
