"""Measuring: commands in shuffled rounds, the median of each, and the ratio to the fastest peer."""

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Measured", "measure", "spawn"]


@dataclass(frozen=True)
class Figure:
    """One run: wall seconds, and the peak memory in KiB of its largest process (0 where it has no meaning)."""

    seconds: float
    peak_kib: int = 0


@dataclass(frozen=True)
class Measured:
    """A row: the runs of each contender, by name; `better` says which way is good, `unit` what `value` counts."""

    row: str
    figures: dict[str, list[Figure]]
    unit: str = "ms"

    def value(self, name: str) -> float:
        runs = self.figures[name]
        if self.unit == "KiB":
            return statistics.median(run.peak_kib for run in runs)
        return 1000 * statistics.median(run.seconds for run in runs)

    def ratio(self, us: str) -> float | None:
        """Our median over the fastest peer's; below one is faster. None without us or without a peer."""
        peers = [self.value(name) for name in self.figures if not name.startswith("corten")]
        return self.value(us) / min(peers) if us in self.figures and peers else None


def spawn(command: Sequence[str], env: dict[str, str] | None = None) -> Figure:
    """Run `command` to its end with its output thrown away; raises RuntimeError on a failing status."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], list(command), env or dict(os.environ), file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{' '.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return Figure(seconds, usage.ru_maxrss)


def measure(row: str, contenders: dict[str, Callable[[], Figure]], rounds: int, unit: str = "ms") -> Measured:
    """Run each contender once to warm it, then `rounds` times, in a new random order each round."""
    for run in contenders.values():
        run()
    figures: dict[str, list[Figure]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            figures[name].append(contenders[name]())
    return Measured(row, figures, unit)
