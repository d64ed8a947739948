"""What clients other than docker's own command do, and Docker's engine takes: found by docker-py's own tests.

Each is seen over the API, as such a client would see it.
"""

import pytest

from corten.client.connection import EngineError, Stream
from corten.client.engine import Engine as Client
from tests.root.engines import IMAGE, Engine, eventually

pytestmark = pytest.mark.root


def everything(stream: Stream) -> bytes:
    """The raw bytes of a hijacked connection, to its end."""
    try:
        return stream.early + b"".join(iter(lambda: stream.sock.recv(4096), b""))
    finally:
        stream.sock.close()


def test_fields_are_known_in_any_case(client: Client) -> None:
    made = client.containers.create({"image": IMAGE, "cmd": ["true"], "hostconfig": {"memory": 64 << 20}})
    assert made.inspect()["HostConfig"]["Memory"] == 64 << 20


@pytest.mark.parametrize("raw", [True, False])
def test_the_start_of_an_exec_decides_about_frames(client: Client, raw: bool) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "100"]})
    made = container.exec({"Cmd": ["printf", "hello"], "Tty": True, "AttachStdout": True})
    stream = client.hijack(f"/exec/{made.id}/start", body={"Tty": raw})
    assert everything(stream) == (b"hello" if raw else b"\x01\0\0\0\0\0\0\5hello")


def test_a_stopped_container_s_volume_is_reached_through_its_path(client: Client) -> None:
    command = ["sh", "-c", "echo data > /vol/file"]
    container = client.containers.run({"Image": IMAGE, "Cmd": command, "Volumes": {"/vol": {}}})
    container.wait()
    assert b"data" in b"".join(container.get_archive("/vol/file"))


def test_a_read_only_volume_of_a_stopped_container_is_not_written(client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": ["v1:/vol:ro"]}})
    with pytest.raises(EngineError, match="read-only"):
        container.put_archive("/vol", bytes(1024))


def test_a_container_between_two_runs_is_removed_by_force_only(client: Client) -> None:
    policy = {"HostConfig": {"RestartPolicy": {"Name": "always"}}}
    container = client.containers.run({"Image": IMAGE, "Cmd": ["false"], **policy})
    eventually(lambda: container.inspect()["State"]["Status"] == "restarting")
    with pytest.raises(EngineError, match="stop the container before removing"):
        container.remove()
    container.remove(force=True)


def test_a_volume_without_a_name_is_an_anonymous_one(client: Client) -> None:
    assert "com.docker.volume.anonymous" in client.volumes.create({})["Labels"]


def test_an_attach_with_logs_waits_for_a_container_that_never_ran(client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["printf", "hello"]})
    stream = container.attach(stdin=False, logs=True)
    container.start()
    assert everything(stream) == b"\x01\0\0\0\0\0\0\5hello"


def test_a_subnet_may_be_written_with_host_bits_and_a_name_with_spaces(client: Client) -> None:
    made = client.networks.create({"Name": "two words", "IPAM": {"Config": [{"Subnet": "10.77.0.1/24"}]}})
    assert client.networks.get(made)["IPAM"]["Config"][0]["Subnet"] == "10.77.0.0/24"
    client.networks.remove(made)


def test_a_link_local_address_stands_beside_the_ordinary_one(client: Client) -> None:
    endpoint = {"IPAMConfig": {"LinkLocalIPs": ["169.254.8.8"]}}
    made = client.containers.run(
        {"Image": IMAGE, "Cmd": ["ip", "addr"], "NetworkingConfig": {"EndpointsConfig": {"bridge": endpoint}}}
    )
    made.wait()
    assert b"inet 169.254.8.8/16" in made.logs()[0]


def test_a_committed_image_tells_the_container_it_came_from(engine: Engine, client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["true"]})
    image = engine.out("commit", container.id)
    found = client.images.get(image)
    assert found["Container"] == container.id
    assert found["ContainerConfig"]["Image"] == IMAGE
    client.images.remove(image)
