"""The machine that is measured on, and what a process costs on it."""

import os
import platform
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SERVER_CORE, GENERATOR_CORE = 0, 1
SAMPLE_S = 0.2


def describe() -> dict[str, str]:
    """CPU, kernel and Python."""
    models = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@dataclass
class Cost:
    """What a process and its children used."""

    output: str = ""
    cpu_cores: float = 0.0
    """Cores used on average over the busiest `span_s`."""
    rss_mb: float = 0.0
    """Largest resident memory seen."""


@dataclass
class _Samples:
    times: list[tuple[float, float]] = field(default_factory=list)
    rss: int = 0

    def take(self, process: psutil.Process) -> None:
        with suppress(psutil.Error):
            family = [process, *process.children(recursive=True)]
            cpu = sum(sum(one.cpu_times()[:2]) for one in family)
            self.times.append((time.monotonic(), cpu))
            self.rss = max(self.rss, sum(one.memory_info().rss for one in family))


def run(
    command: Sequence[str], *, core: int, span_s: float, limit_s: float, env: Mapping[str, str] | None = None, cwd: Path
) -> Cost:
    """Run a command on one core to its end, watching it. Raises subprocess.TimeoutExpired after `limit_s`."""
    samples, over = _Samples(), threading.Event()
    with subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        watched = psutil.Process(process.pid)

        def watch() -> None:
            while not over.wait(SAMPLE_S):
                samples.take(watched)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            over.set()
            watcher.join()
    return Cost(output, _cores(samples.times, span_s), samples.rss / 1e6)


def _cores(times: Sequence[tuple[float, float]], span_s: float) -> float:
    """The busiest stretch of that length: what comes before and after it is starting and ending."""
    shares = [0.0]
    for index, (t0, c0) in enumerate(times):
        later = next(((t1, c1) for t1, c1 in times[index:] if t1 - t0 >= span_s), None)
        if later is not None:
            shares.append((later[1] - c0) / (later[0] - t0))
    return max(shares)
