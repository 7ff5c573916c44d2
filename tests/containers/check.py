"""What tests/containers/run.sh asks of a run in containers: `check.py run|interrupted|left|secrets`, in the checkout's copy."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loadtests.orchestrate.secrets_file import NAMES, read_secrets

RECORDS = ("manifest.json", "windows.jsonl", "probes.jsonl", "events.jsonl", "ledger.json")
FILES = (*RECORDS, "summary.json", "verdict.json", "report.html", "junit.xml")
IMAGES = ("localhost/loadtest:0.1.0", "localhost/agenthq-backend:0.1.0", "localhost/agenthq-edge:0.1.0")
COUNT = """
curl -sf -u "loadtest:$INFLUXDB_ADMIN_PASSWORD" 'http://127.0.0.1:8086/query?db=loadtest' \
    --data-urlencode 'q=SELECT count("users") FROM loadtest_window'
"""
ENGINE_DNS = "aardvark-dns"
"""Podman's answer to names, on the networks' own addresses."""


def main() -> int:
    """Print each check that holds; 1 with the first that does not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["run", "interrupted", "left", "secrets"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--listeners", nargs=2, type=Path)
    parser.add_argument("--says", type=Path)
    given = parser.parse_args()
    checks = {"run": _run, "interrupted": _interrupted, "left": _left, "secrets": _secrets}
    for name, holds in checks[given.what](given):
        print(f"  {'ok' if holds else 'FAILED'}: {name}")
        if not holds:
            return 1
    return 0


def _run(given: argparse.Namespace) -> Iterable[tuple[str, bool]]:
    folder: Path = given.folder
    verdict, summary = _json(folder / "verdict.json"), _json(folder / "summary.json")
    yield f"verdict {verdict['verdict']}", verdict["verdict"] == "pass"
    yield f"{summary['requests']} requests, {summary['failures']} failed", summary["requests"] > 0 and summary["failures"] == 0
    yield "the folder is complete", all((folder / name).is_file() for name in FILES)
    yield "the command showed the master's verdict", "PASS" in given.says.read_text()
    windows = [json.loads(line) for line in (folder / "windows.jsonl").read_text().splitlines()]
    seen = {worker for window in windows for worker in window.get("workers", ())}
    yield f"{len(seen)} workers in the windows", len(seen) == given.workers
    tasks = _json(folder / "ledger.json")["tasks"]
    accounted = 0 < tasks["accepted"] == tasks["completed"] and not tasks["foreign"]
    yield f"{tasks['accepted']} accepted tasks, {tasks['completed']} completed", accounted
    logs = sorted(path.name for path in (folder / "logs").glob("container-*.log"))
    yield f"logs of {len(logs)} containers", len([name for name in logs if "locust-worker" in name]) == given.workers
    before, during = given.listeners
    others = sorted(_open(during) - _open(before))
    yield f"nothing listens outside loopback{''.join(f' ({one} does)' for one in others)}", not others


def _interrupted(given: argparse.Namespace) -> Iterable[tuple[str, bool]]:
    (folder,) = [path for path in given.folder.iterdir() if path.is_dir() and not path.is_symlink()]
    verdict = _json(folder / "verdict.json")
    yield f"an interrupted run is {verdict['verdict']}, and its folder is here", verdict["verdict"] == "invalid"


def _left(_: argparse.Namespace) -> Iterable[tuple[str, bool]]:
    services = _podman("ps", "--all", "--format", '{{index .Labels "com.docker.compose.service"}}').split()
    yield f"what was up before is all that is left ({', '.join(services)})", services == ["influxdb"]
    answer = json.loads(_podman("exec", _podman("ps", "--quiet").strip(), "sh", "-c", COUNT))
    yield "metrics of the runs are in InfluxDB", bool(answer["results"][0].get("series"))


def _secrets(_: argparse.Namespace) -> Iterable[tuple[str, bool]]:
    file = Path(".env")
    yield ".env is its owner's alone", file.stat().st_mode & 0o777 == 0o600
    secrets = [value.encode() for name, value in read_secrets(file).items() if name in NAMES]
    yield "there are secrets to look for", len(secrets) == len(NAMES) and all(len(value) > 30 for value in secrets)
    found = [path for path in Path("results").rglob("*") if path.is_file() and any(one in path.read_bytes() for one in secrets)]
    yield f"no secret in results, reports and logs {found or ''}", not found
    for image in IMAGES:
        about = _podman("inspect", image) + _podman("history", "--no-trunc", image)
        saved = subprocess.run(["podman", "save", image], stdout=subprocess.PIPE, check=True).stdout
        yield f"no secret in {image}", not any(one in about.encode() or one in saved for one in secrets)
        yield f"{image} is not root's", '"User": "10001:10001"' in about


def _open(listing: Path) -> set[str]:
    """Who listens on what outside loopback, in what `ss` said."""
    found = set()
    for line in listing.read_text().splitlines():
        parts = line.split()
        address = parts[4].rpartition(":")[0].strip("[]")
        if not address.startswith(("127.", "::1")) and ENGINE_DNS not in line:
            found.add(parts[4])
    return found


def _json(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def _podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
