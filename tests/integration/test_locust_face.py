"""FastHttpUser, Locust's and ours, through the real `locust` command: the same locustfile must not see the difference."""

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.face.target import Memory, face_target
from tests.identity import Identity
from tests.raw_server import always, answer, nobody, raw_server

ROOT = Path(__file__).parents[2]
FACE = ROOT / "tests" / "face"
STEPS = [
    name for file in ("asking", "answers") for name in re.findall(r"^@step\ndef (\w+)", (FACE / f"{file}.py").read_text(), re.M)
]
USERS = 5
OWN_WORDS = {"redirects_for_ever", "redirect_out_of_http", "closed", "cut_off", "too_late", "own_timeout"}
"""Steps that fail for reasons of the client's, which has its own words for them (failures.py)."""
FACES = {"locust": "locust", "ours": "loadtests.engine.http.user"}


@dataclass
class Face:
    """What came of the run with one FastHttpUser."""

    stats: dict[tuple[str, str], dict[str, str]]
    failures: dict[tuple[str, str, str], int]
    seen: dict[str, list[Any]]
    heard: list[dict[str, Any]]
    memory: Memory
    output: str

    def of(self, step: str) -> dict[str, Any]:
        """All that belongs to one step."""
        heard = [dict(event) for event in self.heard if belongs(event["name"], step)]
        failures = {key: count for key, count in self.failures.items() if belongs(key[1], step)}
        if step in OWN_WORDS:
            heard = [{**event, "exception": event["exception"] != "None", "status": None} for event in heard]
            failures = {(method, name, "some"): count for (method, name, _), count in failures.items()}
        fields = ("Request Count", "Failure Count", "Average Content Size")
        rows = {key: [row[name] for name in fields] for key, row in self.stats.items() if belongs(key[1], step)}
        return {
            "statistics": rows,
            "failures": failures,
            "seen": self.seen[step],
            "heard": Counter(json.dumps(event, sort_keys=True) for event in heard),
            "asked": Counter(json.dumps(request) for request in self.memory.requests if belongs(request[1], step)),
        }


def belongs(name: str, step: str) -> bool:
    """Whether a request has a step's name in its own."""
    return step in re.split(r"[/ ?]", name)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, identity: Identity) -> Iterator[dict[str, Face]]:
    """Both runs, at the same time, each against a server of its own."""
    found = {}
    with ExitStack() as stack:
        nowhere = stack.enter_context(nobody())
        secure = stack.enter_context(raw_server([always(answer())], tls=identity.server_side()))
        given = {"NOWHERE": nowhere, "TLS": f"https://localhost:{secure.port}", "CERTIFICATE": str(identity.certificate)}
        runs = {}
        for name, module in FACES.items():
            folder = tmp_path_factory.mktemp(name)
            host, memory = stack.enter_context(face_target())
            own = {"PYTHONPATH": str(ROOT), "FACE": module, "USERS": str(USERS), "OUT": str(folder / "seen.json")}
            options = f"--headless -u {USERS} -r {USERS} -t 40s --only-summary --csv out --host {host}".split()
            command = [sys.executable, "-m", "locust", "-f", str(FACE / "locustfile.py"), *options]
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env={**os.environ, **own, **given},
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            )
            stack.callback(process.kill)
            runs[name] = folder, memory, process
        for name, (folder, memory, process) in runs.items():
            output, _ = process.communicate(timeout=60)
            told = json.loads((folder / "seen.json").read_text())
            stats = {(row["Type"], row["Name"]): row for row in rows(folder / "out_stats.csv")}
            failed = rows(folder / "out_failures.csv")
            failures = {(row["Method"], row["Name"], row["Error"]): int(row["Occurrences"]) for row in failed}
            found[name] = Face(stats, failures, told["seen"], told["heard"], memory, output)
        yield found


def differences(ours: Any, locusts: Any) -> list[str]:
    """What only one of them has, in words."""
    if isinstance(ours, dict):
        keys = [key for key in {**ours, **locusts} if ours.get(key) != locusts.get(key)]
        return [f"{key}: ours {ours.get(key)}, Locust's {locusts.get(key)}" for key in keys]
    return [f"ours {one}, Locust's {other}" for one, other in zip(ours, locusts, strict=True) if one != other]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("aspect", ["seen", "asked", "heard", "statistics", "failures"])
def test_same(faces: dict[str, Face], step: str, aspect: str) -> None:
    """What the users see, the server is asked, listeners hear, and the statistics and failures say, is the same."""
    ours, locusts = faces["ours"].of(step)[aspect], faces["locust"].of(step)[aspect]
    assert len(faces["ours"].seen[step]) == USERS
    if aspect == "seen" and isinstance(ours[0], list) and isinstance(locusts[0], list):
        ours, locusts = ours[0], locusts[0]
    found = "\n".join(differences(ours, locusts))
    assert found == "", found


def test_nothing_unforeseen(faces: dict[str, Face]) -> None:
    """None of all this made the client raise something that it has no name for."""
    output = faces["ours"].output
    assert "Traceback" not in output and "a request raised" not in output, output
