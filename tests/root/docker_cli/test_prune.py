"""What `docker … prune` takes away and leaves."""

from pathlib import Path

from tests.root.engines import IMAGE, Engine


def test_prune_removes_what_is_unused(engine: Engine) -> None:
    engine.docker("run", "--name", "dead", IMAGE, "true")
    running = engine.running()
    assert "Total reclaimed space" in engine.out("system", "prune", "-f")
    assert engine.out("ps", "-aq", "--no-trunc") == running


def test_each_noun_is_pruned_by_itself(engine: Engine, tmp_path: Path) -> None:
    engine.docker("network", "create", "lonely")
    anonymous = engine.out("volume", "create")
    dead = engine.out("create", IMAGE, "true")
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nLABEL nobody=needs\n")
    dangling = engine.out("build", "-q", str(tmp_path))
    running = engine.running()
    assert dead in engine.out("container", "prune", "-f")
    assert "lonely" in engine.out("network", "prune", "-f")
    assert anonymous in engine.out("volume", "prune", "-f")
    assert dangling in engine.out("image", "prune", "-f")
    assert engine.out("ps", "-aq", "--no-trunc") == running
    assert engine.out("images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE
