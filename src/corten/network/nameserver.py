"""The name service: one thread that answers every container at 127.0.0.11 of its own namespace.

    container's resolver ──127.0.0.11:53──► (rewritten to our port) ──► socket inside its namespace, held by the engine
                                                                           │ name of ours: answered (`names`)
                                                                           └ else: sent on, byte for byte, from the host

The sockets were made inside the sandbox; we bind them to a free port and have nftables there rewrite port 53, so that
a container may run a name server of its own on 0.0.0.0:53. The rewriting keeps no state: queries and answers both
pass the namespace's output hook. While no engine runs a query gets no answer and the resolver asks again; the next
engine binds anew.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from corten.kernel import nftables as nft
from corten.kernel.netlink import Message
from corten.kernel.netns import NetworkJoin
from corten.network.files import SERVICE
from corten.network.loop import Loop
from corten.network.names import PLAIN_UDP_LIMIT, Zone, answer, failure

__all__ = ["NameService", "redirect"]

TABLE = "corten-names"
# The same in every sandbox, so that the messages of its table are built once.
USUAL_PORT = 53053
UPSTREAM_SECONDS = 2.0
IDLE_SECONDS = 30.0
# A container that floods us with names of the outside gets SERVFAIL beyond this many at a time.
MAX_PENDING = 256
LENGTH = struct.Struct(">H")


@lru_cache(maxsize=16)
def redirect(udp_port: int, tcp_port: int) -> list[Message]:
    """The sandbox's own small table: port 53 of 127.0.0.11 is really ours."""
    add = [nft.add_table(nft.IPV4, TABLE), nft.delete_table(nft.IPV4, TABLE), nft.add_table(nft.IPV4, TABLE)]
    # Before connection tracking (-200), and untracked: the two directions do not look like one connection.
    add.append(nft.add_chain(nft.IPV4, TABLE, "output", nft.Hook("filter", nft.OUTPUT, -300)))
    for protocol, checksum, port in ((17, 6, udp_port), (6, 16, tcp_port)):
        ours, well_known = port.to_bytes(2, "big"), (53).to_bytes(2, "big")
        add.append(_rewrite("queries", protocol, checksum, 16, 2, well_known, ours))
        add.append(_rewrite("answers", protocol, checksum, 12, 0, ours, well_known))
    return add


def _bind(sock: socket.socket) -> None:
    """Take our usual port, or where a program of the container has it (after a restart of the engine), any other."""
    try:
        sock.bind((SERVICE, USUAL_PORT))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sock.bind((SERVICE, 0))


def _rewrite(why: str, protocol: int, checksum: int, address: int, port: int, old: bytes, new: bytes) -> Message:
    match = (
        nft.meta("l4proto"),
        nft.compare(bytes([protocol])),
        nft.payload("network", address, 4),
        nft.compare(socket.inet_aton(SERVICE)),
        nft.payload("transport", port, 2),
        nft.compare(old),
    )
    write = (nft.immediate(new), nft.write_payload("transport", port, 2, checksum=checksum), nft.notrack())
    return nft.add_rule(nft.IPV4, TABLE, "output", why, *match, *write)


class NameService:
    """Answers for any number of sandboxes. Its methods are called from any thread."""

    def __init__(self, loop: Loop, host_servers: Callable[[], tuple[str, ...]]) -> None:
        """:param host_servers: the host's name servers as they are now (a laptop changes networks)"""
        self._loop = loop
        self._host_servers = host_servers
        self._served: dict[str, Served] = {}

    def serve(self, container: str, join: NetworkJoin, zone: Zone) -> None:
        """Begin to answer inside a namespace whose loopback is up.

        :raises NetlinkError: the redirection was refused
        """
        udp, tcp = join.udp.dup(), join.tcp.dup()
        for sock in (udp, tcp):
            sock.setblocking(False)
            _bind(sock)
        nft.commit(join.netfilter, redirect(udp.getsockname()[1], tcp.getsockname()[1]))
        self.stop(container)
        self._served[container] = served = Served(zone, self._host_servers)
        self._loop.run(served.open(udp, tcp))

    def change(self, container: str, zone: Zone) -> None:
        """Give a container another zone from its next query on."""
        if served := self._served.get(container):
            served.zone = zone

    def serves(self, container: str) -> bool:
        return container in self._served

    def close(self) -> None:
        """Stop answering everywhere; returns when every socket is closed."""
        for served in [self._served.pop(container) for container in list(self._served)]:
            self._loop.run(served.close()).result()

    def stop(self, container: str) -> None:
        """Stop answering, which lets the namespace go."""
        if served := self._served.pop(container, None):
            self._loop.run(served.close())


class Served:
    """One sandbox's sockets. Everything but `zone` belongs to the service's thread."""

    def __init__(self, zone: Zone, host_servers: Callable[[], tuple[str, ...]]) -> None:
        self.zone = zone
        self._host_servers = host_servers
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._work: set[asyncio.Task[None]] = set()
        # Opening takes several turns of the loop; a close that comes meanwhile must find what it opened.
        self._lock = asyncio.Lock()

    async def open(self, udp: socket.socket, tcp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        async with self._lock:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: Queries(self), sock=udp)
            self._tcp = await asyncio.start_server(self._converse, sock=tcp)

    async def close(self) -> None:
        async with self._lock:
            if self._udp:
                self._udp.close()
            if self._tcp:
                self._tcp.close()
            for task in self._work:
                task.cancel()

    def received(self, query: bytes, sender: Any) -> None:
        """Answer a datagram, now or when an upstream has."""
        reply = answer(self.zone, query, limit=PLAIN_UDP_LIMIT)
        if reply is None and len(self._work) < MAX_PENDING:
            self._start(self._ask_and_reply(query, sender))
        else:
            self._send(failure(query) if reply is None else reply, sender)

    def _upstreams(self) -> tuple[str, ...]:
        return self.zone.servers or self._host_servers()

    def _send(self, reply: bytes, sender: Any) -> None:
        if self._udp and reply:
            self._udp.sendto(reply, sender)

    async def _ask_and_reply(self, query: bytes, sender: Any) -> None:
        self._send(await ask_by_udp(query, self._upstreams()), sender)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the queries of one TCP connection, each behind its length (RFC 1035, 4.2.2)."""
        task = asyncio.current_task()
        assert task
        self._work.add(task)
        try:
            while query := await asyncio.wait_for(framed(reader), IDLE_SECONDS):
                reply = answer(self.zone, query)
                if reply is None:
                    reply = await ask_by_tcp(query, self._upstreams())
                if not reply:
                    break
                writer.write(LENGTH.pack(len(reply)) + reply)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # The client went away or went silent; there is nobody to tell.
        finally:
            self._work.discard(task)
            writer.close()


class Queries(asyncio.DatagramProtocol):
    """Hands datagrams to their sandbox."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._served.received(data, addr)


async def framed(reader: asyncio.StreamReader) -> bytes:
    """The next message of a DNS stream; empty at its end."""
    head = await reader.read(2)
    if len(head) < 2:
        return b""
    return await reader.readexactly(LENGTH.unpack(head)[0])


async def ask_by_udp(query: bytes, upstreams: tuple[str, ...]) -> bytes:
    """Send a query on as it is, to one upstream after the other, and return the first answer; SERVFAIL without one."""
    loop = asyncio.get_running_loop()
    for upstream in upstreams:
        try:
            with _socket(upstream, socket.SOCK_DGRAM) as sock:
                # Connected: only that server's answers arrive, and a refused port is an error at once.
                await loop.sock_connect(sock, (upstream, 53))
                await loop.sock_sendall(sock, query)
                return await asyncio.wait_for(_matching(sock, query), UPSTREAM_SECONDS)
        except (OSError, TimeoutError):
            continue
    return failure(query)


async def ask_by_tcp(query: bytes, upstreams: tuple[str, ...]) -> bytes:
    """The same over TCP."""
    for upstream in upstreams:
        try:
            return await asyncio.wait_for(_exchange(upstream, query), UPSTREAM_SECONDS)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue
    return failure(query)


async def _exchange(upstream: str, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(upstream, 53)
    try:
        writer.write(LENGTH.pack(len(query)) + query)
        reply = await framed(reader)
    finally:
        writer.close()
    if not reply:
        raise OSError(errno.ECONNRESET, "the upstream closed the connection")
    return reply


async def _matching(sock: socket.socket, query: bytes) -> bytes:
    """The next datagram that answers `query`: the same id, and marked as an answer."""
    loop = asyncio.get_running_loop()
    while True:
        reply = await loop.sock_recv(sock, 65535)
        if reply[:2] == query[:2] and len(reply) > 2 and reply[2] & 0x80:
            return reply


def _socket(upstream: str, kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in upstream else socket.AF_INET, kind)
    sock.setblocking(False)
    return sock
