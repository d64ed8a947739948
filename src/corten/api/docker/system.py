"""System: is the engine there, what is it, what happens in it, what does it hold."""

import os
import platform
from functools import cache
from typing import Any

import msgspec

import corten
from corten.api.call import Answer, Bytes, Call, Json
from corten.api.lanes import Lane
from corten.api.lending import credentials_of
from corten.api.query import Nothing
from corten.api.router import Route
from corten.api.versions import DOCKER_RELEASE, NEWEST, OLDEST, text
from corten.wire.registry_auth import AuthConfig

__all__ = ["ROUTES", "version_document"]

PING = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)
GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Login(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""
    auth: str = ""


class DfQuery(msgspec.Struct, frozen=True):
    type: tuple[str, ...] = ()
    verbose: bool = False


async def ping(_: Call[Nothing, None]) -> Answer:
    """`Builder-Version` 1: the classic builder is the one that is built in."""
    return Bytes(b"OK", "text/plain; charset=utf-8", headers=PING)


async def version(_: Call[Nothing, None]) -> Answer:
    return Json(version_document())


@cache
def version_document() -> dict[str, Any]:
    """Docker's ``/version``: the release whose API is served, with our own as build metadata."""
    host = os.uname()
    facts = {
        "ApiVersion": text(NEWEST),
        "Arch": GO_ARCH.get(host.machine, host.machine),
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": corten.__version__,
        "GoVersion": f"python{platform.python_version()}",
        "KernelVersion": host.release,
        "MinAPIVersion": text(OLDEST),
        "Os": "linux",
    }
    number = f"{DOCKER_RELEASE}+corten.{corten.__version__}"
    flat = {name: fact for name, fact in facts.items() if name not in ("BuildTime", "Experimental")}
    return {
        "Platform": {"Name": f"Corten {corten.__version__}"},
        "Components": [{"Name": "Engine", "Version": number, "Details": facts}],
        "Version": number,
        **flat,
    }


def info(call: Call[Nothing, None]) -> Answer:
    return Json(call.engine.system.info())


def df(call: Call[DfQuery, None]) -> Answer:
    return Json(call.engine.system.df(call.query.type))


def auth(call: Call[Nothing, Login]) -> Answer:
    lent = AuthConfig(msgspec.to_builtins(call.body))
    return Json(call.engine.registries.login(lent.server, credentials_of(lent)))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/_ping", ping, Lane.LOOP),
    Route("HEAD", "/_ping", ping, Lane.LOOP),
    Route("GET", "/version", version, Lane.LOOP),
    Route("GET", "/info", info),
    Route("GET", "/system/df", df, Lane.CHANGE, DfQuery),
    Route("POST", "/auth", auth, Lane.IMAGE, Nothing, Login),
)
