"""The master's orders to take users over, in a process of its own, for importing Locust patches it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.texts import BASE, changed, plan_of

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, sys
from loadtests.engine import messages
from loadtests.engine.members import Member
from loadtests.engine.takeover import TakeOvers
from loadtests.scenario.plan import Plan

plan, sent, told, out = Plan.from_json(json.loads(sys.argv[1])), [], [], {}
send = lambda kind, data, node: sent.append([node, data["number"], data["users"], data["from_s"]])

def run(workers):
    members = [Member(index, f"node-{index}", f"worker-{index + 1}", send, lambda: 0.0) for index in range(workers)]
    return members, TakeOvers(plan, workers, send, lambda kind, **facts: told.append({"event": kind, **facts}))

def lose(member, now_s, end_s=10.0):
    member.lost = True
    return take_overs.of(member, members, now_s, end_s)
"""
END = """
print(json.dumps({**out, "sent": sent, "told": told}))
"""
TEXT = BASE + '\n[health]\nlost_worker = "compensate"\n'


def _play(folder: Path, script: str, text: str = TEXT) -> dict[str, Any]:
    plan = json.dumps(plan_of(folder, text).to_json())
    command = [sys.executable, "-c", BEGIN + script + END, plan]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_load_that_was_halted_is_not_taken_over(tmp_path: Path) -> None:
    """A worker that is lost in the drain of a load that was halted at 4 s of 10: nobody is sent to play what is not due."""
    found = _play(tmp_path, "members, take_overs = run(2)\nout['on'] = lose(members[1], 5.0, end_s=4.0)")
    assert found["on"] and not found["sent"]
    assert [(one["users"], one["from_s"], one["heirs"]) for one in found["told"]] == [(5, None, [])]


def test_workers_without_users(tmp_path: Path) -> None:
    """They are no heirs, for they have had their end by then; and nobody inherits from them."""
    script = "members, take_overs = run(12)\nout['on'] = [lose(members[11], 0.1), lose(members[0], 0.2)]"
    found = _play(tmp_path, script)
    assert found["on"] == [True, True]
    nothing, moved = found["told"]
    assert (nothing["users"], nothing["heirs"], nothing["how"]) == (0, [], "there are none")
    assert moved["heirs"] == list(range(1, 10)), "worker 10 has no users, worker 11 is lost"
    assert [order[0] for order in found["sent"]] == ["node-1"], "there is one user"
    only = _play(
        tmp_path, "members, take_overs = run(2)\nout['on'] = lose(members[0], 0.1)", changed("users = 10", "users = 1", TEXT)
    )
    assert not only["on"] and not only["told"], "the only one with users"


def test_what_an_heir_never_heard_of(tmp_path: Path) -> None:
    """It is told once more at each of its reports; at its end it is known that nobody played those users."""
    script = """
members, take_overs = run(3)
lose(members[0], 2.0)
take_overs.confirmed(members[1], 1)
for heir in members[1:]:
    take_overs.repeat(heir)
    take_overs.ended(heir, 10.0)
"""
    found = _play(tmp_path, script)
    assert [order[:2] for order in found["sent"]] == [["node-1", 1], ["node-2", 2], ["node-2", 2]]
    missed = [(one["worker"], one["name"], one["heir"]) for one in found["told"] if one["event"] == "take_over_missed"]
    assert missed == [(0, "worker-1", "worker-3")]
    late = _play(tmp_path, script.replace("heir, 10.0", "heir, 3.0"))
    assert not any(one["event"] == "take_over_missed" for one in late["told"]), "halted before it was due"


def test_users_change_hands_in_order(tmp_path: Path) -> None:
    """Two are lost at once: who gets users of the first from the second gets them no earlier than the second had them."""
    script = "members, take_overs = run(4)\nout['on'] = [lose(members[0], -0.3), lose(members[1], -0.3)]"
    first, second = _play(tmp_path, script)["told"]
    assert (first["users"], second["users"]) == (3, 4)
    assert second["from_s"] >= first["from_s"] > 2.0


def test_recorded_loads_are_taken_over_too(tmp_path: Path) -> None:
    """However many requests all users together have had: an heir passes over those of the users that it gets."""
    moments = tmp_path / "long.moments"
    moments.write_text("".join(f"{index * 20} list_tasks\n" for index in range(400_000)))
    recorded = changed("users = 10", f'users = 100\nmodel = "open"\narrivals = "recorded"\nrecording = "{moments}"', TEXT)
    found = _play(tmp_path, "members, take_overs = run(2)\nout['on'] = lose(members[0], 5.0)", recorded)
    assert found["on"] and found["told"][0]["heirs"] == [1], found["told"]
