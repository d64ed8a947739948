"""The same runtime as an ordinary user, with the one id that needs no help to be mapped."""

import json
import subprocess

from tests.root.runtime.bundle import wait_for
from tests.root.runtime.ordinary_user import USER, Rootless


def test_an_ordinary_user_runs_a_container_as_its_root(rootless: Rootless) -> None:
    rootless.configure(
        "/bin/sh", "-c", "id -u; cat /proc/self/uid_map; stat -c %t:%T /dev/null; touch /tmp/x; hostname"
    )
    uid, mapping, null, host = rootless("run", "mine").stdout.splitlines()
    assert (uid, mapping.split(), null, host) == ("0", ["0", str(USER), "1"], "1:3", "corten")


def test_an_ordinary_user_execs_kills_and_deletes(rootless: Rootless) -> None:
    rootless.configure("/bin/sleep", "1000")
    argv = [*rootless.argv, "create", "mine"]
    subprocess.run(
        argv, user=USER, group=USER, extra_groups=[], cwd=rootless.home, env=rootless.env, stdin=subprocess.DEVNULL,
        check=True, timeout=60,
    )  # fmt: skip
    rootless("start", "mine")
    assert rootless("exec", "mine", "/bin/id", "-u").stdout == "0\n"
    rootless("kill", "mine", "KILL")
    wait_for(lambda: json.loads(rootless("state", "mine").stdout)["status"] == "stopped")
    rootless("delete", "mine")
    assert rootless("list", "-q").stdout == ""


def test_limits_that_nobody_can_enforce_are_told(rootless: Rootless) -> None:
    rootless.configure("/bin/true", resources={"memory": {"limit": 1 << 20}})
    assert "limits are not enforced" in rootless("run", "mine").stderr


def test_without_a_user_namespace_it_is_refused_with_the_remedy(rootless: Rootless) -> None:
    rootless.configure("/bin/true", namespaces=[{"type": "mount"}], uidMappings=[], gidMappings=[])
    refused = rootless("run", "mine", check=False)
    assert (refused.returncode, "/linux/namespaces" in refused.stderr) == (1, True)
