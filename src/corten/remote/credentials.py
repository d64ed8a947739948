"""Who we are at a registry: `~/.docker/config.json`, shared with docker, and its credential helpers.

    {"auths": {"registry.test": {"auth": "base64(user:password)"}},
     "credsStore": "secretservice", "credHelpers": {"gcr.io": "gcloud"}}

A helper is a program `docker-credential-NAME`: `get` reads the server's address on standard input and answers
``{"Username", "Secret"}``; the user name ``<token>`` means that the secret is an identity token.
"""

import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from corten.model.errors import FailedPrecondition, InvalidArgument
from corten.remote.hosts import credentials_key

__all__ = ["ANONYMOUS", "ConfigFile", "Credentials"]

HELPER_SECONDS = 30
TOKEN_USER = "<token>"
NOT_FOUND = "credentials not found in native keychain"


class Credentials(NamedTuple):
    """A name and password, or an identity token (exchanged for access), or a ready registry token."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, …)"

    @property
    def basic(self) -> str:
        """The value of an ``Authorization: Basic`` header; empty without a name."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Basic {pair}" if self.username else ""


ANONYMOUS = Credentials()


class ConfigFile:
    """One `config.json`; unknown fields are kept when it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            document = {}
        except ValueError as error:
            raise InvalidArgument(f"read {path}: {error}", hint="mend the file, or move it away") from None
        if not isinstance(document, dict):
            raise InvalidArgument(f"read {path}: it does not hold a JSON object")
        self.document: dict[str, Any] = document

    @classmethod
    def default(cls) -> "ConfigFile":
        """The user's own: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`."""
        directory = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
        return cls(Path(directory) / "config.json")

    def credentials(self, domain: str) -> Credentials:
        """Those for a registry's domain (``docker.io`` as well); anonymous when there are none."""
        key = credentials_key(domain)
        if helper := self.helper(key):
            return from_helper(helper, key)
        entries = self.document.get("auths") or {}
        wanted = {normal(key), normal(domain)}
        return next((from_entry(entry) for name, entry in entries.items() if normal(name) in wanted), ANONYMOUS)

    def helper(self, key: str) -> str:
        helpers = self.document.get("credHelpers") or {}
        return str(helpers.get(key) or self.document.get("credsStore") or "")

    def store(self, domain: str, credentials: Credentials) -> None:
        """Keep the credentials of a log-in: in the helper where there is one, else in the file (mode 0600)."""
        key = credentials_key(domain)
        if helper := self.helper(key):
            name = TOKEN_USER if credentials.identity_token else credentials.username
            secret = credentials.identity_token or credentials.password
            run_helper(helper, "store", json.dumps({"ServerURL": key, "Username": name, "Secret": secret}))
            return
        pair = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
        entry = {"identitytoken": credentials.identity_token} if credentials.identity_token else {"auth": pair}
        self.document.setdefault("auths", {})[key] = entry
        self.write()

    def erase(self, domain: str) -> bool:
        """Forget a registry; false when it was not known."""
        key = credentials_key(domain)
        if helper := self.helper(key):
            run_helper(helper, "erase", key)
        entries = self.document.get("auths") or {}
        known = [name for name in entries if normal(name) in (normal(key), normal(domain))]
        for name in known:
            del entries[name]
        if known:
            self.write()
        return bool(known)

    def write(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, aside = tempfile.mkstemp(dir=self.path.parent, prefix=".config.")
        with os.fdopen(fd, "w") as file:
            json.dump(self.document, file, indent="\t")
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, self.path)


def normal(name: str) -> str:
    """A key of `auths` without its scheme and path, as older clients wrote them."""
    return name.removeprefix("https://").removeprefix("http://").split("/")[0]


def from_entry(entry: object) -> Credentials:
    if not isinstance(entry, dict):
        return ANONYMOUS
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded)).decode().partition(":")
        except ValueError:
            raise InvalidArgument("read the registry credentials: `auth` is not base64 of user:password") from None
    tokens = str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    return Credentials(username, password.rstrip("\0"), *tokens)


def from_helper(helper: str, key: str) -> Credentials:
    answer = run_helper(helper, "get", key)
    if not answer:
        return ANONYMOUS
    try:
        document = json.loads(answer)
        name, secret = str(document["Username"]), str(document["Secret"])
    except (ValueError, KeyError, TypeError):
        raise FailedPrecondition(f"ask docker-credential-{helper}: its answer is not what the protocol says") from None
    return Credentials(identity_token=secret) if name == TOKEN_USER else Credentials(name, secret)


def run_helper(helper: str, action: str, text: str) -> str:
    """Run one action of a helper; empty when it does not know the server."""
    if not helper.replace("-", "").replace("_", "").isalnum():
        raise InvalidArgument(f"ask the credential helper {helper!r}: that is not a program's name")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, action], input=text, capture_output=True, text=True, timeout=HELPER_SECONDS, check=False
        )
    except FileNotFoundError:
        raise FailedPrecondition(f"ask {program}: it is not installed", hint="remove it from config.json") from None
    except subprocess.TimeoutExpired:
        raise FailedPrecondition(f"ask {program}: no answer in {HELPER_SECONDS} seconds") from None
    if done.returncode and NOT_FOUND not in done.stdout + done.stderr:
        raise FailedPrecondition(f"ask {program}: it ended with status {done.returncode}")
    return "" if done.returncode else done.stdout
