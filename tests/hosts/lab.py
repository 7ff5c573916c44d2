"""Four machines on one: network namespaces, each with an address, joined by wires with delay and loss. Root only."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
MASTER, PORT, TARGET_PORT = "10.77.0.1", 5557, 8080
WORKERS = 3
DELAY_MS = 50.0
"""There and back."""


class Lab:
    """A namespace for master and target, one for each worker, and one with the wires between them. A context manager.

    `loss` is the share of frames, each way, that gets lost between a worker and the others.
    """

    def __init__(self, loss: float = 0.0) -> None:
        self._loss = loss
        self._tag = f"lt{secrets.token_hex(2)}"
        self._spaces: list[str] = []
        self._started: list[subprocess.Popen[str]] = []
        self._wires: dict[int, subprocess.Popen[str]] = {}

    def __enter__(self) -> "Lab":
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for space in self._spaces:
            _ip("netns", "delete", space)

    @property
    def target(self) -> str:
        """Where the load goes."""
        return f"http://{MASTER}:{TARGET_PORT}"

    def start(self, space: str, *command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command on a machine: `master`, `wires`, `worker1` ..."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LOADTEST_", "LOCUST_"))}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._space(space), *command],
            cwd=cwd,
            env={**inherited, "PYTHONPATH": str(cwd), **(env or {})},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    def run(self, scenario: Path, out: Path, *more: str) -> subprocess.Popen[str]:
        """`loadtest run` on the master's machine, with workers from elsewhere alone."""
        where = ("--host", self.target, "--bind", MASTER, "--master-port", str(PORT), "--workers", "0", "--out", str(out))
        return self.start("master", sys.executable, "-m", "loadtests", "run", str(scenario), *where, "--plain", *more)

    def worker(self, number: int, hidden: Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
        """`loadtest worker` on its machine, which does not see what is in the folder `hidden`."""
        command = f'mount -t tmpfs none "{hidden}" && exec "{sys.executable}" -m loadtests worker --master {MASTER}'
        return self.start(f"worker{number}", "sh", "-c", command, cwd=cwd, env={"LOADTEST_WORKER_NAME": f"host-{number}"})

    def cut(self, number: int) -> None:
        """Between this worker and the master nothing gets through any more; between it and the target all does."""
        self._wires[number].send_signal(signal.SIGUSR1)

    def mend(self, number: int) -> None:
        """Everything gets through again."""
        self._wires[number].send_signal(signal.SIGUSR2)

    def asked_ago_s(self, number: int) -> float:
        """Seconds since a worker's last request, as the target saw it."""
        script = f"import urllib.request; print(urllib.request.urlopen('{self.target}/ago').read().decode())"
        said, _ = self.start("master", sys.executable, "-c", script).communicate(timeout=20)
        return float(json.loads(said)[f"10.77.{number}.2"])

    def _build(self) -> None:
        for name in ("master", "wires", *(f"worker{number}" for number in range(1, WORKERS + 1))):
            _ip("netns", "add", self._space(name))
            self._spaces.append(self._space(name))
            _ip("-n", self._space(name), "link", "set", "lo", "up")
        _ip("-n", self._space("master"), "address", "add", f"{MASTER}/32", "dev", "lo")
        for number in range(1, WORKERS + 1):
            self._connect(number)
        self.start("master", sys.executable, "-m", "tests.hosts.target", MASTER, str(TARGET_PORT))

    def _connect(self, number: int) -> None:
        net = f"10.77.{number}"
        self._link(f"worker{number}", "eth0", f"w{number}", f"{net}.2/24")
        self._link("master", f"eth{number}", f"m{number}", f"{net}.1/24")
        _ip("-n", self._space(f"worker{number}"), "route", "add", MASTER, "via", f"{net}.1")
        wire = (sys.executable, str(Path(__file__).with_name("wire.py")))
        started = self.start("wires", *wire, f"w{number}", f"m{number}", str(DELAY_MS / 2), str(PORT), str(self._loss))
        assert started.stdout is not None and started.stdout.readline() == "carrying\n"
        self._wires[number] = started

    def _link(self, space: str, inner: str, outer: str, address: str) -> None:
        """A cable from a machine to the wires."""
        peer = ("peer", "name", outer, "netns", self._space("wires"))
        _ip("link", "add", inner, "netns", self._space(space), "type", "veth", *peer)
        _ip("-n", self._space(space), "address", "add", address, "dev", inner)
        _ip("-n", self._space(space), "link", "set", inner, "up")
        _ip("-n", self._space("wires"), "link", "set", outer, "up")

    def _space(self, name: str) -> str:
        return f"{self._tag}-{name}"


def wait_for(found: "subprocess.Popen[str]", out: Path, window: int, within_s: float = 60.0) -> None:
    """Block until the run in `out` has written so many windows."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if any(file.read_bytes().count(b"\n") > window for file in out.glob("*/windows.jsonl")):
            return
        assert found.poll() is None, found.communicate()
        time.sleep(0.1)
    raise AssertionError(f"window {window} was not written within {within_s} s")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
