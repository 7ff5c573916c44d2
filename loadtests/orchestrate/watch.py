"""Runs the probes once a second beside the load and writes what they say into the run's folder."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from loadtests.errors import RunError
from loadtests.probes.sample import Sample
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineWriter

INTERVAL_S = 1.0
PATIENCE_S = 5.0


class Probe(Protocol):
    """A reader of server-side facts."""

    def read(self) -> Iterator[Sample]:
        """One round of samples; raises when the server does not answer."""

    def close(self) -> None:
        """Give back what the probe holds."""


class ProbeWatch:
    """A thread a probe, a line a round. A probe that fails is a gap with its reason; none stops another, or the run."""

    def __init__(self, folder: RunFolder, probes: dict[str, Probe]) -> None:
        self._writer = LineWriter(folder.file("probes.jsonl"))
        self._probes = probes
        self._done = threading.Event()
        self.trouble: RunError | None = None
        """Why nothing is written any more (a full disk)."""
        self._threads = [
            threading.Thread(target=self._watch, args=(name, probe), name=f"probe {name}", daemon=True)
            for name, probe in probes.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the rounds that are under way. A probe that hangs (a frozen server) is left to itself."""
        self._done.set()
        deadline = time.monotonic() + PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._writer.close()

    def _watch(self, name: str, probe: Probe) -> None:
        beat = time.monotonic()
        while not self._done.wait(max(0.0, beat - time.monotonic())):
            beat = max(beat + INTERVAL_S, time.monotonic())
            record = self._round(name, probe)
            try:
                self._writer.append(record)
            except RunError as error:
                self.trouble = error
                break
        probe.close()

    def _round(self, name: str, probe: Probe) -> dict[str, object]:
        now = time.time()
        try:
            samples = [[sample.metric, sample.selector, sample.value] for sample in probe.read()]
        except Exception as error:  # whatever a server's library raises is a gap
            reason = (str(error).splitlines() or [""])[0]
            return {"time": now, "samples": [], "gaps": {name: f"{type(error).__name__}: {reason}"}}
        return {"time": now, "samples": samples, "gaps": {}}
