"""CPU of the whole machine, from the kernel's own account of it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

from loadtests.probes.sample import Sample


class Times(NamedTuple):
    """Seconds of all cores together since the machine was started."""

    busy: float
    stolen: float
    """Given to other machines on the same hardware, while this one had work to do."""
    total: float


class MachineProbe:
    """`machine_cpu`, the share of all cores' time that was worked in, and `machine_steal`, the share that was taken away."""

    def __init__(self, times: Callable[[], Times] | None = None) -> None:
        self._times = times or read_times
        self._before: Times | None = None

    def read(self) -> Iterator[Sample]:
        """The shares (0 to 1) since the round before; nothing in the first round, nor when no time has passed."""
        now, before = self._times(), self._before
        self._before = now
        if before is not None and now.total > before.total:
            length_s = now.total - before.total
            # The kernel takes back a little of what it has counted as waiting for disks.
            yield Sample("machine_cpu", None, min(max((now.busy - before.busy) / length_s, 0.0), 1.0))
            yield Sample("machine_steal", None, min(max((now.stolen - before.stolen) / length_s, 0.0), 1.0))


def read_times() -> Times:
    """As they are now. Waiting for disks is idle time; guests' time is part of the time that their machine worked."""
    found = psutil.cpu_times()
    idle, stolen = found.idle + getattr(found, "iowait", 0.0), getattr(found, "steal", 0.0)
    busy = found.user + found.system + sum(getattr(found, name, 0.0) for name in ("nice", "irq", "softirq"))
    return Times(busy, stolen, busy + idle + stolen)
