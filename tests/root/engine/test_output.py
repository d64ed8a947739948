"""No output is lost on its way to a client, whichever of the threads that hand it on is the slow one."""

import socket
import threading
import time

from corten.engine.requests import AttachOptions, LogQuery
from corten.model.cancel import Cancel
from corten.wire import stdcopy
from tests.root.engine.workbench import Workbench

OUTPUT = AttachOptions(stdin=False, stdout=True, stderr=True, stream=True, logs=False, detach_keys="", multiplex=True)


def received(sock: socket.socket) -> bytes:
    """Everything up to the end of the stream, without its frames."""
    data = b""
    while piece := sock.recv(1 << 16):
        data += piece
    return b"".join(payload for _, payload in stdcopy.Decoder().feed(data))


def test_a_client_that_starts_the_container_as_soon_as_it_reads_the_answer_gets_all_output(bench: Workbench) -> None:
    """`docker run` does, on another connection; the thread that attaches may then not even have run again."""
    id = bench.create("echo", "hello")
    starting = threading.Thread(target=bench.containers.start, args=(id,))
    ours, theirs = socket.socketpair()
    descriptor = theirs.detach()

    def take(*, tty: bool) -> tuple[int, bytes]:  # noqa: ARG001
        starting.start()
        time.sleep(0.5)  # the start of a short program takes less
        return descriptor, b""

    with ours:
        ours.settimeout(10)
        bench.containers.attach(id, OUTPUT, take)
        starting.join()
        assert received(ours) == b"hello\n"


def test_the_whole_log_of_a_stopped_container_reaches_a_client_that_reads_late(bench: Workbench) -> None:
    """The socket comes from an event loop, so it does not block."""
    id = bench.create("sh", "-c", "yes 0123456789abcde | head -c 4000000")
    ended = bench.containers.wait(id, "next-exit")
    bench.containers.start(id)
    ended.result(20)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    descriptor = theirs.detach()
    wanted = OUTPUT._replace(stream=False, logs=True)
    attaching = threading.Thread(
        target=bench.containers.attach,
        args=(id, wanted, lambda tty: (descriptor, b"")),  # noqa: ARG005
    )
    with ours:
        ours.settimeout(10)
        attaching.start()
        time.sleep(0.2)
        assert len(received(ours)) == 4000000
    attaching.join()


def test_a_follower_that_hangs_up_never_waits_for_the_container(bench: Workbench) -> None:
    """It is the event loop that tells, and a container may be held for long, by a removal or a commit."""
    id = bench.start("sleep", "1000")
    cancel = Cancel()
    batches = bench.containers.logs(id, LogQuery(follow=True), cancel).batches
    following = threading.Thread(target=list, args=(batches,))
    following.start()
    container = bench.engine._services.catalog.find(id)
    time.sleep(0.2)
    with container.lock:
        telling = threading.Thread(target=cancel.set)
        telling.start()
        telling.join(2)
        waited = telling.is_alive()
    following.join(10)
    assert not waited
