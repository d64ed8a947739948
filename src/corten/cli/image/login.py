"""`corten login` and `logout`: who we are at a registry.

Names and passwords live where Docker keeps them: in `~/.docker/config.json`, or with the credential helper that
it names. The engine never stores one; each request lends what it needs.
"""

from __future__ import annotations

import sys

from corten.cli.flags import switch, text
from corten.cli.image.names import HUB
from corten.cli.settings import read_config, write_config
from corten.cli.table import Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["LOGIN", "LOGOUT", "all_logins_header", "auth_header", "login_at"]


def auth_header(server: str) -> str:
    """What `X-Registry-Auth` says for a registry: base64url of our login there, of `{}` when we have none."""
    from base64 import urlsafe_b64encode

    from corten.wire.codec import dumps

    return urlsafe_b64encode(dumps(login_at(server)).encode()).decode()


def all_logins_header() -> str:
    """What `X-Registry-Config` says: base64url of every login we keep, by registry."""
    from base64 import urlsafe_b64encode

    from corten.wire.codec import dumps

    config = read_config()
    servers = {*(config.get("auths") or {}), *(config.get("credHelpers") or {})}
    return urlsafe_b64encode(dumps({server: login_at(server) for server in sorted(servers)}).encode()).decode()


def login_at(server: str) -> dict[str, str]:
    config = read_config()
    if helper := (config.get("credHelpers") or {}).get(server) or config.get("credsStore"):
        return _ask_helper(helper, server)
    entry = (config.get("auths") or {}).get(server)
    if not isinstance(entry, dict):
        return {}
    return {**_decoded(entry), "serveraddress": server}


def _decoded(entry: dict[str, Any]) -> dict[str, str]:
    from base64 import b64decode

    found = {key: str(entry[key]) for key in ("identitytoken", "registrytoken") if entry.get(key)}
    if entry.get("auth"):
        name, _, password = b64decode(entry["auth"]).decode("utf-8", "replace").partition(":")
        found.update(username=name, password=password.strip("\0"))
    return found


def _ask_helper(helper: str, server: str) -> dict[str, str]:
    from corten.wire.codec import loads

    status, output = _helper(helper, "get", server)
    if status:
        if "credentials not found" in output:
            return {}
        raise Fault(f"cannot get the login for {server} from docker-credential-{helper}: {output.strip()}")
    answer = loads(output)
    if answer.get("Username") == "<token>":
        return {"identitytoken": answer["Secret"], "serveraddress": server}
    return {"username": answer["Username"], "password": answer["Secret"], "serveraddress": server}


def _helper(helper: str, verb: str, message: str) -> tuple[int, str]:
    """Run a credential helper with `message` on its stdin; its status and output."""
    import subprocess

    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", verb], input=message, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Fault(f"cannot run docker-credential-{helper}: {error.strerror}", hint="it must be in PATH") from None
    return done.returncode, done.stdout


# login


def _login(session: Session, options: Options, words: list[str]) -> int:
    server = _server_key(words[0] if words else "")
    name, password = _credentials(session, options)
    body = {"username": name, "password": password, "serveraddress": server}
    answer = session.post("/auth", body=body)
    status, token = "Login Succeeded", ""
    if answer.status == 200:
        said = answer.json()
        status, token = said.get("Status") or status, said.get("IdentityToken", "")
    else:
        answer.read()
    _remember(server, name, password, token)
    session.say(status)
    return 0


def _server_key(server: str) -> str:
    """The name under which a registry's login is kept."""
    if server in ("", "docker.io", "index.docker.io", "registry-1.docker.io", HUB):
        return HUB
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _credentials(session: Session, options: Options) -> tuple[str, str]:
    name, password = options.text("username"), options.text("password")
    if password and options.on("password-stdin"):
        raise Fault("--password and --password-stdin are mutually exclusive")
    if options.on("password-stdin"):
        if not name:
            raise Fault("the --password-stdin option requires --username to be set")
        return name, sys.stdin.read().rstrip("\r\n")
    if password:
        session.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    if (not name or not password) and not session.terminal_in():
        raise Fault("Error: Cannot perform an interactive login from a non TTY device")
    if not name:
        sys.stdout.write("Username: ")
        sys.stdout.flush()
        name = sys.stdin.readline().strip()
    if not name:
        raise Fault("error: username is required")
    if not password:
        password = _ask_secretly("Password: ")
    if not password:
        raise Fault("error: password is required")
    return name, password


def _ask_secretly(prompt: str) -> str:
    """A line from the terminal that is not shown while it is typed."""
    import termios

    sys.stdout.write(prompt)
    sys.stdout.flush()
    saved = termios.tcgetattr(0)
    silent = termios.tcgetattr(0)
    silent[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(0, termios.TCSAFLUSH, silent)
        return sys.stdin.readline().rstrip("\n")
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, saved)
        sys.stdout.write("\n")


def _remember(server: str, name: str, password: str, token: str) -> None:
    from base64 import b64encode

    from corten.wire.codec import dumps

    config = read_config()
    if helper := (config.get("credHelpers") or {}).get(server) or config.get("credsStore"):
        secret = {"ServerURL": server, "Username": "<token>" if token else name, "Secret": token or password}
        status, output = _helper(helper, "store", dumps(secret))
        if status:
            raise Fault(f"cannot store the login with docker-credential-{helper}: {output.strip()}")
        config.setdefault("auths", {})[server] = {}
    else:
        entry = {"auth": b64encode(f"{name}:{'' if token else password}".encode()).decode()}
        config.setdefault("auths", {})[server] = {**entry, "identitytoken": token} if token else entry
    write_config(config)


def _logout(session: Session, _: Options, words: list[str]) -> int:
    server = _server_key(words[0] if words else "")
    config = read_config()
    logins = config.get("auths") or {}
    if server not in logins:
        session.say(f"Not logged in to {server}")
        return 0
    session.say(f"Removing login credentials for {server}")
    if helper := (config.get("credHelpers") or {}).get(server) or config.get("credsStore"):
        _helper(helper, "erase", server)
    del logins[server]
    write_config(config)
    return 0


LOGIN = Command(
    "login",
    "[OPTIONS] [SERVER]",
    "Log in to a registry",
    _login,
    most=1,
    about="Log in to a registry, to Docker Hub when none is named.",
    flags=(
        text("password", "p", "Password or access token"),
        switch("password-stdin", "", "Read the password from stdin"),
        text("username", "u", "User name"),
    ),
)
LOGOUT = Command(
    "logout", "[SERVER]", "Log out from a registry", _logout, most=1, about="Forget the login for a registry."
)
