"""Reports of a worker over a lossy channel arrive in the end. In a process of its own, for importing Locust patches it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, random, types
import gevent
from locust.env import Environment
from loadtests.engine import messages, reporting
from loadtests.engine.http.origin import Network
from loadtests.engine.recorder import Recorder
from loadtests.scenario.schema import Health

reporting.RESEND_AFTER_S = reporting.FAREWELL_INTERVAL_S = 0.05
taken, finals, handlers, luck = [], [], {}, random.Random(4)

class LossyRunner:
    # Loses two of three messages; acknowledges what it has without a gap, while the worker is still sending.
    def register_message(self, kind, handler):
        handlers[kind] = handler

    def send_message(self, kind, data):
        if luck.random() < 2 / 3:
            return
        gevent.sleep(0)
        if kind == messages.SNAPSHOT and data["number"] == len(taken):
            taken.append(data["number"])
        if kind == messages.FINAL and len(taken) == data["snapshots"]:
            finals.append(data)
        answer = {"number": len(taken) - 1, "final": bool(finals)}
        handlers[messages.RECEIVED](msg=types.SimpleNamespace(data=answer), environment=None)

reporter = reporting.Reporter(Environment(), LossyRunner())
crew = types.SimpleNamespace(
    worker=0, active=1, size=1, stream_digest=7, recorder=Recorder(0), network=Network(),
    clock=types.SimpleNamespace(now=lambda: 0.0), plan=types.SimpleNamespace(scenario=types.SimpleNamespace(health=Health())),
)
reporter._crew = crew
for _ in range(20):
    reporter._snapshot(crew)
    gevent.sleep(0.01)
reporter._finish(crew)
print(json.dumps({"taken": taken, "finals": len(finals), "kept": len(reporter._unacknowledged)}))
"""

REFUSED = """
import json, sys, types
from pathlib import Path
from locust.env import Environment
from loadtests.engine import messages, reporting
from loadtests.engine.http.origin import Network
from loadtests.engine.recorder import Recorder
from loadtests.measure.snapshot import Accepted
from loadtests.store.accepted import AcceptedWriter
from loadtests.store.folder import RunFolder

sent = []
runner = types.SimpleNamespace(register_message=lambda *_: None, send_message=lambda kind, data: sent.append((kind, data)))
reporter = reporting.Reporter(Environment(), runner)
crew = types.SimpleNamespace(
    worker=0, active=1, size=1, stream_digest=7, recorder=Recorder(0), network=Network(),
    clock=types.SimpleNamespace(now=lambda: 0.0),
)
reporter._crew, reporter._accepted = crew, AcceptedWriter(RunFolder(Path(sys.argv[1])), "0")
for task in "ab":
    crew.recorder.accepted(Accepted(task, 0, 0.0, 0.0))
    reporter._snapshot(crew)
faults = [data["trouble"] for kind, data in sent if kind == messages.FAULT]
print(json.dumps({"faults": faults}))
"""


CROWDED = """
import json, resource, sys, types
from pathlib import Path
from locust.env import Environment
from loadtests.engine import messages, reporting
from loadtests.scenario.load import load_plan

soft, hard, users = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
sent, handlers = [], {}
runner = types.SimpleNamespace(
    register_message=handlers.__setitem__, send_message=lambda kind, data: sent.append((kind, data))
)
environment = Environment()
reporting.Reporter(environment, runner)
plan = load_plan(Path(sys.argv[1])).to_json()
plan["scenario"]["load"]["users"] = users
told = {"plan": plan, "host": "http://127.0.0.1:1", "worker": 0, "workers": 1, "folder": "/nowhere", "run_id": "none"}
handlers[messages.PLAN](msg=types.SimpleNamespace(data=told), environment=None)
faults = [data["trouble"] for kind, data in sent if kind == messages.FAULT]
code = environment.process_exit_code
print(json.dumps({"faults": faults, "code": code, "soft": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}))
"""


@pytest.mark.parametrize(
    ("limits", "faults", "code", "soft"),
    [
        pytest.param((64, 4000), [], None, 700, id="the hard limit is high enough: it asks for what it needs"),
        pytest.param((64, 400), ["this worker needs 700 file descriptors, the limit is 400"], 2, 64, id="it is not: no load"),
    ],
)
def test_a_worker_sees_to_its_file_descriptors(limits: tuple[int, int], faults: list[str], code: int | None, soft: int) -> None:
    """It may be on another machine, or in a pod, whose limits the run knows nothing of."""
    command = [sys.executable, "-c", CROWDED, str(ROOT / "scenarios" / "smoke.toml"), *map(str, limits), "500"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["code"], result["soft"]) == (code, soft)
    assert [trouble.partition(" (")[0] for trouble in result["faults"]] == faults


def test_a_worker_whose_disk_refuses_tasks_says_so(tmp_path: Path) -> None:
    """Once: the master, which then loses it and ends the run, is told why."""
    (tmp_path / "worker.py").write_text(REFUSED)
    command = [sys.executable, str(tmp_path / "worker.py"), str(tmp_path / "no such folder")]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    (fault,) = result["faults"]
    assert "0.jsonl: cannot be written: No such file" in fault


def test_reports_heal(tmp_path: Path) -> None:
    """Two of three messages are lost, and the master's answers come while the worker sends: nothing is missing at the end."""
    (tmp_path / "worker.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "worker.py")]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["taken"] == list(range(21))
    assert result["finals"] >= 1
    assert result["kept"] == 0
