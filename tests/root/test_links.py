"""`--link` on the default network, as a linked container and a client of the API see it."""

from collections.abc import Iterator

import pytest

from corten.client.address import Address
from corten.client.connection import EngineError
from corten.client.engine import Engine as Client
from tests.root.engines import IMAGE, Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    client = Client(Address(engine.host))
    yield client
    client.close()
    engine.remove_everything()


def service(client: Client, name: str = "database") -> str:
    ports: dict[str, object] = {port: {} for port in ("53/udp", "5432/tcp", "80-82/tcp")}
    body = {"Image": IMAGE, "Cmd": ["sleep", "100"], "Env": ["USER=admin", "PATH=/bin"], "ExposedPorts": ports}
    return client.containers.run(body, name=name).id


def linked(client: Client, *links: str, command: tuple[str, ...] = ("sleep", "100"), name: str = "web") -> str:
    body = {"Image": IMAGE, "Cmd": list(command), "HostConfig": {"Links": list(links)}}
    return client.containers.run(body, name=name).id


def test_a_link_tells_where_the_other_is(client: Client) -> None:
    address = client.containers.get(service(client)).inspect()["NetworkSettings"]["IPAddress"]
    web = client.containers.get(linked(client, "database:my-store", command=("sh", "-c", "env; cat /etc/hosts")))
    web.wait()
    told = web.logs()[0].decode()
    variables = dict(line.partition("=")[::2] for line in told.splitlines() if line.startswith("MY_STORE_"))
    assert variables == {
        "MY_STORE_NAME": "/web/my-store",
        "MY_STORE_ENV_USER": "admin",
        "MY_STORE_PORT": f"tcp://{address}:80",
        "MY_STORE_PORT_80_TCP_START": f"tcp://{address}:80",
        "MY_STORE_PORT_80_TCP_PORT_START": "80",
        "MY_STORE_PORT_80_TCP_END": f"tcp://{address}:82",
        "MY_STORE_PORT_80_TCP_PORT_END": "82",
        **parts(address, "tcp", 80, 81, 82, 5432),
        **parts(address, "udp", 53),
    }
    assert f"{address}\tmy-store " in told


def parts(address: str, protocol: str, *numbers: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for number in numbers:
        prefix = f"MY_STORE_PORT_{number}_{protocol.upper()}"
        found |= {prefix: f"{protocol}://{address}:{number}", f"{prefix}_ADDR": address}
        found |= {f"{prefix}_PORT": str(number), f"{prefix}_PROTO": protocol}
    return found


def test_a_link_is_a_name_until_it_is_removed(client: Client) -> None:
    database, web = service(client), linked(client, "database:store")
    shown = {row["Id"]: row["Names"] for row in client.containers.list(all=True)}
    assert shown == {database: ["/database", "/web/store"], web: ["/web"]}
    assert client.containers.get("web/store").id == database
    assert client.containers.get(web).inspect()["HostConfig"]["Links"] == ["/database:/web/store"]
    client.ask("DELETE", "/containers/web/store", query={"link": "1"})
    assert client.containers.get(web).inspect()["HostConfig"]["Links"] is None
    assert client.containers.get(database).inspect()["State"]["Running"]
    assert b"store" not in b"".join(client.containers.get(web).get_archive("/etc/hosts"))
    with pytest.raises(EngineError, match="No such container: web/store"):
        client.ask("DELETE", "/containers/web/store", query={"link": "1"})
    with pytest.raises(EngineError, match="cannot remove the default link name"):
        client.ask("DELETE", "/containers/web", query={"link": "1"})


def test_a_link_outlives_the_renaming_of_its_target(client: Client) -> None:
    service(client)
    web = client.containers.get(linked(client, "database"))
    client.ask("POST", "/containers/database/rename", query={"name": "other"})
    assert web.inspect()["HostConfig"]["Links"] == ["/other:/web/database"]
    assert [f"{row['Names']}" for row in client.containers.list() if "/other" in row["Names"]] == [
        "['/other', '/web/database']"
    ]


def test_a_link_to_nobody_and_to_one_that_does_not_run_is_refused(client: Client) -> None:
    with pytest.raises(EngineError, match="could not get container for nobody") as refused:
        linked(client, "nobody:x")
    assert refused.value.status == 400
    client.containers.create({"Image": IMAGE, "Cmd": ["true"]}, name="asleep")
    with pytest.raises(EngineError, match="Cannot link to a non running container: /asleep AS /web/x"):
        linked(client, "asleep:x")
