"""`docker top`, `stats`, `events`, `info`, `version`, `system df`."""

import re
import time

from tests.root.engines import IMAGE, Engine, eventually


def test_top_and_stats_see_the_processes(engine: Engine) -> None:
    name = engine.running("-m", "64m")
    assert "sleep 1000" in engine.out("top", name)
    assert engine.out("top", name, "-o", "pid,comm").split()[-1] == "sleep"
    line = engine.out("stats", "--no-stream", "--format", "{{.ID}} {{.MemUsage}} {{.PIDs}}", name)
    assert re.fullmatch(rf"{name[:12]} \d.*B / 64MiB 1", line)


def test_events_tell_the_story_in_order(engine: Engine) -> None:
    since = str(int(time.time()))
    engine.docker("run", "--rm", "--name", "story", IMAGE, "sh", "-c", "exit 3", check=False)
    told = engine.out(
        "events",
        "--since",
        since,
        "--until",
        str(int(time.time()) + 1),
        "--filter",
        "container=story",
        "--format",
        "{{.Action}}",
    )
    actions = told.split()
    assert [action for action in actions if action in ("create", "attach", "start", "die", "destroy")] == [
        "create",
        "attach",
        "start",
        "die",
        "destroy",
    ]


def test_events_arrive_as_they_happen(engine: Engine) -> None:
    watch = engine.popen("events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    time.sleep(0.7)
    engine.docker("create", "--name", "seen", IMAGE, "true")
    assert watch.stdout
    assert watch.stdout.readline() == "create seen\n"
    watch.terminate()
    watch.communicate(timeout=10)


def test_info_and_version_describe_the_engine(engine: Engine) -> None:
    assert engine.out("info", "--format", "{{.OSType}}") == "linux"
    assert re.match(r"\d+\.\d+", engine.out("version", "--format", "{{.Server.APIVersion}}"))
    engine.running()
    assert engine.out("info", "--format", "{{.Containers}} {{.ContainersRunning}} {{.Images}}") == "1 1 1"
    assert "RECLAIMABLE" in engine.out("system", "df")


def test_stats_streams_a_line_a_second(engine: Engine) -> None:
    name = engine.running()
    watch = engine.popen("stats", "--format", "{{.Name}} {{.CPUPerc}}", "--no-trunc", name)
    assert watch.stdout
    shown = (line for line in watch.stdout if "%" in line)
    assert re.search(r"\d+\.\d+%", next(shown) + next(shown))
    watch.kill()  # an interrupt is not enough for docker 28, with whatever engine
    watch.communicate(timeout=10)


def test_system_df_counts_images_containers_and_volumes(engine: Engine) -> None:
    engine.docker("volume", "create", "counted")
    engine.running("-v", "counted:/data", command=("sh", "-c", "head -c 100000 /dev/zero > /data/x; sleep 1000"))
    try:
        rows = engine.out("system", "df", "--format", "{{.Type}}: {{.TotalCount}} {{.Active}}").splitlines()
        assert rows[:3] == ["Images: 1 1", "Containers: 1 1", "Local Volumes: 1 1"]
        eventually(lambda: re.search(r"counted\s+1\s+1\d\d(\.\d+)?kB", engine.out("system", "df", "-v")))
    finally:
        engine.remove_everything()
        engine.docker("volume", "rm", "counted")
