"""Docker API versions: what is served, and how a client's wish is read.

A path may begin with ``/vX.Y``; without it the newest version is meant. Docker's releases and versions: 20.10 is
1.41, 24.0 is 1.43, 27.0 is 1.46, 28.0 is 1.48, 28.3 to 28.5 are 1.51.

>>> split("/v1.41/containers/json")
((1, 41), '/containers/json')
"""

from corten.model.errors import InvalidArgument

__all__ = ["DOCKER_RELEASE", "EVERY_ANSWER", "NEWEST", "OLDEST", "Version", "split", "text"]

Version = tuple[int, int]

NEWEST: Version = (1, 51)
OLDEST: Version = (1, 24)
# The Docker release whose API we serve: clients read features off the server's version number.
DOCKER_RELEASE = "28.5.2"

# Headers that every answer carries, errors too: clients negotiate by the first.
EVERY_ANSWER = (
    ("Api-Version", f"{NEWEST[0]}.{NEWEST[1]}"),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Docker/{DOCKER_RELEASE} (linux)"),
)


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def split(path: str) -> tuple[Version, str]:
    """Take the version prefix off `path`; `InvalidArgument` with Docker's text when we do not speak it."""
    if not path.startswith("/v") or not path[2:3].isdigit():
        return NEWEST, path
    prefix, slash, rest = path[2:].partition("/")
    major, dot, minor = prefix.partition(".")
    if not (slash and dot and major.isdigit() and minor.isdigit() and len(prefix) < 12):
        return NEWEST, path
    version = (int(major), int(minor))
    if version < OLDEST:
        raise InvalidArgument(
            f"client version {prefix} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    if version > NEWEST:
        raise InvalidArgument(
            f"client version {prefix} is too new. Maximum supported API version is {text(NEWEST)}",
            hint=f"set DOCKER_API_VERSION={text(NEWEST)}",
        )
    return version, slash + rest
