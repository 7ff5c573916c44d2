"""What the probes saw of the load, from `probes.jsonl`: gauges, ratios of counters, histograms, and where they saw nothing."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
PROCESSES, CONTAINERS = "processes", "containers"
"""Probes of the same metrics."""
BASELINE_S = 1.5
"""What counters had come to this long before the load is where their growth begins."""


@dataclass
class _Seen:
    """One pass over the file."""

    gauges: dict[Key, list[float]] = field(default_factory=dict)
    counters: dict[str, list[float]] = field(default_factory=dict)
    buckets: dict[str, list[Buckets]] = field(default_factory=dict)
    rounds: Counter[tuple[str, frozenset[str]]] = field(default_factory=Counter)
    """Rounds of each probe, by what was missing in them."""
    gaps: dict[str, Counter[str]] = field(default_factory=dict)
    """Rounds in which something did not answer, by its name and the reason."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why a probe could not be had, by its name."""
    probes: set[str] = field(default_factory=set)
    """All that ever said something, before the load or after it too."""


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
                if "probe" in record:
                    seen.probes.add(record["probe"])
                else:  # what could not be had is said once, before the load
                    seen.absent.update(record.get("gaps", {}))
                if -BASELINE_S <= at_s <= length_s:
                    _take_counters(seen, record)
                if 0 <= at_s <= length_s:
                    _take(seen, record)
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
    def absent(self) -> Mapping[str, str]:
        """Why a probe, or a part of one, could not be had at all, by its name."""
        return self._seen.absent

    @property
    def rare(self) -> Mapping[str, int]:
        """Rounds of each probe that had fewer, answered or not, than `probes.coverage` asks: it took too long over them."""
        rounds = Counter(dict.fromkeys(self._seen.probes, 0))
        for (probe, _), count in self._seen.rounds.items():
            rounds[probe] += count
        return {probe: count for probe, count in rounds.items() if count < self._enough}

    @property
    def _enough(self) -> int:
        """Rounds that `probes.coverage` asks for."""
        return math.floor(self.probes.coverage * (self.length_s - 1))

    @cached_property
    def _known(self) -> Mapping[str, Metric]:
        return metrics(self.probes, self.tasks)

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
        known = self._known
        names = [key for key in self._seen.gauges if key[0] in known]
        names += [(name, None) for name in (*self.probes.shares, *self._seen.buckets)]
        for name, selector in names:
            rounds = self._rounds(known[name], selector)
            if rounds < self._enough:
                reason = self.silence(known[name], selector)
                text = f"known for {rounds} of {math.ceil(self.length_s)} s only"
                found[name, selector] = f"{text} ({reason})" if reason else text
        return found

    def silence(self, metric: Metric, selector: str | None) -> str | None:
        """Why the probe of a metric did not answer, in the words that were given most often; None where it always did."""
        reasons = Counter[str]()
        for name, found in self._seen.gaps.items():
            if self._concerns(name, metric, selector):
                reasons.update(found)
        for name, reason in self._seen.absent.items():
            if self._concerns(name, metric, selector):
                reasons[reason] += 1
        return reasons.most_common(1)[0][0] if reasons else None

    def _concerns(self, gap: str, metric: Metric, selector: str | None) -> bool:
        """Whether what did not answer leaves the metric unknown: its probe, itself, or an instance of the service selected."""
        if metric.probe == PROCESSES:
            instance = selector is not None and re.fullmatch(rf"process {re.escape(selector)}(-\d+)?", gap)
            return gap == self._probe(metric, selector) or bool(instance)
        return any(gap in (one.probe, f"{one.probe} {one.name}") for one in self._parts(metric))

    def _probe(self, metric: Metric, selector: str | None) -> str:
        """Two probes have metrics of the same names: that of processes, and that of containers."""
        return CONTAINERS if metric.probe == PROCESSES and selector in self.probes.containers else metric.probe

    def _parts(self, metric: Metric) -> Sequence[Metric]:
        """What a share is a share of; any other metric is whole."""
        if metric.kind != "share":
            return [metric]
        share = self.probes.shares[metric.name]
        return [self._known[share.part], self._known[share.whole]]

    def _rounds(self, metric: Metric, selector: str | None) -> int:
        """Rounds, one a second, of which something is known.

        A metric may rest for a round though its probe answers: a cache that nobody asked has no share of hits.
        """
        if metric.kind == "share":
            return min(len(self._seen.counters.get(one.name, ())) for one in self._parts(metric))
        if metric.kind == "distribution":
            return len(self._seen.buckets.get(metric.name, ()))
        probe = self._probe(metric, selector)
        clean = sum(
            count
            for (name, gaps), count in self._seen.rounds.items()
            if name == probe and not any(self._concerns(gap, metric, selector) for gap in gaps)
        )
        return max(len(self._seen.gauges.get((metric.name, selector), ())), clean)


def _take(seen: _Seen, record: Mapping[str, Any]) -> None:
    for metric, selector, value in record["samples"]:
        seen.gauges.setdefault((metric, selector), []).append(value)
    if "probe" in record:
        gaps = record.get("gaps", {})
        seen.rounds[record["probe"], frozenset(gaps)] += 1
        for name, reason in gaps.items():
            seen.gaps.setdefault(name, Counter())[reason] += 1


def _take_counters(seen: _Seen, record: Mapping[str, Any]) -> None:
    for name, value in record.get("counters", {}).items():
        seen.counters.setdefault(name, []).append(value)
    for name, buckets in record.get("buckets", {}).items():
        seen.buckets.setdefault(name, []).append(list(_bounds(buckets)))


def _bounds(buckets: list[Any]) -> Iterator[tuple[float, float]]:
    return ((math.inf if bound == "+Inf" else float(bound), float(count)) for bound, count in buckets)
