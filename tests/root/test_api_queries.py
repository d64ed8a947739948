"""Every query parameter of Docker's API changes what it says it changes."""

import io
import json
import socket
import tarfile
import threading
import time
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage
from wsproto.events import Request as Handshake

from corten.client.connection import Connection, EngineError
from corten.client.engine import Container
from corten.client.engine import Engine as Client
from tests.images import config, docker_archive, system_layer
from tests.root.engines import IMAGE, Engine, eventually


def sleeper(client: Client, name: str = "", **request: Any) -> Container:
    return client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"], **request}, name=name)


def names(rows: Any) -> list[str]:
    return [row["Names"][0].removeprefix("/") for row in rows]


def test_the_list_has_all_limit_size_and_filters(client: Client) -> None:
    sleeper(client, "up")
    client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="down")

    def listed(**query: str) -> Any:
        return client.ask("GET", "/containers/json", query)

    assert names(listed()) == ["up"]
    assert names(listed(all="1")) == ["down", "up"]
    assert names(listed(limit="1")) == ["down"]
    assert "SizeRootFs" not in listed()[0]
    assert listed(size="1")[0]["SizeRootFs"] > 1_000_000
    assert names(listed(all="1", filters='{"status":{"created":true}}')) == ["down"]
    assert "SizeRw" in client.ask("GET", "/containers/up/json", {"size": "1"})
    assert client.ask("GET", "/containers/up/json").get("SizeRw") is None


def test_create_takes_a_name_and_only_a_platform_that_the_image_has(client: Client) -> None:
    made = client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="chosen", platform="linux/amd64")
    assert made.inspect()["Name"] == "/chosen"
    with pytest.raises(EngineError) as caught:
        client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, platform="linux/s390x")
    assert caught.value.status == 404


def test_stop_restart_and_kill_take_signal_and_patience(client: Client) -> None:
    trap = "trap 'exit 31' USR1; trap 'exit 32' TERM; echo up; while :; do sleep 0.05; done"
    for verb, query, code in (
        ("stop", {"signal": "SIGUSR1"}, 31),
        ("stop", {"t": "5"}, 32),
        ("kill", {"signal": "USR1"}, 31),
        ("kill", {}, 137),
    ):
        container = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", trap]})
        eventually(lambda container=container: container.logs()[0] == b"up\n")  # type: ignore[misc]
        client.ask("POST", f"/containers/{container.id}/{verb}", query)
        assert container.wait() == code, (verb, query)
    deaf = client.containers.run(
        {"Image": IMAGE, "Cmd": ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]}
    )
    eventually(lambda: deaf.logs()[0] == b"up\n")
    client.ask("POST", f"/containers/{deaf.id}/restart", {"t": "0", "signal": "SIGTERM"})
    assert deaf.inspect()["State"]["Running"]


def test_wait_has_three_conditions(client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["sh", "-c", "exit 6"]})
    codes: dict[str, int] = {}

    def wait(condition: str) -> None:
        codes[condition] = Client(client.address).containers.get(container.id).wait(condition)

    threads = [threading.Thread(target=wait, args=(condition,)) for condition in ("next-exit", "removed")]
    for thread in threads:
        thread.start()
    assert container.wait("not-running") == 0
    time.sleep(0.3)
    container.start()
    threads[0].join(10)
    assert codes == {"next-exit": 6}
    container.remove()
    threads[1].join(10)
    assert codes == {"next-exit": 6, "removed": 6}


def test_remove_takes_anonymous_volumes_only_when_told(client: Client) -> None:
    for take in (False, True):
        container = client.containers.create({"Image": IMAGE, "Cmd": ["true"], "Volumes": {"/vol": {}}})
        (volume,) = [point["Name"] for point in container.inspect()["Mounts"]]
        container.remove(volumes=take)
        assert (volume in [row["Name"] for row in client.volumes.list()]) is not take
        if not take:
            client.volumes.remove(volume)
    running = sleeper(client)
    with pytest.raises(EngineError) as caught:
        running.remove()
    assert caught.value.status == 409
    running.remove(force=True)


def test_stats_come_once_with_a_predecessor_or_as_a_stream(client: Client) -> None:
    path = f"/containers/{sleeper(client).id}/stats"
    began = time.monotonic()
    single = client.ask("GET", path, {"stream": "0", "one-shot": "1"})
    assert time.monotonic() - began < 0.9
    assert single["memory_stats"]["usage"] > 0
    pair = client.ask("GET", path, {"stream": "0"})
    assert pair["precpu_stats"]["system_cpu_usage"] < pair["cpu_stats"]["system_cpu_usage"]
    stream = client.stream("GET", path)
    first, second = next(stream), next(stream)
    assert first["read"] < second["read"]
    assert second["preread"] == first["read"]


def test_top_takes_the_columns_of_ps(client: Client) -> None:
    container = sleeper(client)
    assert container.top("-o pid,comm")["Titles"] == ["PID", "COMMAND"]
    assert container.top()["Processes"][0][-1] == "sleep 1000"


def test_logs_have_details_and_streams(client: Client) -> None:
    labelled = {
        "Labels": {"tier": "web"},
        "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"labels": "tier"}}},
    }
    both = ["sh", "-c", "echo out; echo err >&2"]
    container = client.containers.run({"Image": IMAGE, "Cmd": both, **labelled})
    container.wait()

    def text(**query: str) -> bytes:
        return b"".join(client.download(f"/containers/{container.id}/logs", query))

    assert b"out" in text(stdout="1")
    assert b"err" not in text(stdout="1")
    assert b"err" in text(stderr="1")
    assert b"tier=web out" in text(stdout="1", details="1")


def test_attach_replays_logs_and_chooses_streams(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", "echo out; echo err >&2; sleep 1000"]})
    eventually(lambda: container.logs() == (b"out\n", b"err\n"))
    for query, seen, unseen in (({"stdout": "1"}, b"out", b"err"), ({"stderr": "1"}, b"err", b"out")):
        stream = client.hijack(f"/containers/{container.id}/attach", {"logs": "1", **query})
        data = stream.early
        while more := stream.sock.recv(4096):
            data += more
        stream.close()
        assert seen in data
        assert unseen not in data


def test_an_archive_is_put_with_its_rules(client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["true"], "User": "postgres"})

    def put(entry: tarfile.TarInfo, **query: str) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
        client.ask("PUT", f"/containers/{container.id}/archive", {"path": "/srv", **query}, buffer.getvalue())

    directory, file = tarfile.TarInfo("x"), tarfile.TarInfo("x")
    directory.type, file.size = tarfile.DIRTYPE, 3
    put(directory)
    with pytest.raises(EngineError):
        put(file, noOverwriteDirNonDir="1")
    owned = tarfile.TarInfo("mine")
    owned.uid = 1234
    put(owned, copyUIDGID="1")
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.get_archive("/srv/mine")))) as tar:
        assert tar.getmember("mine").uid == 70
    response = Connection(client.address).request("HEAD", f"/containers/{container.id}/archive", query={"path": "/srv"})
    assert "x-docker-container-path-stat" in response.headers


def test_images_are_listed_filtered_and_kept_by_noprune(client: Client) -> None:
    layer = system_layer()
    client.images.load(docker_archive([(config([layer], note="other", Labels={"a": "b"}), [layer], ["other:1"])]))

    def listed(**query: str) -> set[str]:
        return {tag for row in client.ask("GET", "/images/json", query) for tag in row["RepoTags"] or ()}

    assert listed() == {"other:1", IMAGE}
    assert listed(all="1") == {"other:1", IMAGE}
    assert listed(filters='{"label":["a=b"]}') == {"other:1"}
    assert listed(filters='{"reference":["tin*"]}') == {IMAGE}
    (row,) = client.ask("GET", "/images/json", {"shared-size": "1", "filters": '{"reference":["other"]}'})
    assert row["SharedSize"] > 1_000_000
    assert client.ask("GET", "/images/json", {"digests": "1"})[0]["RepoDigests"] is not None
    client.images.tag("other:1", "other", "2")
    assert client.ask("DELETE", "/images/other:2", {"noprune": "1"}) == [{"Untagged": "other:2"}]
    client.containers.create({"Image": "other:1", "Cmd": ["true"]})
    with pytest.raises(EngineError) as caught:
        client.images.remove("other:1")
    assert caught.value.status == 409
    assert client.images.remove("other:1", force=True)[0] == {"Untagged": "other:1"}


def test_saved_images_are_those_that_were_named_and_load_may_be_quiet(client: Client) -> None:
    client.images.tag(IMAGE, "second", "1")
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.images.save(IMAGE, "second:1")))) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
    assert {tag for entry in manifest for tag in entry["RepoTags"]} == {IMAGE, "second:1"}
    archive = b"".join(client.images.save("second:1"))
    client.images.remove("second:1")
    messages = list(client.stream("POST", "/images/load", {"quiet": "1"}, archive))
    assert [message["stream"] for message in messages] == ["Loaded image: second:1\n"]
    client.images.remove("second:1")


def test_commit_makes_an_image_of_a_container(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", "echo kept > /root/kept"]})
    container.wait()
    query = {"container": container.id, "repo": "made", "tag": "1", "comment": "why", "author": "who", "pause": "0"}
    given: dict[str, Any] = {
        "User": "postgres", "Env": ["C=d"], "WorkingDir": "/srv", "Entrypoint": ["sh", "-c"], "Labels": {"l": "v"},
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/vol": {}}, "StopSignal": "SIGUSR1", "OnBuild": ["RUN true"],
        "Shell": ["/bin/sh"], "Healthcheck": {"Test": ["CMD", "true"]},
    }  # fmt: skip
    made = client.ask("POST", "/commit", {**query, "changes": ["ENV A=b", "CMD cat /etc/passwd"]}, given)
    found = client.images.get("made:1")
    assert (found["Id"], found["Comment"], found["Author"]) == (made["Id"], "why", "who")
    kept = found["Config"]
    assert {"A=b", "C=d"} <= set(kept["Env"])
    assert {name: kept[name] for name in given if name != "Env"} == {
        name: given[name] for name in given if name != "Env"
    }
    container.remove()
    client.images.remove("made:1")


def test_prunes_take_their_filters(client: Client) -> None:
    client.containers.create({"Image": IMAGE, "Cmd": ["true"], "Labels": {"keep": "1"}}, name="kept")
    client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="gone")
    client.containers.prune({"label!": ["keep"]})
    assert names(client.containers.list(all=True)) == ["kept"]
    client.volumes.create({"Name": "named"})
    assert client.ask("POST", "/volumes/prune", {"filters": "{}"})["VolumesDeleted"] in (None, [])
    assert client.ask("POST", "/volumes/prune", {"filters": '{"all":["true"]}'})["VolumesDeleted"] == ["named"]
    client.networks.create({"Name": "spare", "Labels": {"a": "b"}})
    assert not client.ask("POST", "/networks/prune", {"filters": '{"label":["x"]}'})["NetworksDeleted"]
    assert client.ask("POST", "/networks/prune", {"filters": '{"label":["a=b"]}'})["NetworksDeleted"] == ["spare"]
    client.images.tag(IMAGE, "spare", "1")
    assert not client.ask("POST", "/images/prune", {"filters": '{"dangling":["true"]}'})["ImagesDeleted"]
    client.images.remove("spare:1")


def test_volumes_and_networks_are_filtered_and_forced(client: Client) -> None:
    client.volumes.create({"Name": "one", "Labels": {"a": "b"}})
    client.volumes.create({"Name": "two"})

    def volumes(filters: str) -> list[str]:
        return [row["Name"] for row in client.ask("GET", "/volumes", {"filters": filters})["Volumes"]]

    assert volumes('{"label":["a"]}') == ["one"]
    assert sorted(volumes('{"dangling":["true"]}')) == ["one", "two"]
    client.volumes.remove("one")
    client.volumes.remove("two")
    with pytest.raises(EngineError):
        client.volumes.remove("two")
    client.volumes.remove("two", force=True)
    found = client.ask("GET", "/networks", {"filters": '{"name":["bridge"]}'})
    assert [row["Name"] for row in found] == ["bridge"]
    assert client.ask("GET", "/networks/bridge", {"verbose": "1", "scope": "local"})["Scope"] == "local"
    with pytest.raises(EngineError):
        client.ask("GET", "/networks/bridge", {"scope": "swarm"})


def test_disk_usage_is_asked_by_type(client: Client) -> None:
    whole = client.ask("GET", "/system/df")
    assert whole["Images"]
    assert "Volumes" in whole
    part = client.ask("GET", "/system/df", {"type": ["image"]})
    assert part["Images"]
    assert not part.get("Containers")


def test_events_are_filtered_and_bounded(client: Client) -> None:
    since = str(int(time.time()))
    client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="seen")
    client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="unseen")
    told = list(client.events(since=since, until=str(int(time.time()) + 1), filters={"container": ["seen"]}))
    assert [(event["Action"], event["Actor"]["Attributes"]["name"]) for event in told] == [("create", "seen")]


def test_a_websocket_is_an_attach(client: Client, engine: Engine) -> None:
    client.containers.run({"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True}, name="echo")
    websocket = WSConnection(ConnectionType.CLIENT)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(engine.path)
        query = "stream=1&stdin=1&stdout=1&stderr=1&logs=0&detachKeys=ctrl-a"
        sock.sendall(websocket.send(Handshake(host="x", target=f"/containers/echo/attach/ws?{query}")))
        seen = b""
        sent = False
        while seen != b"through the engine":
            websocket.receive_data(sock.recv(4096))
            for event in websocket.events():
                seen += bytes(event.data) if isinstance(event, BytesMessage) else b""
            if not sent:
                sock.sendall(websocket.send(BytesMessage(data=b"through the engine")))
                sent = True


def test_an_exec_starts_with_the_size_it_is_given(client: Client) -> None:
    command = {"AttachStdout": True, "Tty": True, "Cmd": ["stty", "size"]}
    exec_ = sleeper(client).exec(command)
    stream = client.hijack(f"/exec/{exec_.id}/start", body={"Tty": True, "ConsoleSize": [21, 63]})
    data = stream.early
    while more := stream.sock.recv(4096):
        data += more
    stream.close()
    assert data.strip() == b"21 63"


def test_detach_keys_of_an_exec_leave_it_running(client: Client) -> None:
    command = {"AttachStdin": True, "AttachStdout": True, "Tty": True, "Cmd": ["cat"], "DetachKeys": "ctrl-a,d"}
    exec_ = sleeper(client).exec(command)
    stream = client.hijack(f"/exec/{exec_.id}/start", body={"Tty": True})
    stream.sock.sendall(b"\x01d")
    while stream.sock.recv(4096):
        pass
    stream.close()
    assert exec_.inspect()["Running"]


def test_a_connection_has_its_endpoint_settings(client: Client) -> None:
    network = client.networks.create({"Name": "wide", "IPAM": {"Config": [{"Subnet": "10.79.0.0/24"}]}})
    container = sleeper(client, "joiner")
    client.networks.connect(network, "joiner", {"IPAMConfig": {"IPv4Address": "10.79.0.40"}, "Aliases": ["a"]})
    found = container.inspect()["NetworkSettings"]["Networks"]["wide"]
    assert found["IPAddress"] == "10.79.0.40"
    client.networks.disconnect(network, "joiner", force=True)
    assert "wide" not in container.inspect()["NetworkSettings"]["Networks"]
    client.networks.remove(network)


def test_networks_have_drivers_families_options_and_reserved_addresses(client: Client) -> None:
    config = [{"Subnet": "10.80.0.0/24", "AuxiliaryAddresses": {"printer": "10.80.0.2"}}, {"Subnet": "fd00:80::/64"}]
    asked = {"Driver": "bridge", "EnableIPv6": True, "EnableIPv4": True, "Attachable": True, "Scope": "local"}
    ipam = {"Driver": "default", "Config": config, "Options": {"a": "b"}}
    options = {"com.docker.network.driver.mtu": "1400"}
    network = client.networks.create({"Name": "rich", **asked, "IPAM": ipam, "Options": options})
    shown = client.networks.get("rich")
    assert {name: shown[name] for name in asked} == asked
    assert shown["IPAM"]["Options"] == {"a": "b"}
    endpoint = {"IPAMConfig": {"IPv6Address": "fd00:80::77"}, "GwPriority": 5}
    request: dict[str, Any] = {
        "HostConfig": {"NetworkMode": "rich"},
        "NetworkingConfig": {"EndpointsConfig": {"rich": endpoint}},
    }
    container = sleeper(client, **request)
    found = container.inspect()["NetworkSettings"]["Networks"]["rich"]
    assert (found["IPAddress"], found["GlobalIPv6Address"]) == ("10.80.0.3", "fd00:80::77")
    assert container.exec({"AttachStdout": True, "Cmd": ["cat", "/sys/class/net/eth0/mtu"]}).run()[0] == b"1400\n"
    container.remove(force=True)
    client.networks.remove(network)
    swarm: list[dict[str, Any]] = [{"ConfigOnly": True}, {"ConfigFrom": {"Network": "x"}}, {"Ingress": True}]
    for refused in (*swarm, {"Scope": "swarm"}, {"Driver": "overlay"}, {"IPAM": {"Driver": "x"}}):
        with pytest.raises(EngineError):
            client.networks.create({"Name": "refused", **refused})
    assert "refused" not in [row["Name"] for row in client.networks.list()]


AMD64, ARM64 = (json.dumps({"os": "linux", "architecture": name}) for name in ("amd64", "arm64"))


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", f"/images/{IMAGE}/json", "platform"),
        ("GET", f"/images/{IMAGE}/history", "platform"),
        ("GET", f"/images/{IMAGE}/get", "platform"),
        ("GET", f"/images/get?names={IMAGE}", "platform"),
        ("DELETE", f"/images/{IMAGE}", "platforms"),
        ("POST", f"/images/{IMAGE}/push", "platform"),
    ],
)
def test_an_image_for_another_platform_is_not_found(client: Client, method: str, path: str, name: str) -> None:
    path, _, fixed = path.partition("?names=")
    query = {"names": fixed} if fixed else {}
    with pytest.raises(EngineError, match=r"does not provide the specified platform \(linux/arm64\)") as caught:
        client.ask(method, path, {**query, name: ARM64})
    assert caught.value.status == 404
    with pytest.raises(EngineError, match="failed to parse platform") as caught:
        client.ask(method, path, {**query, name: "linux"})
    assert caught.value.status == 400
    if method == "GET":
        connection = Connection(client.address)
        assert connection.request("GET", path, query={**query, name: AMD64}).check().read()
        connection.close()


def test_load_takes_the_platform_that_is_asked_for(client: Client) -> None:
    layers = [system_layer()]
    body = json.loads(config(layers)) | {"architecture": "arm64"}
    archive = docker_archive([(json.dumps(body).encode(), layers, ["foreign:1"])])

    def load(platform: str) -> bytes:
        connection = Connection(client.address)
        try:
            answer = connection.request("POST", "/images/load", query={"platform": platform}, body=archive)
            return answer.check().read()
        finally:
            connection.close()

    with pytest.raises(EngineError, match="the archive has no image for linux/amd64"):
        load(AMD64)
    assert b"Loaded image: foreign:1" in load(ARM64)
    assert client.ask("GET", "/images/foreign:1/json")["Architecture"] == "arm64"
    client.ask("DELETE", "/images/foreign:1")
