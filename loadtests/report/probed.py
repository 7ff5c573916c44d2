"""What the probes saw of the load, from `probes.jsonl`: gauges, ratios of counters, histograms, and where they saw nothing."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from loadtests.measure.counters import Buckets, buckets_increase, increase
from loadtests.objectives.grammar import Metric
from loadtests.scenario.plan import metrics
from loadtests.scenario.system import Probes, Tasks
from loadtests.store.records import read_lines

Key = tuple[str, str | None]
"""Metric and selector."""
BASELINE_S = 1.5
"""What counters had come to this long before the load is where their growth begins."""


@dataclass
class _Seen:
    """One pass over the file."""

    gauges: dict[Key, list[float]] = field(default_factory=dict)
    counters: dict[str, list[float]] = field(default_factory=dict)
    buckets: dict[str, list[Buckets]] = field(default_factory=dict)
    clean: Counter[str] = field(default_factory=Counter)
    """Rounds of each probe in which nothing was missing."""
    gaps: dict[str, Counter[str]] = field(default_factory=dict)
    """Rounds in which something did not answer, by its name and the reason."""


@dataclass(frozen=True)
class Probed:
    """The probes' records of the load of one run; `length_s` is how long it was."""

    probes: Probes
    tasks: Tasks | None
    length_s: float
    _seen: _Seen

    @classmethod
    def of(cls, path: Path, probes: Probes, tasks: Tasks | None, start_epoch: float | None, length_s: float) -> "Probed":
        """Read the file; of a load that never began there is nothing."""
        seen = _Seen()
        if start_epoch is not None:
            for record in read_lines(path):
                at_s = record["time"] - start_epoch
                if -BASELINE_S <= at_s <= length_s:
                    _take_counters(seen, record)
                if 0 <= at_s <= length_s:
                    _take(seen, record)
                elif at_s < 0 and "probe" not in record:  # a probe that could not be had says so once, before the load
                    _take_gaps(seen, record)
        return cls(probes, tasks, length_s, seen)

    @property
    def gauges(self) -> Mapping[Key, list[float]]:
        """Samples by metric and selector."""
        return self._seen.gauges

    @property
    def gaps(self) -> Mapping[str, tuple[int, str]]:
        """Rounds in which something did not answer, by its name, and the reason that was given most often."""
        return {name: (reasons.total(), reasons.most_common(1)[0][0]) for name, reasons in self._seen.gaps.items()}

    @property
    def shares(self) -> dict[str, float]:
        """The scenario's ratios of counters; none whose whole did not grow."""
        return {name: part / whole for name, (part, whole) in self.share_counts.items()}

    @cached_property
    def share_counts(self) -> dict[str, tuple[float, float]]:
        """What they are ratios of: part (of a complement, what is left) and whole."""
        found = {}
        for name, share in self.probes.shares.items():
            part, whole = (increase(self._seen.counters.get(one, ())) for one in (share.part, share.whole))
            if whole > 0:
                found[name] = (whole - part if share.complement else part, whole)
        return found

    @property
    def distributions(self) -> dict[str, Buckets]:
        """How far each bucket of the scenario's histograms grew."""
        return {name: buckets_increase(samples) for name, samples in self._seen.buckets.items()}

    def doubts(self) -> dict[Key, str]:
        """Metrics that are known for less of the load than `probes.coverage` asks: for how much of it, and why."""
        found: dict[Key, str] = {}
        known = metrics(self.probes, self.tasks)
        names = [key for key in self._seen.gauges if key[0] in known]
        names += [(name, None) for name in (*self.probes.shares, *self._seen.buckets)]
        for name, selector in names:
            rounds = self._rounds(known[name], selector)
            if rounds < math.floor(self.probes.coverage * (self.length_s - 1)):
                reason = self.silence(known[name], selector)
                text = f"known for {rounds} of {math.ceil(self.length_s)} s only"
                found[name, selector] = f"{text} ({reason})" if reason else text
        return found

    def silence(self, metric: Metric, selector: str | None) -> str | None:
        """Why the probe of a metric did not answer, in the words that were given most often; None where it always did."""
        places = {f"process {selector}", selector} if selector else {metric.probe}
        reasons = Counter[str]()
        for name, found in self._seen.gaps.items():
            if name in (*places, metric.probe) or (selector and name.startswith(f"process {selector}-")):
                reasons.update(found)
        return reasons.most_common(1)[0][0] if reasons else None

    def _rounds(self, metric: Metric, selector: str | None) -> int:
        """Rounds, one a second, of which something is known.

        A metric may rest for a round though its probe answers: a cache that nobody asked has no share of hits.
        """
        if metric.kind == "share":
            share = self.probes.shares[metric.name]
            return min(len(self._seen.counters.get(one, ())) for one in (share.part, share.whole))
        if metric.kind == "distribution":
            return len(self._seen.buckets.get(metric.name, ()))
        return max(len(self._seen.gauges.get((metric.name, selector), ())), self._seen.clean[metric.probe])


def _take(seen: _Seen, record: Mapping[str, Any]) -> None:
    for metric, selector, value in record["samples"]:
        seen.gauges.setdefault((metric, selector), []).append(value)
    _take_gaps(seen, record)
    if not record.get("gaps") and "probe" in record:
        seen.clean[record["probe"]] += 1


def _take_gaps(seen: _Seen, record: Mapping[str, Any]) -> None:
    for name, reason in record.get("gaps", {}).items():
        seen.gaps.setdefault(name, Counter())[reason] += 1


def _take_counters(seen: _Seen, record: Mapping[str, Any]) -> None:
    for name, value in record.get("counters", {}).items():
        seen.counters.setdefault(name, []).append(value)
    for name, buckets in record.get("buckets", {}).items():
        seen.buckets.setdefault(name, []).append(list(_bounds(buckets)))


def _bounds(buckets: list[Any]) -> Iterator[tuple[float, float]]:
    return ((math.inf if bound == "+Inf" else float(bound), float(count)) for bound, count in buckets)
