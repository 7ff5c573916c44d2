"""The process manager and its guardian, with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loadtests.errors import InterruptedRun, NotReadyError
from loadtests.orchestrate.processes import ProcessManager

ENV = dict(os.environ)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_stops_in_reverse_order_and_with_children(tmp_path: Path) -> None:
    """Leaving the manager ends every process group, the last started first, children included."""
    order = tmp_path / "order"
    note = "import signal, sys, time\ndef end(*_):\n    open({!r}, 'a').write({!r})\n    sys.exit()\nsignal.signal(15, end)\n"
    note += "open({!r}, 'w').close()\nwhile True: time.sleep(0.05)"
    with ProcessManager(tmp_path) as processes:
        for name in "ab":
            ready = tmp_path / f"{name}.ready"
            managed = processes.start(name, _python(note.format(str(order), name, str(ready))), env=ENV)
            processes.wait_ready(managed, ready.exists, 10, "it was up")
        family = processes.start("family", _python(FAMILY), env=ENV)
        processes.wait_ready(family, lambda: bool(psutil.Process(family.process.pid).children()), 10, "it had a child")
        (child,) = psutil.Process(family.process.pid).children()
    assert order.read_text() == "ba"
    assert not _runs(child)


def test_kills_what_ignores_the_stop_signal(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after its grace time."""
    with ProcessManager(tmp_path) as processes:
        managed = processes.start("stubborn", _python(STUBBORN), env=ENV, grace_s=0.3)
        processes.wait_ready(managed, lambda: managed.log_lines() == ["up"], 10, "it was up")
    assert managed.fate() == "was killed by SIGKILL"


def test_not_ready_says_why(tmp_path: Path) -> None:
    """A process that ends before it is ready is reported with its exit code and the end of its log."""
    with ProcessManager(tmp_path) as processes:
        managed = processes.start("broken", _python("import sys; print('no database'); sys.exit(7)"), env=ENV)
        with pytest.raises(NotReadyError, match=r"broken ended with exit code 7 before it answered(.|\n)*broken: no database"):
            processes.wait_ready(managed, lambda: False, 10, "it answered")


def test_not_ready_in_time(tmp_path: Path) -> None:
    """A process that never becomes ready is given up after the time that was allowed."""
    with ProcessManager(tmp_path) as processes:
        managed = processes.start("slow", _python("import time; time.sleep(60)"), env=ENV)
        with pytest.raises(NotReadyError, match="slow: not ready after 0 s: it answered"):
            processes.wait_ready(managed, lambda: False, 0.2, "it answered")


def test_a_signal_interrupts_waiting(tmp_path: Path) -> None:
    """Once a signal was noted, every wait gives up."""
    with ProcessManager(tmp_path) as processes:
        processes.interrupted = signal.SIGINT
        with pytest.raises(InterruptedRun):
            processes.run("sleep", _python("import time; time.sleep(60)"), env=ENV)


def test_guardian_ends_what_a_killed_run_left(tmp_path: Path) -> None:
    """When the run is killed with -9, the guardian ends its groups, the stubborn ones too, and removes its folders."""
    folder = tmp_path / "state of it"
    folder.mkdir()
    code = (
        "import os, sys, time; from pathlib import Path; from loadtests.orchestrate.processes import ProcessManager\n"
        f"processes = ProcessManager(Path({str(tmp_path)!r})); processes.guardian.remove(Path({str(folder)!r}))\n"
        f"managed = processes.start('stubborn', [sys.executable, '-c', {STUBBORN!r}], env=dict(os.environ))\n"
        "processes.wait_ready(managed, lambda: managed.log_lines() == ['up'], 10, 'it was up')\n"
        "print(managed.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(_python(code), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        orphan = psutil.Process(int(run.stdout.readline()))
        run.kill()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and (_runs(orphan) or folder.exists()):
        time.sleep(0.05)
    assert not _runs(orphan)
    assert not folder.exists()
