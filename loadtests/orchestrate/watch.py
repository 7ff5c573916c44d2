"""Runs the probes once a second beside the load, in a thread, and writes what they say into the run's folder."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from loadtests.errors import RunError
from loadtests.probes.sample import Sample
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineWriter

INTERVAL_S = 1.0


class Probe(Protocol):
    """A reader of server-side facts."""

    def read(self) -> Iterator[Sample]:
        """One round of samples; raises when the server does not answer."""

    def close(self) -> None:
        """Give back what the probe holds."""


class ProbeWatch:
    """One thread, one line a round. A probe that fails is a gap with its reason; it never stops the others or the run."""

    def __init__(self, folder: RunFolder, probes: dict[str, Probe]) -> None:
        self._writer = LineWriter(folder.file("probes.jsonl"))
        self._probes = probes
        self._done = threading.Event()
        self.trouble: RunError | None = None
        """Why nothing is written any more (a full disk)."""
        self._thread = threading.Thread(target=self._watch, name="probes", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._done.set()
        self._thread.join(timeout=10)
        for probe in self._probes.values():
            probe.close()
        self._writer.close()

    def _watch(self) -> None:
        beat = time.monotonic()
        while not self._done.wait(max(0.0, beat - time.monotonic())):
            beat = max(beat + INTERVAL_S, time.monotonic())
            try:
                self._writer.append(self._round())
            except RunError as error:
                self.trouble = error
                return

    def _round(self) -> dict[str, object]:
        samples: list[list[object]] = []
        gaps: dict[str, str] = {}
        for name, probe in self._probes.items():
            try:
                samples.extend([sample.metric, sample.selector, sample.value] for sample in probe.read())
            except Exception as error:
                gaps[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return {"time": time.time(), "samples": samples, "gaps": gaps}
