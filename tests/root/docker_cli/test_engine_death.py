"""The engine is killed while docker's command line looks on."""

import time

import pytest

from tests.root.engines import IMAGE, OTHER_HOST, Engine


@pytest.mark.skipif(bool(OTHER_HOST), reason="kills the engine")
def test_containers_logs_and_an_attached_client_survive_the_engines_death(engine: Engine) -> None:
    beat = ("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done")
    names = [engine.running(command=beat) for _ in range(3)]
    exits = engine.running(command=("sh", "-c", "sleep 2; exit 13"))
    attached = engine.popen("attach", "--sig-proxy=false", names[0])
    assert attached.stdout
    before = int(attached.stdout.readline())
    engine.kill()
    time.sleep(2.5)
    assert attached.poll() is None
    after = int(attached.stdout.readline())
    assert after >= before
    engine.start()
    assert set(engine.out("ps", "-q", "--no-trunc").split()) == set(names)
    assert engine.out("wait", exits) == "13"
    for name in names:
        lines = [int(line) for line in engine.out("logs", name).split()]
        assert lines == list(range(len(lines)))
        assert len(lines) > 20
    attached.kill()
    attached.communicate()


def test_fifty_at_once(engine: Engine) -> None:
    runs = [engine.popen("run", "--rm", IMAGE, "echo", str(number)) for number in range(50)]
    assert [run.communicate(timeout=100)[0].strip() for run in runs] == [str(number) for number in range(50)]
    assert engine.out("ps", "-aq") == ""
