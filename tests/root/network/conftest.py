"""Every test here sits in a network namespace of its own: links, tables and sysctls are its alone."""

from collections.abc import Iterator

import pytest

from corten.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from tests.root.network.namespaces import Container, own_namespace


@pytest.fixture
def host(leaves_nothing: None) -> Iterator[None]:  # noqa: ARG001
    """The stand-in for the host: an empty network namespace."""
    with own_namespace():
        yield


@pytest.fixture
def route(host: None) -> Iterator[Netlink]:  # noqa: ARG001
    with Netlink.open(NETLINK_ROUTE) as netlink:
        yield netlink


@pytest.fixture
def netfilter(host: None) -> Iterator[Netlink]:  # noqa: ARG001
    with Netlink.open(NETLINK_NETFILTER) as netlink:
        yield netlink


@pytest.fixture
def container(host: None) -> Iterator[Container]:  # noqa: ARG001
    with Container() as box:
        yield box
