"""What a web page must not do: command the engine through its visitor's browser.

A page can make a browser send requests to a loopback port. Two things tell them from those of a client: they name
where they come from (`Origin`, `Sec-Fetch-Site`), or, after the page's own name was rebound to 127.0.0.1, which makes
page and engine one origin to the browser, the page's name stands in `Host`. Neither can be set by a page. Sockets of
the file system are out of a browser's reach, so only TCP is looked at.
"""

import ipaddress
from collections.abc import Mapping

from corten.api.dispatch import failure
from corten.api.http.connection import App, Exchange
from corten.model.errors import PermissionDenied

__all__ = ["guarded", "suspicion"]

# What a browser says of a request that its user made: typed, or from a page of this very server.
OWN_SITES = ("", "none", "same-origin")


def guarded(app: App, *, any_name: bool = False) -> App:
    """`app` for clients of a TCP socket.

    :param any_name: whether the engine may be called by any name, as one may that asks for a client's certificate
    """

    async def answer(exchange: Exchange) -> None:
        if reason := suspicion(exchange.request.headers, any_name=any_name):
            hint = "it seems to come from a web page; clients reach this engine as 127.0.0.1, [::1] or localhost"
            await exchange.respond(failure(PermissionDenied(f"request refused: {reason}", hint=hint)))
            return
        await app(exchange)

    return answer


def suspicion(headers: Mapping[str, str], *, any_name: bool = False) -> str:
    """Why a request looks like a web page's; empty when it does not. Header names are lower case."""
    host = headers.get("host", "")
    if not any_name and not is_loopback(host):
        return f"Host {host!r} is not a name of this machine's loopback"
    origin = headers.get("origin", "")
    if origin and origin not in (f"http://{host}", f"https://{host}"):
        return f"Origin {origin!r} is another site"
    if headers.get("sec-fetch-site", "") not in OWN_SITES:
        return "Sec-Fetch-Site says that another site sends it"
    return ""


def is_loopback(authority: str) -> bool:
    """Whether `host[:port]` is a loopback address as a number, localhost, or a name below it (RFC 6761, 6.3)."""
    host, _, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    host = (host if port.isdecimal() else authority).strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
