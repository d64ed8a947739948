"""Networks and published ports through docker's command line."""

import pytest

from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually


def test_containers_find_each_other_by_name_on_their_own_network(engine: Engine) -> None:
    engine.docker("network", "create", "own")
    try:
        engine.docker(
            "run", "-d", "--name", "peer", "--network", "own", "--network-alias", "other", IMAGE, "sleep", "1000"
        )
        for name in ("peer", "other"):
            assert "1 packets received" in engine.out(
                "run", "--rm", "--network", "own", IMAGE, "ping", "-c", "1", "-W", "3", name
            )
        engine.running("--name", "guest")
        engine.docker("network", "connect", "own", "guest")
        assert "1 packets received" in engine.out("exec", "guest", "ping", "-c", "1", "-W", "3", "peer")
        engine.docker("network", "disconnect", "own", "guest")
        assert len(engine.out("exec", "guest", "ls", "/sys/class/net").split()) == 2  # lo and the default network's
        assert "own" in engine.out("network", "ls", "--format", "{{.Name}}").split()
        assert "has active endpoints" in engine.docker("network", "rm", "own", check=False).stderr
    finally:
        engine.remove_everything()
        engine.docker("network", "rm", "own")


def test_host_none_and_shared_networks(engine: Engine) -> None:
    assert engine.out("run", "--rm", "--network", "none", IMAGE, "ls", "/sys/class/net") == "lo"
    shared = engine.running("--name", "owner", "--hostname", "owner")
    address = engine.out("inspect", "--format", "{{.NetworkSettings.IPAddress}}", shared)
    assert address in engine.out("run", "--rm", "--network", "container:owner", IMAGE, "ip", "addr")


@pytest.mark.skipif(bool(OTHER_HOST), reason="the other engine's network namespace is not ours to enter")
def test_a_published_port_answers(engine: Engine) -> None:
    web = "mkdir /www; echo hello > /www/index.html; httpd -f -p 80 -h /www"
    engine.docker("run", "-d", "--name", "web", "-p", "8123:80", IMAGE, "sh", "-c", web)
    assert engine.out("port", "web").splitlines()[0] == "80/tcp -> 0.0.0.0:8123"
    eventually(lambda: engine.inside("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8123/").stdout == "hello\n")
    taken = engine.docker("run", "--rm", "-p", "8123:80", IMAGE, "true", check=False)
    assert taken.returncode == 125
    assert "port is already allocated" in taken.stderr


def test_a_network_has_the_subnet_it_was_given_and_gives_the_address_that_is_asked_for(engine: Engine) -> None:
    given = ("--subnet", "10.89.7.0/24", "--gateway", "10.89.7.254", "--label", "a=b")
    engine.docker("network", "create", *given, "given")
    try:
        engine.running("--name", "fixed", "--network", "given", "--ip", "10.89.7.9")
        assert "inet 10.89.7.9/24" in engine.out("exec", "fixed", "ip", "addr")
        assert "default via 10.89.7.254" in engine.out("exec", "fixed", "ip", "route")
        form = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}"
        assert engine.out("network", "inspect", "--format", form, "given") == "fixed 10.89.7.9/24"
        assert engine.out("network", "ls", "-q", "--no-trunc", "--filter", "label=a=b") == engine.out(
            "network", "inspect", "--format", "{{.Id}}", "given"
        )
    finally:
        engine.remove_everything()
        assert engine.out("network", "rm", "given") == "given"
