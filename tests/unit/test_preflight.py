"""What a run finds of its machine."""

import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.errors import InterruptedRun, RunError
from loadtests.orchestrate.preflight import usable_cores
from loadtests.orchestrate.run import Options, Run
from tests.unit.texts import plan_of


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        pytest.param("max 100000\n", 64, id="none"),
        pytest.param("400000 100000\n", 4, id="four"),
        pytest.param("50000 100000\n", 1, id="half of one"),
        pytest.param("9900000 100000\n", 64, id="more than there are"),
        pytest.param(None, 64, id="no control groups"),
    ],
)
def test_a_container_has_the_cores_that_it_may_use(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its quota, or by those that it is bound to."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_a_run_that_broke_after_it_was_interrupted_was_interrupted(tmp_path: Path) -> None:
    """Else a night would go on after Ctrl-C."""
    run = Run(plan_of(tmp_path), Options(tmp_path, 1, "none", "wheels"), Console(quiet=True))

    def broken(*signals: signal.Signals) -> None:
        with run._interruptions.handled(RunError):
            for number in signals:
                os.kill(os.getpid(), number)
            raise RunError("gone")

    with pytest.raises(RunError, match=r"^gone$"):
        broken()
    with pytest.raises(InterruptedRun, match="interrupted; gone"):
        broken(signal.SIGINT)
