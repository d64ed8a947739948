"""What CRIU is told, without CRIU."""

import pytest

from corten.model.errors import InvalidArgument, NotFound
from corten.runtime import criu
from corten.runtime.feature_report import features

IMAGES = criu.Images("/images", "/work")
SAVED = {"mounts": {"/data": "/srv/data", "/proc/keys": "/dev/null"}, "streams": ["file[18:74]", "pipe:[7]", ""]}
MOUNTINFO = """\
20 1 0:30 /bundle/rootfs / rw - ext4 /dev/sda rw
21 20 0:40 / /proc rw - proc proc rw
22 21 0:40 /sys /proc/sys ro - proc proc rw
23 21 0:6 /null /proc/keys rw - devtmpfs devtmpfs rw
24 20 0:30 /srv/data /data rw - ext4 /dev/sda rw
25 20 0:50 /x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
26 20 0:51 /x /sys/fs/cgroup rw - cgroup2 cgroup2 rw
27 20 0:60 / /dev rw - tmpfs tmpfs rw
"""


def test_mounts_of_the_host_are_external_and_the_containers_own_are_not() -> None:
    externals = criu.external_mounts(MOUNTINFO)
    assert externals == ["/proc/keys", "/data"]
    spec = {"ociVersion": "1.0.0", "mounts": [{"destination": "/data", "source": "data", "options": ["bind"]}]}
    assert criu.sources(spec, "/bundle", externals) == {"/proc/keys": "/dev/null", "/data": "/bundle/data"}  # type: ignore[arg-type]


def test_a_dump_names_what_is_outside() -> None:
    words = criu.dump(7, IMAGES, {"leave-running": "true"}, freezer="/freezer", saved=SAVED)
    text = " ".join(words)
    assert text.startswith("dump --tree 7 --images-dir /images --work-dir /work --log-file dump.log")
    for part in (
        " -R ",
        "--manage-cgroups=soft",
        "--freeze-cgroup /freezer",
        "--external mnt[/data]:/data",
        "--external file[18:74]",
    ):
        assert part in f"{text} "


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("tcp-established", "true", "--tcp-established"),
        ("tcp-skip-in-flight", "true", "--skip-in-flight"),
        ("link-remap", "true", "--link-remap"),
        ("ext-unix-sk", "true", "--ext-unix-sk"),
        ("shell-job", "true", "--shell-job"),
        ("file-locks", "true", "--file-locks"),
        ("auto-dedup", "true", "--auto-dedup"),
        ("lazy-pages", "true", "--lazy-pages"),
        ("page-server", "10.0.0.1:77", "--page-server --address 10.0.0.1 --port 77"),
        ("status-fd", "9", "--status-fd 9"),
        ("manage-cgroups-mode", "strict", "--manage-cgroups=strict"),
        ("empty-ns", "network", "--empty-ns net"),
    ],
)
def test_each_flag_has_crius_name(flag: str, value: str, expected: str) -> None:
    assert expected in " ".join(criu.dump(7, IMAGES, {flag: value}, freezer="", saved=SAVED))


def test_a_pre_dump_goes_before_one_that_names_it() -> None:
    assert criu.dump(7, IMAGES, {"pre-dump": "true"}, freezer="", saved=SAVED)[0] == "pre-dump"
    second = criu.Images("/images", "/work", "../first")
    assert "--prev-images-dir ../first" in " ".join(criu.dump(7, second, {}, freezer="", saved=SAVED))


@pytest.mark.parametrize("flags", [{"manage-cgroups-mode": "magic"}, {"empty-ns": "pid"}, {"page-server": "nowhere"}])
def test_a_wrong_value_is_refused(flags: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        criu.dump(7, IMAGES, flags, freezer="", saved=SAVED)


def test_a_restore_gives_the_outside_back() -> None:
    flags = {"lsm-profile": "apparmor:x", "tcp-close": "true"}
    text = " ".join(criu.restore(IMAGES, flags, root="/root", pid_file="/pid", saved=SAVED))
    for part in (
        "--root /root --pidfile /pid --restore-detached --restore-sibling",
        "--external mnt[/data]:/srv/data",
        "--inherit-fd fd[0]:file[18:74] --inherit-fd fd[1]:pipe:[7]",
        "--lsm-profile apparmor:x",
        "--tcp-close",
    ):
        assert part in text
    assert "fd[2]" not in text


def test_without_criu_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFound, match="criu is not installed") as caught:
        criu.found("")
    assert "apt install criu" in caught.value.hint
    assert features()["annotations"]["io.corten.checkpoint.enabled"] == "false"
