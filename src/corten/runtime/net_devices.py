"""``/linux/netDevices``: move devices of the host into a container (config-linux.md, "Network Devices").

A device that changes its namespace keeps its hardware address and MTU, but loses its addresses and goes down. So they
are read before, given again on a socket that lives inside, and the device is brought up. When the container ends,
the kernel gives hardware back to the host and removes virtual devices.

>>> with Netlink.open(NETLINK_ROUTE) as host:
...     move(host, join.route, join.netns_fd, "eth1", "net%d")
"""

import errno

from corten.kernel.netlink import Netlink, NetlinkError
from corten.kernel.rtnetlink import Address, Link, add_address, addresses, link, links, move_link, set_link
from corten.model.errors import Conflict, FailedPrecondition, NotFound

__all__ = ["move"]


def move(host: Netlink, inside: Netlink, netns_fd: int, name: str, renamed: str, place: str = "") -> str:
    """Move the host's device `name` into the namespace behind `netns_fd`, there called `renamed`; the name it got.

    `inside` is a socket of that namespace. A `%d` in `renamed` becomes the first free number. Raises NotFound for a
    device that is not there, Conflict for a name that is taken inside, FailedPrecondition for what cannot be moved.
    """
    device = _found(host, name, place)
    kept = [one for one in addresses(host) if one.ifindex == device.ifindex and _stays(one)]
    before = {one.ifindex for one in links(inside)}
    try:
        host.send([move_link(device.ifindex, netns_fd, renamed)])
    except NetlinkError as error:
        if error.errno == errno.EEXIST:
            hint = "choose another name, or one with %d"
            message = f"cannot move network device {name}: the container has a {renamed} already"
            raise Conflict(message, hint=hint, place=place) from error
        hint = "loopback, bridges and some tunnels belong to their namespace for ever"
        raise FailedPrecondition(f"cannot move network device {name}: {error}", hint=hint, place=place) from error
    moved = next(one for one in links(inside) if one.ifindex not in before)
    inside.send([*(add_address(moved.ifindex, one.interface) for one in kept), set_link(moved.name, up=True)])
    return moved.name


def _found(host: Netlink, name: str, place: str) -> Link:
    try:
        return link(host, name)
    except NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
        message = f"cannot move network device {name}: the host has none of that name"
        raise NotFound(message, hint="see which there are below /sys/class/net", place=place) from error


def _stays(address: Address) -> bool:
    """Global ones that somebody has set: the kernel makes the link-local and the temporary ones anew."""
    return address.permanent and not address.interface.is_link_local
