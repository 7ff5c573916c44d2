"""A worker that takes users over, in a process of its own, for importing Locust patches it. The target logs in one user."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.texts import changed, plan_of

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys, time, types
import gevent, jwt
from gevent.pywsgi import WSGIServer
from locust.env import Environment
from loadtests.engine import messages
from loadtests.engine.reporting import Reporter
from loadtests.engine.users import SimulatedUser

logins = []

def target(environ, start_response):
    if environ["PATH_INFO"] == "/login":
        logins.append(1)
        if len(logins) > 1:
            gevent.sleep(60)
    token = jwt.encode({"exp": time.time() + 600}, "k" * 32)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"access_token": token, "refresh_token": "r"}).encode()]

server = WSGIServer(("127.0.0.1", 0), target, log=None)
server.start()
sent, handlers, taken = [], {}, []
environment = Environment(user_classes=[SimulatedUser])
runner = environment.create_local_runner()
runner.register_message = handlers.__setitem__
runner.send_message = lambda kind, data: sent.append((kind, data))
reporter = Reporter(environment, runner)

def tell(kind, **data):
    handlers[kind](msg=types.SimpleNamespace(data=data), environment=None)

def heard(kind):
    with gevent.Timeout(15, RuntimeError(f"no {kind}; said: {sorted({one for one, _ in sent})}")):
        while not (found := [data for one, data in sent if one == kind]):
            gevent.sleep(0.02)
    return found[0]

host = f"http://127.0.0.1:{server.server_port}"
tell(messages.PLAN, plan=json.loads(sys.argv[1]), host=host, worker=0, workers=2, folder="/nowhere", run_id="none")
runner.spawn_users({"SimulatedUser": 1})
tell(messages.AHEAD, ahead_s=0.0)
heard(messages.READY)
tell(messages.GO, start=reporter._crew.clock.epoch(), ahead_s=0.0)
gevent.sleep(0.3)
"""
END = """
final = heard(messages.FINAL)
faults = [data["trouble"] for kind, data in sent if kind == messages.FAULT]
print(json.dumps({"final": final, "faults": faults, "logins": len(logins)}))
"""
CLOSED = """
tell(messages.TAKE, number=1, users=[1], from_s=0.5)
gevent.sleep(1.0)
assert len(logins) == 2, logins
tell(messages.HALT, at_s=reporter._crew.clock.now())
tell(messages.CLOSE)
"""
HALTED = """
tell(messages.HALT, at_s=0.2)
tell(messages.TAKE, number=1, users=[1], from_s=0.5)
"""
GUEST = '\n[auth]\nmode = "guest"\nlogin = "/login"\nrefresh = "/refresh"\n'


@pytest.mark.parametrize(
    ("script", "logins"), [pytest.param(CLOSED, 2, id="the drain ends"), pytest.param(HALTED, 1, id="halted before it is due")]
)
def test_a_login_that_nobody_needs_any_more(tmp_path: Path, script: str, logins: int) -> None:
    """It holds up nobody's end: neither one without an answer, nor one that has not begun."""
    plan = json.dumps(plan_of(tmp_path, changed("users = 10", "users = 2") + GUEST).to_json())
    command = [sys.executable, "-c", SCRIPT + script + END, plan]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert (found["final"]["users"], found["faults"], found["logins"]) == (2, [], logins)
    counts = found["final"]["counts"]
    assert counts["scheduled"] == counts["finished"] + counts["dropped"]
