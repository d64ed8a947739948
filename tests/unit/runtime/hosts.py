"""Machines to compile for, without having them: v1, hybrid and v2, with all capabilities or without one."""

from corten.kernel.capabilities import Held
from corten.kernel.cgroups import Layout
from corten.kernel.probe import Host

ALL_CAPABILITIES = (1 << 41) - 1
UNLIMITED = (1 << 64) - 1

V1 = Layout.parse(
    "5:pids:/\n4:memory:/user\n3:cpu,cpuacct:/\n2:cpuset:/\n1:name=systemd:/\n",
    "30 20 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 20 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 20 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 20 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "34 20 0:34 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
)
HYBRID = Layout.parse(
    "3:memory:/\n2:devices:/\n1:pids:/\n0::/\n",
    "30 20 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 20 0:31 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n"
    "32 20 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "33 20 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
)
V2 = Layout.parse("0::/\n", "30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
FILES = {
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma",
    "/sys/fs/cgroup/cgroup.subtree_control": "cpuset cpu io memory hugetlb pids rdma",
    "/sys/fs/cgroup/unified/cgroup.controllers": "hugetlb",
    "/sys/fs/cgroup/unified/cgroup.subtree_control": "hugetlb",
    "/sys/fs/cgroup/cpuset/cpuset.cpus": "0-3",
    "/sys/fs/cgroup/cpuset/cpuset.mems": "0",
}


def host(layout: Layout = V2, *, without: int = 0, euid: int = 0, **more: object) -> Host:
    """A machine; `without` is a set of capabilities its root lacks, `euid` an ordinary user who has none at all.

    `more` are further facts: ``resctrl="/sys/fs/resctrl"``, ``apparmor=True``."""
    held = ALL_CAPABILITIES & ~without
    effective = held if euid == 0 else 0
    found = Host(
        machine="x86_64",
        release=(6, 18),
        euid=euid,
        egid=euid,
        held=Held(effective, effective, held),
        layout=layout,
        limits=((UNLIMITED, UNLIMITED),) * 7 + ((1024, 20000),) + ((UNLIMITED, UNLIMITED),) * 8,
        oom_score_adj=0,
        in_user_namespace=False,
        apparmor=False,
        apparmor_file="attr/apparmor/exec",
        selinux=False,
        resctrl="",
        files=FILES,
    )
    found.__dict__.update(more)
    return found
