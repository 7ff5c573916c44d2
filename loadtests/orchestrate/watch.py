"""Runs the probes once a second beside the load and writes what they say into the run's folder."""

import math
import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from loadtests.errors import RunError
from loadtests.probes.sample import Counter, Distribution, Fact, Gap, Sample, Told
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineWriter

INTERVAL_S = 1.0
PATIENCE_S = 5.0


class Probe(Protocol):
    """A reader of server-side facts."""

    def read(self) -> Iterator[Fact]:
        """One round; raises when the server does not answer. What it said before that is kept."""

    def close(self) -> None:
        """Give back what the probe holds."""


@runtime_checkable
class Concluding(Protocol):
    """A probe that has something to say at the end."""

    def conclude(self) -> Iterator[Told]:
        """Events of the run, asked for once, after the last round."""


class ProbeWatch:
    """A thread a probe, a line a round. A probe that fails is a gap with its reason; none stops another, or the run."""

    def __init__(self, folder: RunFolder, probes: Mapping[str, Probe], absent: Mapping[str, str] | None = None) -> None:
        """`absent` are probes that were asked for and cannot be had, with the reasons: a gap each, once."""
        self._folder = folder
        self._writer = LineWriter(folder.file("probes.jsonl"))
        self._absent = absent or {}
        self._done = threading.Event()
        self.trouble: RunError | None = None
        """Why nothing is written any more (a full disk)."""
        self._threads = [
            threading.Thread(target=self._watch, args=(name, probe), name=f"probe {name}", daemon=True)
            for name, probe in probes.items()
        ]

    def start(self) -> None:
        """Begin."""
        if self._absent:
            self._writer.append({"time": time.time(), "samples": [], "gaps": dict(self._absent)})
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
            beat = next_round(beat, time.monotonic())
            if not self._write(round_of(name, probe)):
                break
        else:
            if isinstance(probe, Concluding):
                self._conclude(name, probe)
        probe.close()

    def _conclude(self, name: str, probe: Concluding) -> None:
        now = time.time()
        try:
            told = list(probe.conclude())
        except Exception as error:  # as in a round
            self._write({"time": now, "probe": name, "samples": [], "gaps": {name: reason_of(error)}})
            return
        try:
            for event, details in told:
                self._folder.event(event, None, **details)
        except RunError as error:
            self.trouble = error

    def _write(self, record: Mapping[str, object]) -> bool:
        try:
            self._writer.append(record)
        except RunError as error:
            self.trouble = error
        return self.trouble is None


def next_round(due: float, now: float) -> float:
    """When the round after this one is due, which was due at `due` and begins now.

    One that begins late is not made up for: what grew within a moment says nothing of a second.
    """
    return max(due + INTERVAL_S, now + INTERVAL_S / 2)


def round_of(name: str, probe: Probe) -> dict[str, object]:
    """One line of `probes.jsonl`. `counters` and `buckets` are there only when the probe has some."""
    samples: list[list[object]] = []
    counters: dict[str, float] = {}
    buckets: dict[str, list[list[object]]] = {}
    gaps: dict[str, str] = {}
    record: dict[str, object] = {"time": time.time(), "probe": name, "samples": samples, "gaps": gaps}
    try:
        for fact in probe.read():
            match fact:
                case Sample(metric, selector, value) if math.isfinite(value):
                    samples.append([metric, selector, value])
                case Counter(metric, value) if math.isfinite(value):
                    counters[metric] = value
                case Distribution(metric, values):
                    buckets[metric] = [["+Inf" if math.isinf(bound) else bound, count] for bound, count in values]
                case Gap(what, reason):
                    gaps[what] = without_secrets(reason)
    except Exception as error:  # whatever a server's library raises is a gap
        gaps[name] = reason_of(error)
    record.update({key: found for key, found in (("counters", counters), ("buckets", buckets)) if found})
    return record


def reason_of(error: Exception) -> str:
    """What went wrong, in one line."""
    return without_secrets(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def without_secrets(text: str) -> str:
    """The text, addresses in it without user and password."""
    return re.sub(r"://\S*@", "://", text)
