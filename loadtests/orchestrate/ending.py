"""How a load has ended, from the master's exit code and the run's folder: whether there is anything to judge."""

from loadtests.errors import InterruptedRun, NotReadyError, RunError
from loadtests.orchestrate.gathering import Crowd, who_came
from loadtests.orchestrate.processes import Managed
from loadtests.store.folder import RunFolder, start_of
from loadtests.store.records import read_lines

FATAL = "loadtest: fatal: "
"""How the master's log begins a line that says why it gave up."""


def check_end(folder: RunFolder, master: Managed, crowd: Crowd, workers: int, interrupted: bool) -> None:
    """Raise what the master's exit code says; a run that has a record is judged by that, however the master ended.

    `workers` is how many were expected, those of the crowd among them.
    """
    if trouble := troubles(folder):
        raise NotReadyError(f"the users are not ready: {trouble[0]}")
    if start_of(folder) is None:
        if interrupted:
            raise InterruptedRun("interrupted before the load started; everything was stopped")
        absent = who_came(read_lines(folder.file("events.jsonl")), workers, crowd.wait_s)
        if crowd.remote and absent:
            raise RunError(absent)
        raise RunError(f"master {master.fate()} before the load started (log: {master.log})\n{master.tail()}")
    fatal = [line.removeprefix(FATAL) for line in master.log_lines() if line.startswith(FATAL)]
    if fatal:
        raise RunError(fatal[-1])
    if master.process.returncode != 0:
        folder.event("process_ended", None, name=master.name, fate=master.fate())


def troubles(folder: RunFolder) -> list[str]:
    """Why users are not ready, worker by worker; the master, which wrote it, ends the workers and then itself."""
    events = read_lines(folder.file("events.jsonl"))
    return [f"{event['worker']}: {event['trouble']}" for event in events if event["event"] == "not_ready"]
