"""JSON bodies: decoded into the struct that an endpoint declares, or refused with the place of the fault.

>>> class Sample(msgspec.Struct):
...     Env: list[str] = []
>>> decode(Sample, b'{"Env": ["A=1", 2]}')
Traceback (most recent call last):
corten.model.errors.InvalidArgument: invalid JSON: Expected `str`, got `int` at /Env/1
"""

import re
from functools import cache
from typing import Any, TypeVar

import msgspec

from corten.model.container import as_go_reads, with_wire_names
from corten.model.errors import InvalidArgument

__all__ = ["LIMIT", "check_content_type", "decode"]

B = TypeVar("B")
LIMIT = 16 << 20
_INT64 = 1 << 63
_SUSPECT = re.compile(rb"\\u0000|[0-9]{19}")
_SEARCH = 10_000  # how many entries of an object are tried to find the wrong one


def check_content_type(header: str, body: bytes) -> None:
    """Docker takes JSON only under its own name, and no name where there is no body (moby ``CheckForJSON``)."""
    media_type = header.split(";")[0].strip().lower()
    if media_type != "application/json" and (body or media_type):
        if not body:
            return
        raise InvalidArgument(
            f"unsupported Content-Type header ({media_type}): must be 'application/json'",
            hint="send the header: Content-Type: application/json",
        )


def decode(kind: type[B], body: bytes) -> B:
    """Decode `body`; unknown fields are ignored, `InvalidArgument` carries the JSON pointer of a wrong one."""
    try:
        if _SUSPECT.search(body):
            _refuse_unusable(msgspec.json.decode(body), "")
        found: B = _decoder(kind).decode(body)  # type: ignore[arg-type]
        return found if _spelled(kind, body) else _leniently(kind, body)
    except msgspec.ValidationError:
        return _leniently(kind, body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not body.strip():
            raise InvalidArgument("invalid JSON: got EOF while reading request body", place="/") from None
        raise InvalidArgument(f"invalid JSON: {error}", place="/") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply", place="/") from None


def _spelled(kind: Any, body: bytes) -> bool:
    """Whether every field has its exact name; Go takes any case, and docker-py writes some with a small letter."""
    document = msgspec.json.decode(body)
    return with_wire_names(document, kind) is document


def _leniently(kind: type[B], body: bytes) -> B:
    """Read `null` and lone strings as Go does; what then is wrong still is reported with its place."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.ValidationError as error:  # a number that no integer type holds
        raise InvalidArgument(f"invalid JSON: {error}", place="/") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply", place="/") from None
    try:
        document = as_go_reads(with_wire_names(document, kind), kind)
        return msgspec.convert(document, kind)
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply", place="/") from None
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        place = _locate(kind, document, str(error), path.rstrip("`"))
        raise InvalidArgument(f"invalid JSON: {what} at {place or '/'}", place=place or "/") from None


def _refuse_unusable(node: Any, pointer: str) -> None:
    """No path, name or argument may hold a NUL, and no number more than Go's int64: the kernel takes neither."""
    if isinstance(node, dict):
        for key, value in node.items():
            _refuse_unusable(key, f"{pointer}/*")
            _refuse_unusable(value, f"{pointer}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _refuse_unusable(value, f"{pointer}/{index}")
    elif isinstance(node, str) and "\0" in node:
        raise InvalidArgument(f"invalid JSON: a string holds a NUL character at {pointer}", place=pointer)
    elif isinstance(node, int) and not -_INT64 <= node < _INT64:
        raise InvalidArgument(f"invalid JSON: {node} is out of range at {pointer}", place=pointer)


@cache
def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(kind)


def _locate(kind: Any, document: Any, fault: str, path: str) -> str:
    """The JSON pointer of msgspec's `path`, which names array elements but hides an object's key as ``[...]``."""
    node, pointer = document, ""
    for step in re.findall(r"\[[^]]*]|[^.[]+", path.removeprefix("key in ").removeprefix("$")):
        key = _wrong_key(kind, document, node, fault) if step == "[...]" else _key(step)
        if key is None:
            return f"{pointer}/*"
        node = node[key]
        pointer += "/" + str(key).replace("~", "~0").replace("/", "~1")
    return pointer


def _key(step: str) -> str | int:
    return int(step[1:-1]) if step.startswith("[") else step


def _wrong_key(kind: Any, document: Any, node: dict[str, Any], fault: str) -> str | None:
    """Find the entry of `node` that alone makes the same fault, and leave only it there."""
    whole = node.copy()
    for key, value in list(whole.items())[:_SEARCH]:
        node.clear()
        node[key] = value
        try:
            msgspec.convert(document, kind)
        except msgspec.ValidationError as error:
            if str(error) == fault:
                return key
    return None
