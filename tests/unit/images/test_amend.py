"""`--change` reads Dockerfile instructions as Docker's commit and import do."""

import pytest

from corten.images import amend
from corten.model.errors import InvalidArgument
from corten.model.image import Healthcheck, RunConfig

CASES = [
    ('CMD ["a", "b"]', RunConfig(cmd=["a", "b"])),
    ("cmd a b", RunConfig(cmd=["/bin/sh", "-c", "a b"])),
    ("CMD [a b]", RunConfig(cmd=["/bin/sh", "-c", "[a b]"])),
    ("ENTRYPOINT []", RunConfig(entrypoint=[])),
    ('ENV A=1 B="x y"', RunConfig(env=["A=1", "B=x y"])),
    ("ENV A the rest", RunConfig(env=["A=the rest"])),
    ("EXPOSE 80 53/udp", RunConfig(exposed_ports={"80/tcp": {}, "53/udp": {}})),
    ("EXPOSE 7000-7001", RunConfig(exposed_ports={"7000/tcp": {}, "7001/tcp": {}})),
    ("LABEL a=1 b=2", RunConfig(labels={"a": "1", "b": "2"})),
    ("ONBUILD RUN make", RunConfig(on_build=["RUN make"])),
    ("STOPSIGNAL SIGUSR1", RunConfig(stop_signal="SIGUSR1")),
    ("USER 1000:1000", RunConfig(user="1000:1000")),
    ('VOLUME ["/a b", "/c"]', RunConfig(volumes={"/a b": {}, "/c": {}})),
    ("VOLUME /a /c", RunConfig(volumes={"/a": {}, "/c": {}})),
    ("WORKDIR srv/../app", RunConfig(working_dir="/app")),
    ("HEALTHCHECK NONE", RunConfig(healthcheck=Healthcheck(test=["NONE"]))),
    (
        "HEALTHCHECK --interval=1m30s --retries=2 CMD curl x",
        RunConfig(healthcheck=Healthcheck(test=["CMD-SHELL", "curl x"], interval=90 * 10**9, retries=2)),
    ),
    ('SHELL ["bash", "-c"]', RunConfig(shell=["bash", "-c"])),
]


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_an_instruction_changes_its_field(change: str, expected: RunConfig) -> None:
    assert amend(RunConfig(), [change]) == expected


def test_changes_build_on_each_other() -> None:
    before = RunConfig(env=["A=1", "B=2"], cmd=["old"], labels={"x": "1"}, working_dir="/srv")
    after = amend(before, ["ENV B=3", "LABEL y=2", 'SHELL ["ash"]', "ENTRYPOINT run", "WORKDIR app"])
    assert after.env == ["A=1", "B=3"]
    assert after.labels == {"x": "1", "y": "2"}
    assert (after.entrypoint, after.cmd, after.working_dir) == (["ash", "run"], None, "/srv/app")


REFUSED = [
    "RUN make",
    "FROM x",
    "",
    "CMD",
    "ENV A",
    "ENV A=1 B",
    "EXPOSE http",
    "EXPOSE 0",
    "EXPOSE 80/icmp",
    "EXPOSE 90-80",
    "SHELL bash",
    "ONBUILD FROM x",
    "HEALTHCHECK CMD",
    "HEALTHCHECK --interval=5 CMD x",
    "HEALTHCHECK --colour=red CMD x",
    "LABEL 'a=1",
]


@pytest.mark.parametrize("change", REFUSED)
def test_a_wrong_change_is_an_invalid_argument(change: str) -> None:
    with pytest.raises(InvalidArgument):
        amend(RunConfig(), [change])
