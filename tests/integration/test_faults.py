"""Faults on schedule, against small real processes: each begins and ends, and nothing stays harmed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from loadtests.errors import RunError
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.family import freeze, send
from loadtests.orchestrate.faults import Faults
from loadtests.orchestrate.harm import harm_of
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.orchestrate.proxy import Front
from loadtests.scenario.system import Fault
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_lines
from tests.integration.test_proxy import ask, connect, echo, server
from tests.unit.texts import BASE, plan_of

TIMEOUT_S = 20.0
CHILD = "import time\nwhile True: time.sleep(0.05)"
# Its child is in a session of its own, as PostgreSQL's are.
SERVICE = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}], start_new_session=True)
print("up", flush=True)
{CHILD}
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@dataclass
class Scene:
    """A stack with one service, `api`, and a load that has just begun."""

    tmp_path: Path
    processes: ProcessManager
    managed: Managed
    said: list[str] = field(default_factory=list)
    fronts: dict[str, tuple[Front, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.tmp_path)

    def faults(self, *tables: str) -> Faults:
        """The faults of a plan with these tables, whose load begins now."""
        text = BASE + "".join(f'\n[[faults]]\nservice = "api"\n{table}\n' for table in tables)
        plan = plan_of(self.tmp_path, text)
        stack = Stack(None, {}, services={"api": (self.managed,)}, fronts=self.fronts)
        self.folder.event("start", 0.0, epoch=time.time())
        return Faults(plan, stack, self.processes, self.folder, self.said.append)

    def events(self) -> list[tuple[str, str | None]]:
        """Phase and trouble of the fault events so far."""
        events = read_lines(self.folder.file("events.jsonl"))
        return [(event["phase"], event.get("trouble")) for event in events if event["event"] == "fault"]

    def family(self) -> list[psutil.Process]:
        """The service's process and its child."""
        until(lambda: len(psutil.Process(self.managed.process.pid).children()) == 1)
        leader = psutil.Process(self.managed.process.pid)
        return [leader, *leader.children()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A service with a child."""
    with ProcessManager(tmp_path) as processes:
        managed = start(processes, tmp_path, SERVICE)
        yield Scene(tmp_path, processes, managed)
        send(freeze(managed.process.pid), signal.SIGKILL)  # the child would outlive it


def start(processes: ProcessManager, tmp_path: Path, code: str, grace_s: float = 10.0) -> Managed:
    """A process of this code, started through a link that a test may take away; returns when it says that it is up."""
    program = tmp_path / "python"
    if not program.exists():
        program.symlink_to(sys.executable)
    managed = processes.start("api", [str(program), "-c", code], env=dict(os.environ), grace_s=grace_s)
    processes.wait_ready(managed, lambda: managed.log_lines()[-1:] == ["up"], TIMEOUT_S, "it was up")
    return managed


def until(condition: Callable[[], object], step: Callable[[], object] = lambda: None) -> None:
    """Take a step again and again until the condition holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        step()
        time.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    """Whether it is there."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def stopped(process: psutil.Process) -> bool:
    """Whether SIGSTOP holds it."""
    return process.status() == psutil.STATUS_STOPPED


def test_a_killed_service_is_started_again(scene: Scene) -> None:
    """It dies with its child, is expected to be dead for as long as the fault says, and runs anew."""
    before = scene.family()
    faults = scene.faults('at = "0s"\nkind = "kill"\nlasts = "400ms"')
    until(scene.events, faults.poll)
    assert not any(map(runs, before)) and scene.managed.fate() == "was killed by SIGKILL"
    assert faults.expects(scene.managed)
    begun = time.monotonic()
    until(lambda: scene.managed.alive, faults.poll)
    assert time.monotonic() - begun > 0.3
    until(lambda: len(scene.events()) == 2, faults.poll)
    assert scene.events() == [("begin", None), ("end", None)]
    assert not faults.expects(scene.managed)
    assert [line.partition(": ")[2] for line in scene.said] == ["kill api", "kill api: over"]
    assert scene.family()[0].pid != before[0].pid


def test_a_restarted_service_gets_its_stop_signal(scene: Scene) -> None:
    """SIGTERM ends it; a child that outlives it is killed; it runs anew."""
    before = scene.family()
    faults = scene.faults('at = "0s"\nkind = "restart"')
    until(lambda: len(scene.events()) == 2, faults.poll)
    assert not any(map(runs, before))
    assert scene.managed.alive


def test_what_ignores_its_stop_signal_is_killed(tmp_path: Path) -> None:
    """A restart waits no longer than the grace time."""
    with ProcessManager(tmp_path) as processes:
        managed = start(processes, tmp_path, STUBBORN, grace_s=0.3)
        scene, before = Scene(tmp_path, processes, managed), managed.process
        faults = scene.faults('at = "0s"\nkind = "restart"')
        until(lambda: len(scene.events()) == 2, faults.poll)
        assert before.returncode == -signal.SIGKILL
        assert managed.alive and managed.process is not before


def test_a_frozen_service_goes_on(scene: Scene) -> None:
    """It and its child are stopped, then continued; nobody died, so nobody is expected to be dead."""
    family = scene.family()
    faults = scene.faults('at = "0s"\nkind = "freeze"\nlasts = "500ms"')
    until(scene.events, faults.poll)
    until(lambda: all(map(stopped, family)))
    assert not faults.expects(scene.managed)
    until(lambda: len(scene.events()) == 2, faults.poll)
    until(lambda: not any(map(stopped, family)))
    assert all(map(runs, family))


def test_the_end_of_the_load_ends_every_fault(scene: Scene) -> None:
    """What is frozen is continued and what was killed is started, though their time has not come; no fault begins any more."""
    family = scene.family()
    freezing = 'at = "0s"\nkind = "freeze"\nlasts = "1h"'
    faults = scene.faults(freezing, 'at = "9s"\nkind = "kill"')
    until(lambda: all(map(stopped, family)), faults.poll)
    faults.close()
    until(lambda: not any(map(stopped, family)))
    killing = scene.faults('at = "0s"\nkind = "kill"\nlasts = "1h"')
    until(lambda: not scene.managed.alive, killing.poll)
    killing.close()
    assert scene.managed.alive
    assert scene.events() == [("begin", None), ("end", None)] * 2


def test_a_killed_one_that_was_frozen_runs_anew(scene: Scene) -> None:
    """Faults that overlap on one service leave it running."""
    faults = scene.faults('at = "0s"\nkind = "freeze"\nlasts = "300ms"', 'at = "100ms"\nkind = "kill"\nlasts = "100ms"')
    until(lambda: len(scene.events()) == 4, faults.poll)
    assert scene.managed.alive
    assert not any(map(stopped, scene.family()))


def test_a_halted_load_ends_the_faults(scene: Scene) -> None:
    """The master's `halt` event ends those that are under way; the others never begin."""
    faults = scene.faults('at = "0s"\nkind = "kill"\nlasts = "1h"', 'at = "9s"\nkind = "kill"')
    until(scene.events, faults.poll)
    scene.folder.event("halt", 0.5, reason="interrupted")
    until(lambda: len(scene.events()) == 2, faults.poll)
    assert scene.managed.alive


def test_what_cannot_be_started_again_is_told(scene: Scene) -> None:
    """An event and a line say why, and the process stays dead."""
    (scene.tmp_path / "python").unlink()
    faults = scene.faults('at = "0s"\nkind = "kill"')
    until(lambda: len(scene.events()) == 2, faults.poll)
    trouble = f"api: {scene.tmp_path / 'python'} cannot be started: No such file or directory"
    assert scene.events()[1] == ("end", trouble)
    assert scene.said[-1] == f"fault: {trouble}"
    assert not scene.managed.alive and not faults.expects(scene.managed)


def test_a_slow_service_answers_late_for_a_while(scene: Scene) -> None:
    """The proxy in front of it delays what goes through, until the fault is over."""
    with server(echo) as port:
        front = Front(scene.processes, "proxy-api", port, scene.tmp_path)
        scene.fronts["api"] = (front,)
        with connect(front) as client:
            faults = scene.faults('at = "0s"\nkind = "slow"\ndelay = "200ms"\nlasts = "1500ms"')
            until(lambda: ask(client) >= 0.4, faults.poll)
            until(lambda: len(scene.events()) == 2, faults.poll)
            until(lambda: ask(client) < 0.2)


def test_a_proxy_that_died_is_told(scene: Scene) -> None:
    """The fault says that it could not be carried out."""
    with server(echo) as port:
        scene.fronts["api"] = (Front(scene.processes, "proxy-api", port, scene.tmp_path),)
        scene.processes.end(scene.processes.named("proxy-api"), signal.SIGKILL)
        faults = scene.faults('at = "0s"\nkind = "reset"\nshare = "50%"\nlasts = "1s"')
        until(lambda: len(scene.events()) == 2, faults.poll)
        assert scene.events()[1] == ("end", "proxy-api was killed by SIGKILL and cannot be told 'reset 0.5'")


def test_all_proxies_are_told_though_one_is_gone(scene: Scene) -> None:
    """Neither when the fault begins nor when it is undone does the first that died keep the others from hearing of it."""
    with server(echo) as port:
        fronts = [Front(scene.processes, f"proxy-api-{number}", port, scene.tmp_path) for number in (1, 2)]
        scene.fronts["api"] = tuple(fronts)
        scene.processes.end(scene.processes.named("proxy-api-1"), signal.SIGKILL)
        fault = Fault.model_validate({"at": "0s", "service": "api", "kind": "slow", "delay": "200ms", "lasts": "1s"})
        harm = harm_of(fault, Stack(None, {}, fronts=scene.fronts), scene.processes)
        gone = "proxy-api-1 was killed by SIGKILL and cannot be told 'delay 0.2'"
        with connect(fronts[1]) as client:
            with pytest.raises(RunError, match=gone):
                harm.begin(time.monotonic())
            until(lambda: ask(client) >= 0.4)
            with pytest.raises(RunError, match=r"'delay 0\.0'"):
                harm.undo()
            until(lambda: ask(client) < 0.2)


@pytest.mark.parametrize("kind", ["kill", "restart", "freeze"])
def test_what_is_dead_already_cannot_be_harmed(scene: Scene, kind: str) -> None:
    """The fault says that it was not carried out, and does not start what died of its own."""
    scene.family()
    send(freeze(scene.managed.process.pid), signal.SIGKILL)
    until(lambda: not scene.managed.alive)
    faults = scene.faults(f'at = "0s"\nkind = "{kind}"\nlasts = "1s"')
    until(lambda: len(scene.events()) == 2, faults.poll)
    trouble = "api was killed by SIGKILL before the fault, which was not carried out"
    assert scene.events() == [("begin", None), ("end", trouble)]
    assert not scene.managed.alive


def test_guardian_ends_what_is_frozen(tmp_path: Path) -> None:
    """When the run is killed in the middle of a freeze, the guardian continues its processes and ends them in order."""
    ended = tmp_path / "ended"
    handler = f"def end(*_):\n    open({str(ended)!r}, 'w').close()\n    sys.exit()\n"
    service = f"import signal, sys, time\n{handler}signal.signal(15, end)\nprint('up', flush=True)\n{CHILD}"
    code = (
        "import os, sys, time; from pathlib import Path; from loadtests.orchestrate.processes import ProcessManager\n"
        f"processes = ProcessManager(Path({str(tmp_path)!r}))\n"
        f"managed = processes.start('api', [sys.executable, '-c', {service!r}], env=dict(os.environ))\n"
        "processes.wait_ready(managed, lambda: managed.log_lines() == ['up'], 10, 'it was up')\n"
        "print(managed.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        (orphan,) = freeze(int(run.stdout.readline()))
        run.kill()
    until(lambda: not runs(orphan))
    assert ended.exists()
