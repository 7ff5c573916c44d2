"""What can go wrong with a run: each ends with the right word, the right code, a balanced ledger and nothing left behind."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from loadtests.measure.histogram import Histogram
from loadtests.report.evidence import Evidence
from loadtests.store.folder import RunFolder
from tests.e2e.command import run
from tests.e2e.conftest import HOSTED, Target


def test_killed_worker_makes_the_run_invalid(target: Target, out: Path) -> None:
    """`kill -9` of a worker in the middle: exit code 3, `invalid`, the lost worker named, what is known still adds up."""
    arguments = (HOSTED, "--users", "30", "--duration", "20s", "--workers", "2", "--host", target.host)
    command = run(*arguments, out=out, env=target.env)
    command.wait_for_window(3)
    (victim,) = [one for one in command.processes("--worker") if one.environ()["LOADTEST_WORKER_NAME"] == "worker-2"]
    victim.kill()
    finished = command.finish()
    assert finished.code == 3, finished.output + finished.errors
    verdict = finished.json("verdict.json")
    assert verdict["verdict"] == "invalid"
    (workers,) = [check for check in verdict["health"] if check["name"] == "workers"]
    assert workers["status"] == "fail"
    assert "worker-2 stopped answering" in workers["observed_text"] and "SIGKILL" in workers["observed_text"]
    ledger = finished.json("ledger.json")
    assert ledger["balanced"], ledger["imbalances"]
    assert ledger["unreported"] > 0
    assert command.left_behind(within_s=2.0) == []


def test_interrupt_drains_and_marks_the_run(target: Target, out: Path) -> None:
    """Ctrl-C in the middle: exit code 130, an invalid and clearly marked run, drained, with a balanced ledger."""
    command = run(HOSTED, "--users", "30", "--duration", "60s", "--host", target.host, out=out, env=target.env)
    command.wait_for_window(3)
    command.process.send_signal(signal.SIGINT)
    finished = command.finish(timeout_s=30)
    assert finished.code == 130, finished.output + finished.errors
    verdict, ledger = finished.json("verdict.json"), finished.json("ledger.json")
    assert verdict["verdict"] == "invalid"
    (complete,) = [check for check in verdict["health"] if check["name"] == "complete"]
    assert "interrupted" in complete["observed_text"]
    assert [check["name"] for check in verdict["health"] if check["status"] == "fail"] == ["complete"]
    assert ledger["balanced"], ledger["imbalances"]
    assert ledger["turns"]["scheduled"] == ledger["requests"]["ok"] > 0
    assert command.left_behind(within_s=2.0) == []


@pytest.mark.alone  # counts PostgreSQL's shared memory on the whole machine
def test_interrupt_while_the_stack_starts(out: Path) -> None:
    """Ctrl-C before the load: exit code 130, one line, and the half-started stack is gone."""
    before = _shared_memory()
    command = run("phase5", "--users", "10", out=out)
    command.wait_for_process("postgres")
    command.process.send_signal(signal.SIGINT)
    finished = command.finish(timeout_s=30)
    assert finished.code == 130
    assert finished.errors.strip() == "loadtest: interrupted before the load started; everything was stopped"
    assert command.left_behind(within_s=2.0) == []
    assert _shared_memory() <= before, "PostgreSQL left its shared memory behind"


def test_interrupt_while_the_workers_connect(target: Target, out: Path) -> None:
    """Ctrl-C between the start of the processes and the start of the load: exit code 130, one line, no verdict."""
    command = run(HOSTED, "--users", "10", "--duration", "60s", "--host", target.host, out=out, env=target.env)
    deadline = time.monotonic() + 20
    while not list(out.glob("*/logs/worker-1.log")) and time.monotonic() < deadline:
        time.sleep(0.01)
    command.process.send_signal(signal.SIGINT)
    finished = command.finish(timeout_s=30)
    assert finished.code == 130, finished.output + finished.errors
    assert "PASS" not in finished.output
    assert command.left_behind(within_s=2.0) == []


@pytest.mark.alone  # counts PostgreSQL's shared memory on the whole machine
def test_nothing_survives_the_kill_of_the_command(out: Path) -> None:
    """`kill -9` of the command itself: within seconds neither stack nor workers nor their data are left."""
    command = run("smoke", "--duration", "30s", out=out)
    command.wait_for_window(1)
    for part in ("postgres", "valkey", "granian", "app.workers.relay", "celery", "--master", "--worker", "guardian"):
        assert command.processes(part), part
    before = _shared_memory()
    command.process.kill()
    command.process.wait()
    assert command.left_behind(within_s=20.0) == []
    assert list(command.state.glob("*")) == []
    assert len(_shared_memory()) < len(before), "PostgreSQL left its shared memory behind"


def test_slow_list_fails_its_objective(out: Path) -> None:
    """A stack made slow by a setting: exit code 1, and the missed objective with its limit and the observed value."""
    command = run("phase5", "--users", "20", "--duration", "6s", out=out, env={"FAULT_LIST_DELAY_MS": "400"})
    finished = command.finish()
    assert finished.code == 1, finished.output + finished.errors
    verdict = finished.json("verdict.json")
    missed = {result["name"]: result for result in verdict["objectives"] if result["status"] == "fail"}
    assert verdict["verdict"] == "fail" and "response_p95" in missed
    assert missed["response_p95"]["limit"] == 0.2 and missed["response_p95"]["observed"] >= 0.4
    assert "response_time.p95 < 200 ms" in finished.output and "VERDICT: FAIL" in finished.output
    assert finished.json("ledger.json")["balanced"]
    assert command.left_behind(within_s=2.0) == []


def test_stall_shows_in_response_time(target: Target, out: Path) -> None:
    """The API frozen for 3 s: requests that were due meanwhile count their whole wait, though few were under way."""
    command = run(HOSTED, "--users", "30", "--duration", "12s", "--host", target.host, out=out, env=target.env)
    command.wait_for_window(4)
    instances = [one.process.pid for one in target.stack.services["api"]]
    children = [pid for one in instances for pid in (one, *(child.pid for child in _children(one)))]
    for pid in children:
        _signal(pid, signal.SIGSTOP)
    time.sleep(3.0)
    for pid in children:
        _signal(pid, signal.SIGCONT)
    finished = command.finish()
    assert finished.code == 1, finished.output + finished.errors
    total = finished.json("summary.json")["total"]
    # 3 of 12 s were frozen and a user asks once a second: a wait of w < 3 s is exceeded by (3 - w) / 12 of all requests.
    assert total["response_time_ms"]["p99"] > 2000
    assert total["response_time_ms"]["p90"] > 800
    # A user has one request in flight, so from the send at most 30 took longer than 1 s. From due, so did every turn of the
    # freeze's first two seconds: about 60. How long the others took is the machine's business, not this test's.
    series = Evidence.of(RunFolder(finished.folder)).total
    assert _longer_than_1s(series.service_time) <= 30
    assert _longer_than_1s(series.response_time) >= 50
    assert finished.json("ledger.json")["balanced"]


def _longer_than_1s(histogram: Histogram) -> int:
    return sum(count for value_us, count in histogram.values() if value_us > 1_000_000)


def _shared_memory() -> set[str]:
    return {file.name for file in Path("/dev/shm").glob("PostgreSQL.*")}


def _children(pid: int) -> list["psutil.Process"]:
    return psutil.Process(pid).children(recursive=True)


def _signal(pid: int, number: int) -> None:
    psutil.Process(pid).send_signal(number)
