"""Services and containers are watched by their processes, which end and come back."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.probing import make_probes
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.probes.containers import Container
from loadtests.probes.machine import MachineProbe
from loadtests.probes.process import GoneError, ProcessProbe
from loadtests.probes.sample import Gap
from loadtests.scenario.system import Probes
from tests.probing import eventually, values

IDLE = "import time; print('up', flush=True); time.sleep(600)"


def started(processes: ProcessManager, name: str) -> Managed:
    """A Python that idles, and is up."""
    managed = processes.start(name, [sys.executable, "-c", IDLE], env=dict(os.environ))
    processes.wait_ready(managed, lambda: "up" in managed.log_lines(), 30, "it is up")
    return managed


MACHINE = {"machine_cpu", "machine_steal", "machine_stack"}


def test_instances_are_told_apart_and_may_be_restarted(processes: ProcessManager) -> None:
    """The service's most, each instance's, and the machine's; one that was killed is a gap until it is there again."""
    one, two = (started(processes, f"api-{number}") for number in (1, 2))
    alone = started(processes, "relay")
    stack = Stack(None, {}, services={"api": (one, two), "relay": (alone,)})
    probe = make_probes(Probes(processes=("api", "relay")), stack).probes["processes"]
    first = values(probe.read())
    assert {selector for _, selector in first} == {"api", "api-1", "api-2", "relay"}
    assert {metric for metric, _ in first} == {"memory", "file_descriptors"}, "of the CPU nothing is known yet"
    assert first["file_descriptors", "api-1"] == psutil.Process(one.process.pid).num_fds()
    second = values(probe.read())
    assert second["memory", "api"] == max(second["memory", "api-1"], second["memory", "api-2"])
    assert 0 <= second["cpu", "api"] < 1
    # Rounds that follow each other within a tick of the kernel's clock know nothing of the whole machine.
    eventually(
        lambda: {metric for metric, selector in values(probe.read()) if selector is None} >= MACHINE, "the machine is seen"
    )
    processes.end(two, signal.SIGKILL)
    facts = list(probe.read())
    assert Gap("process api-2", "was killed by SIGKILL") in facts
    assert {selector for _, selector in values(facts)} - {None} == {"api", "api-1", "relay"}
    processes.restart(two)
    facts = list(probe.read())
    assert not [fact for fact in facts if isinstance(fact, Gap)]
    assert ("cpu", "api-2") not in values(facts) and ("memory", "api-2") in values(facts)
    assert ("cpu", "api-2") in values(probe.read())


def test_children_belong_to_their_service(processes: ProcessManager) -> None:
    """The busiest of the service's processes counts, whichever it is."""
    spin = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    managed = processes.start("api", [sys.executable, "-c", spin], env=dict(os.environ))
    probe = ProcessProbe({"api": {"api": lambda: managed.process.pid}}, MachineProbe())
    eventually(lambda: values(probe.read()).get(("cpu", "api"), 0.0) > 0.05, "the child is seen to work")
    eventually(lambda: values(probe.read()).get(("machine_stack", None), 0.0) > 0.01, "and as a part of the machine")


def test_all_instances_gone_is_no_zero(processes: ProcessManager) -> None:
    """A service without a process has no samples, only its gap; others go on."""
    one, other = started(processes, "api"), started(processes, "relay")
    stack = Stack(None, {}, services={"api": (one,), "relay": (other,)})
    probe = make_probes(Probes(processes=("api", "relay")), stack).probes["processes"]
    processes.end(one, signal.SIGTERM)
    facts = list(probe.read())
    assert {selector for _, selector in values(facts)} == {"relay"}
    assert [fact.what for fact in facts if isinstance(fact, Gap)] == ["process api"]


# Containers. The engine is the one thing here that tests bring along: a program with the answers of `docker inspect`.


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine that knows the container whose process id is in the file `pid`."""
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\necho "$*" >> "$(dirname "$0")/asked"\n[ "$7" = api ] && exec cat "$(dirname "$0")/pid"\n'
        'echo "Error: No such container: $7" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    return program


def test_container_is_watched_by_its_leader(processes: ProcessManager, engine: Path) -> None:
    """The engine is asked once for each life of the container: again only when its process is gone."""
    managed = started(processes, "inside")
    pid = engine.with_name("pid")
    pid.write_text(f"{managed.process.pid}\n")
    probe = ProcessProbe({"api": {"api": Container("api", [str(engine)])}})
    assert ("memory", "api") in values(probe.read())
    assert ("cpu", "api") in values(probe.read())
    assert engine.with_name("asked").read_text().splitlines() == ["inspect --type container -f {{.State.Pid}} -- api"]
    processes.end(managed, signal.SIGKILL)
    pid.write_text("0\n")
    assert list(probe.read()) == [Gap("process api", f"{engine}: api does not run")]
    processes.restart(managed)
    pid.write_text(f"{managed.process.pid}\n")
    assert ("memory", "api") in values(probe.read())


def test_container_that_nobody_knows(engine: Path, tmp_path: Path) -> None:
    """Each engine's own words."""
    container = Container("db", [str(engine), str(tmp_path / "podman")])
    with pytest.raises(GoneError) as caught:
        container()
    assert str(caught.value) == (f"{engine}: Error: No such container: db; {tmp_path / 'podman'}: No such file or directory")
