"""The whole machine's CPU, from its account of the time."""

import time

from loadtests.probes.machine import MachineProbe, Times, read_times
from loadtests.probes.sample import Sample


def test_shares_are_those_since_the_round_before() -> None:
    """Worked and taken away, of all the time that passed; the first round knows nothing."""
    account = iter([Times(100, 10, 1000), Times(101, 10.5, 1002), Times(103, 10.5, 1004)])
    probe = MachineProbe(lambda: next(account))
    assert list(probe.read()) == []
    assert list(probe.read()) == [Sample("machine_cpu", None, 0.5), Sample("machine_steal", None, 0.25)]
    assert list(probe.read()) == [Sample("machine_cpu", None, 1.0), Sample("machine_steal", None, 0.0)]


def test_no_time_has_no_shares() -> None:
    """Two looks at the same account."""
    probe = MachineProbe(lambda: Times(1, 0, 10))
    assert [*probe.read(), *probe.read()] == []


def test_the_account_of_this_machine_adds_up() -> None:
    """Work of this process is work of the machine, and the whole is never less than its parts."""
    before, until = read_times(), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = read_times()
    assert after.busy > before.busy
    assert after.total - before.total >= after.busy - before.busy - 1e-6  # as floats have it, of sums since the machine began
