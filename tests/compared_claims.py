"""python -m tests.compared_claims: the rows of claims.toml whose test compares a request with docker's, and no effect.

Such a row is as good as the effect of the API's field, which has a row of its own; a flag that shapes a container is
worth a look from inside all the same, so for `create`, `run`, `update` and `exec` only `EXCEPT` may stay so.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EXCEPT", "compared", "unseen"]

COMPARING = "tests/conformance/test_requests.py"
LOOKED_AT = ("create", "run", "update", "exec")
EXCEPT = {
    "blkio-weight": "no kernel here has it; its warning is tested by the API's field",
    "blkio-weight-device": "no kernel here has it; its warning is tested by the API's field",
    "cpu-rt-period": "needs a kernel with real-time groups",
    "cpu-rt-runtime": "needs a kernel with real-time groups",
    "detach-keys": "an effect on a terminal: tests/conformance/test_terminal.py",
    "gpus": "needs a device driver that no test machine has",
    "isolation": "has one value on Linux, which is the default",
    "platform": "chooses an image: tests/unit/images",
    "runtime": "has one value, which is the default",
    "storage-opt": "needs a file system with project quotas",
    "oom-kill-disable": "does not exist in cgroup v2",
    "memory-swappiness": "does not exist in cgroup v2",
}


def compared() -> Iterator[tuple[str, str]]:
    """Command and flag of each such row."""
    claims = tomllib.loads((Path(__file__).parent / "claims.toml").read_text())
    for command, rows in claims["cli"].items():
        for flag, row in rows.items():
            if row.get("works", "").startswith(COMPARING):
                yield command, flag


def unseen() -> list[str]:
    """Those of `LOOKED_AT` that nothing excuses."""
    return [f"{command} --{flag}" for command, flag in compared() if command in LOOKED_AT and flag not in EXCEPT]


if __name__ == "__main__":
    print("\n".join(f"{command} --{flag}" for command, flag in compared()))
