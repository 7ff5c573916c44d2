"""Master and worker of the real channel, in a process of their own, for importing Locust patches it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.command import free_port

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, sys
import gevent
from locust.env import Environment
from locust.rpc import Message, rpc
from locust.runners import STATE_RUNNING
from loadtests.engine.channel import MasterSocket, WorkerSocket
from loadtests.engine.gate import JOIN, GatedMaster
from loadtests.engine.joining import JoiningWorker
from loadtests.store.build import this_build

rpc.Server, rpc.Client = MasterSocket, WorkerSocket
port, told, out = int(sys.argv[1]), [], {}
master = GatedMaster(Environment(), "127.0.0.1", port)
master.happened = lambda kind, details: told.append([kind, details["name"], details.get("why")])

def say(node, kind, data=None):
    master.handle_message(node, Message(kind, data, node))

def join(node):
    say(node, JOIN, {"name": node, "build": this_build()})
"""
END = """
print(json.dumps({**out, "told": told}))
"""
LEAVES = """
started = []
master.start = lambda *_, **__: started.append(1)
join("a"), join("b")
say("a", "quit")
out["waiting"] = list(master.clients)
say("a", "heartbeat", {})
master.state = STATE_RUNNING
say("b", "quit"), say("b", JOIN, "2.0")
out["loading"], out["started"] = list(master.clients), len(started)
"""
ODD = """
for build in (None, 7, ["locust"], "locust"):
    say("odd", JOIN, {"name": "odd", "build": build})
say("plain", JOIN, "2.43.0"), say("none", JOIN)
out["clients"] = list(master.clients)
"""
GIVEN_UP = """
worker = JoiningWorker(Environment(), "127.0.0.1", port)
(node,) = master.clients
master.turn_away(node)
for _ in range(5):
    worker.send_message("heartbeat", {})
gevent.sleep(1)
out["code"] = worker.environment.process_exit_code
"""


def _play(script: str) -> tuple[dict[str, Any], str]:
    """What a script found, and what it wrote to stderr."""
    command = [sys.executable, "-c", BEGIN + script + END, str(free_port())]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, done.stderr


def test_a_worker_that_leaves() -> None:
    """It is gone, the master stays; Locust, which would give its users to the others, does not hear of it."""
    found, _ = _play(LEAVES)
    assert (found["waiting"], found["loading"], found["started"]) == (["b"], [], 0)
    assert found["told"] == [["worker_joined", "a", None], ["worker_joined", "b", None], ["worker_left", "a", None]]


def test_odd_words_at_the_door() -> None:
    """Whoever says no build is of another one, and nothing breaks."""
    found, _ = _play(ODD)
    assert found["clients"] == []
    assert {kind for kind, _, _ in found["told"]} == {"worker_refused"}


def test_a_worker_that_is_given_up_says_so_once() -> None:
    """However many of its messages are answered with that."""
    found, errors = _play(GIVEN_UP)
    assert errors.count("ends its load: refused by the master") == 1
    assert found["code"] == 3
