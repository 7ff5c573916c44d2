"""Signals that should end a run: counted, passed on, and what they make of its errors."""

import os
import signal
from pathlib import Path

import pytest

from loadtests.errors import InterruptedRun, NotReadyError, RunError
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.signals import Interruptions


def test_a_run_that_broke_after_it_was_interrupted_was_interrupted() -> None:
    """Else a night would go on after Ctrl-C. Errors that were not named stay as they are, and the handlers come back."""
    before = signal.getsignal(signal.SIGINT)

    def broken(error: Exception, *signals: signal.Signals) -> None:
        with Interruptions().handled(RunError):
            for number in signals:
                os.kill(os.getpid(), number)
            raise error

    with pytest.raises(RunError, match=r"^gone$"):
        broken(RunError("gone"))
    with pytest.raises(InterruptedRun, match="interrupted; gone"):
        broken(RunError("gone"), signal.SIGINT)
    with pytest.raises(NotReadyError, match=r"^down$"):
        broken(NotReadyError("down"), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_no_signal_is_lost(tmp_path: Path) -> None:
    """One that comes while there are no processes yet ends their first wait; those after it do too."""
    interruptions = Interruptions()
    with interruptions.handled(), ProcessManager(tmp_path) as processes:
        os.kill(os.getpid(), signal.SIGHUP)
        interruptions.tell(processes)
        with pytest.raises(InterruptedRun):
            processes.pause(0)
        os.kill(os.getpid(), signal.SIGINT)
        assert processes.interrupted is signal.SIGINT
    assert interruptions.received == [signal.SIGHUP, signal.SIGINT]
