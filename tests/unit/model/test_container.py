"""Requests are read as Docker's engine reads them, and shown again under Docker's names."""

import pytest

from corten.model import container
from corten.model.container import ContainerConfig, ContainerCreate, HostConfig
from corten.model.errors import InvalidArgument


def test_null_means_the_default_in_any_field() -> None:
    body = b'{"User": null, "Labels": {"a": null}, "HostConfig": {"Memory": null, "PortBindings": {"80/tcp": null}}}'
    read = container.decode(body, ContainerCreate)
    assert (read.user, read.labels, read.host_config.memory) == ("", {"a": ""}, 0)
    assert read.host_config.port_bindings == {"80/tcp": None}


def test_a_command_may_be_one_string() -> None:
    assert container.decode(b'{"Cmd": "true", "User": null}', ContainerConfig).cmd == ("true",)


def test_fields_that_go_leaves_out_when_empty_are_left_out() -> None:
    shown = container.encode(ContainerConfig(image="busybox"))
    assert "Healthcheck" not in shown
    assert shown["Env"] is None


@pytest.mark.parametrize(
    "name", ["UTSMode", "ContainerIDFile", "BlkioDeviceReadIOps", "IOMaximumBandwidth", "CpusetCpus"]
)
def test_names_are_dockers(name: str) -> None:
    assert name in container.encode(HostConfig())


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"HostConfig": {"Memory": "x"}}', "$.HostConfig.Memory"),
        (b"{", "invalid JSON"),
        (b'{"Env": [1]}', "$.Env[0]"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(body: bytes, place: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        container.decode(body, ContainerCreate)
    assert place in refused.value.message


def test_a_container_stored_as_json_comes_back_the_same() -> None:
    import msgspec

    config = HostConfig(binds=("/a:/b",), nano_cpus=5, port_bindings={"1/tcp": ()})
    assert msgspec.json.decode(msgspec.json.encode(config), type=HostConfig) == config
