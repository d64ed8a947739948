"""Dockerfile to graph: what each instruction means, and what makes two builds the same."""

import pytest

from corten.build import graph
from corten.build.dockerfile import DockerfileError, parse
from corten.build.lower import Base, Lowered, Options, lower
from corten.model.errors import NotFound
from corten.model.platform import Platform

BASES = {
    "base": Base(
        "sha256:1", "chain-1", {"Env": ["PATH=/bin", "HOME=/root"], "Cmd": ["sh"], "Labels": {"from": "base"}}
    ),
    "trigger": Base("sha256:2", "chain-2", {"OnBuild": ["COPY . /src", "RUN make"]}),
}


def resolve(name: str, _: Platform) -> Base:
    if name not in BASES:
        raise NotFound(f"No such image: {name}")
    return BASES[name]


def lowered(text: str, **options: object) -> Lowered:
    return lower(parse(text), Options(**options), resolve)  # type: ignore[arg-type]


def op(text: str, **options: object) -> graph.Op:
    return lowered(text, **options).vertex.op


def test_run_takes_the_shell_environment_user_and_directory() -> None:
    text = 'FROM base\nARG A=1\nENV B=2\nWORKDIR /w\nWORKDIR x\nUSER me\nSHELL ["/bin/ash", "-e"]\nRUN echo $A $B\n'
    run = op(text)
    assert isinstance(run, graph.Exec)
    assert run.args == ("/bin/ash", "-e", "echo $A $B")
    assert run.env == ("A=1", "PATH=/bin", "HOME=/root", "B=2")
    assert (run.cwd, run.user) == ("/w/x", "me")


def test_a_stage_inherits_the_shell_of_the_stage_below_it() -> None:
    run = op('FROM base AS a\nSHELL ["/bin/ash", "-e"]\nFROM a\nRUN x\n')
    assert isinstance(run, graph.Exec)
    assert run.args == ("/bin/ash", "-e", "x")


def test_env_beats_arg_and_a_line_sees_the_values_before_it() -> None:
    result = lowered("FROM base\nARG X=arg\nENV X=env\nENV X=new Y=$X\nLABEL l=$X$Y\n", build_args={"X": "given"})
    assert result.config["Env"] == ["PATH=/bin", "HOME=/root", "X=new", "Y=env"]
    assert result.config["Labels"] == {"from": "base", "l": "newenv"}


def test_global_arguments_name_the_base_and_need_declaring_inside() -> None:
    text = "ARG IMAGE=base\nFROM $IMAGE\nARG IMAGE\nARG TARGETARCH\nLABEL a=$IMAGE b=$TARGETARCH c=$TARGETOS\n"
    assert lowered(text).config["Labels"] == {"from": "base", "a": "base", "b": "amd64", "c": ""}


def test_an_entrypoint_drops_the_inherited_command_only() -> None:
    assert "Cmd" not in lowered('FROM base\nENTRYPOINT ["a"]\n').config
    assert lowered('FROM base\nCMD ["x"]\nENTRYPOINT ["a"]\n').config["Cmd"] == ["x"]


def test_only_what_the_target_needs_is_lowered() -> None:
    text = "FROM absent AS a\nRUN x\nFROM base AS b\nRUN y\nFROM b AS c\nRUN z\n"
    result = lowered(text)
    runs = [v.op.args[-1] for v in graph.walk(result.vertex) if isinstance(v.op, graph.Exec)]
    assert runs == ["y", "z"]
    with pytest.raises(NotFound, match="target stage 'nope'"):
        lowered(text, target="nope")


def test_copy_from_a_stage_stands_on_it() -> None:
    result = lowered("FROM base AS b\nRUN make\nFROM scratch\nCOPY --from=b --chown=1 /out /a /bin/\n")
    copy = result.vertex.op
    assert isinstance(copy, graph.Copy)
    assert copy == graph.Copy(("/out", "/a"), "/bin/", chown="1")
    target, origin = result.vertex.inputs
    assert isinstance(target.op, graph.Scratch)
    assert isinstance(origin.op, graph.Exec)


def test_the_digest_is_the_meaning_not_the_text() -> None:
    first = lowered("FROM base\nRUN  a\n").vertex
    second = lowered("# other\nFROM base AS x\n\nRUN a\n").vertex
    third = lowered("FROM base\nENV A=1\nRUN a\n").vertex
    assert first.digest == second.digest != third.digest


def test_a_moved_base_is_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lowered("FROM base\nRUN a\n").vertex.digest
    monkeypatch.setitem(BASES, "base", Base("sha256:9", "chain-9", BASES["base"].config))
    assert lowered("FROM base\nRUN a\n").vertex.digest != before


def test_proxies_do_not_count_but_are_not_unused() -> None:
    assert lowered("FROM base\n", build_args={"http_proxy": "x"}).warnings == ()
    assert "were not consumed" in lowered("FROM base\n", build_args={"NOPE": "x"}).warnings[0]


def test_triggers_of_the_base_run_first_and_are_not_inherited() -> None:
    result = lowered("FROM trigger\nRUN last\n")
    ops = [type(v.op).__name__ for v in graph.walk(result.vertex)]
    assert ops == ["Image", "Context", "Copy", "Exec", "Exec"]
    assert "OnBuild" not in result.config


def test_here_documents_become_files_and_scripts() -> None:
    run = op("FROM base\nRUN <<EOF\na\nb\nEOF\n")
    assert isinstance(run, graph.Exec)
    assert run.args == ("/bin/sh", "-c", "a\nb\n")
    cat = op("FROM base\nRUN cat <<X\n$HOME\nX\n")
    assert isinstance(cat, graph.Exec)
    assert cat.args[-1] == "cat <<X\n$HOME\nX\n"
    result = lowered("FROM base\nENV A=1\nCOPY <<f <<'g' /d/\n$A \"q\" 's'\nf\n$A\ng\n")
    write = result.vertex.inputs[1].op
    assert write == graph.Write((("f", "1 \"q\" 's'\n"), ("g", "$A\n")))


def test_mounts_name_what_they_show() -> None:
    flags = "--mount=from=b,target=/m --mount=type=cache,target=c --mount=type=secret,id=s"
    result = lowered(f"FROM base AS b\nFROM base\nRUN {flags} x\n")
    run = result.vertex.op
    assert isinstance(run, graph.Exec)
    bind, cache, secret = run.mounts
    assert (bind.type, bind.target, bind.readonly) == ("bind", "/m", True)
    assert (cache.target, cache.id, cache.sharing, cache.input) == ("/c", "/c", "shared", -1)
    assert (secret.target, secret.id) == ("/run/secrets/s", "s")


def test_expose_volume_and_healthcheck_reach_the_config() -> None:
    text = "FROM base\nEXPOSE 80 53/UDP 8000-8001\nVOLUME /a /b\nHEALTHCHECK --retries=2 CMD true\nSTOPSIGNAL SIGINT\n"
    config = lowered(text).config
    assert list(config["ExposedPorts"]) == ["80/tcp", "53/udp", "8000/tcp", "8001/tcp"]  # type: ignore[call-overload]
    assert config["Volumes"] == {"/a": {}, "/b": {}}
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Retries": 2}
    assert config["StopSignal"] == "SIGINT"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("ARG X\nFROM $X\n", 2, "should not be blank"),
        ("FROM base\nCOPY a b /c\n", 2, "must be a directory and end with a /"),
        ("FROM base\nEXPOSE 99999\n", 2, "invalid containerPort: 99999"),
        ("FROM base\nLABEL a=${\n", 2, "missing variable name"),
        ("FROM base\nARG S=b\nRUN --mount=from=$S,target=/x y\n", 3, "not replaced in from="),
        ("FROM base\nRUN --security=insecure x\n", 2, "entitlement"),
        ("FROM base\nRUN --mount=type=cache,target=/c,mode=89 x\n", 2, "invalid value '89' for mode"),
        ("FROM base\nRUN --mount=type=cache,target=/c,uid=4294967296 x\n", 2, "'4294967296' for uid"),
        ("FROM base\nRUN --mount=type=tmpfs,target=/c,size=many x\n", 2, "invalid value 'many' for size"),
        ("FROM base AS a\nCOPY --from=a x /x\n", 2, "circular dependency detected on stage: a"),
        ("FROM base AS a\nCOPY --from=b x /x\nFROM a AS b\n", 2, "circular dependency detected on stage: b"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DockerfileError, match=words) as caught:
        lowered(text)
    assert caught.value.at.first == line
