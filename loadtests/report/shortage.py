"""What a run was short of: of all that was measured beside it, what was nearest to its end in the steady part of the load."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression
from typing import Any

from loadtests.objectives.evaluate import Facts, observe
from loadtests.report.evidence import Evidence
from loadtests.report.series import Sample, timed_samples
from loadtests.store.folder import RunFolder
from loadtests.store.windows import read_windows
from loadtests.units import significant

SHORT = 0.85
"""Use of a resource from which on it is called short: means over seconds hide that it was used up within them."""
ONE_CORE = 1.1
"""A process that uses more than this has threads that work at once: one core is not its end."""
OTHERS = 0.15
"""Share of the machine from which on other programs are mentioned; the master and the probes are among them."""
LEAST_GROWTH = 10.0
"""Messages by which a queue must grow before it is said to."""
MOST_USE = 10.0
"""Of a queue whose workers do next to nothing."""
NOTHING = "nothing that was measured was short"
MACHINE, GENERATOR = "machine", "generator"
Samples = Mapping[tuple[str, str | None], Sequence[Sample]]


@dataclass(frozen=True)
class Shortage:
    """How much of one resource was used."""

    name: str
    use: float
    """1 is its end. A queue is above: so much more came in than went out."""
    words: str

    @property
    def short(self) -> bool:
        """Whether there was too little of it."""
        return self.use >= SHORT

    def to_json(self) -> dict[str, Any]:
        """As `capacity.json` has it."""
        return {"name": self.name, "use": round(self.use, 4), "words": self.words, "short": self.short}


def shortages(folder: RunFolder) -> list[Shortage]:
    """Everything that was measured of a run's resources, the most used first. Raises RunError when a file is damaged."""
    return shortages_of(Evidence.of(folder))


def shortages_of(evidence: Evidence) -> list[Shortage]:
    """The same of a run that was read already."""
    first, last = evidence.steady_s
    samples = {
        key: [sample for sample in found if first <= sample[0] < last]
        for key, found in timed_samples(evidence, last).items()
        if any(first <= at_s < last for at_s, _ in found)
    }
    cores = _cores(evidence)
    found = [
        *_machine(samples, cores, evidence.manifest["machine"]["cpus"]),
        *_services(evidence, samples),
        *_generator(cores),
        *_limited(evidence, samples),
        *_queues(evidence, samples),
        *_locks(samples),
    ]
    return sorted(found, key=lambda one: -one.use)


def short_words(found: Sequence[Shortage]) -> str:
    """What was short, in one line."""
    return "; ".join(one.words for one in found if one.short) or NOTHING


def share_text(share: float) -> str:
    """A use for people (`98.7 %`): it is not known so well that what is missing from 100 % would say more."""
    return f"{share * 100:.3g} %"


def _mean(samples: Sequence[Sample]) -> float:
    return fmean(value for _, value in samples)


def _machine(samples: Samples, workers: Sequence[float], cpus: int) -> Iterator[Shortage]:
    """What was taken away is used up as well. Whose the work was is told as far as it is known."""
    if busy := samples.get(("machine_cpu", None)):
        stolen = _mean(samples.get(("machine_steal", None)) or [(0.0, 0.0)])
        taken = f", {share_text(stolen)} were taken away by other machines" if stolen >= 0.01 else ""
        words = f"the machine: its cores were {share_text(_mean(busy))} busy{taken}"
        if stack := samples.get(("machine_stack", None)):
            used, generator = _mean(stack), sum(workers) / cpus
            words += f" (the stack {share_text(used)}, the generator {share_text(generator)}"
            others = _mean(busy) - used - generator
            words += f", other programs {share_text(others)})" if others >= OTHERS else ")"
        yield Shortage(MACHINE, _mean(busy) + stolen, words)


def _services(evidence: Evidence, samples: Samples) -> Iterator[Shortage]:
    """The busiest process of each service against one core, which is the end of one that works in one thread."""
    probes = evidence.plan.scenario.probes
    for service in (*probes.processes, *probes.containers):
        found = samples.get(("cpu", service))
        if found and (use := _mean(found)) <= ONE_CORE:
            yield Shortage(f"cpu({service})", use, f"{service}: its busiest process used {share_text(use)} of a core")


def _cores(evidence: Evidence) -> list[float]:
    """What each worker of the generator used."""
    first, last = evidence.steady_s
    cores: dict[int, list[float]] = {}
    for window in read_windows(evidence.folder.file("windows.jsonl")):
        if first <= window.number < last:
            for worker, gauges in window.workers.items():
                cores.setdefault(worker, []).append(gauges.cpu)
    return [fmean(used) for used in cores.values()]


def _generator(cores: Sequence[float]) -> Iterator[Shortage]:
    """The busiest worker: it works in one thread."""
    if cores:
        use = max(cores)
        yield Shortage(GENERATOR, use, f"the generator: its busiest worker used {share_text(use)} of a core")


def _limited(evidence: Evidence, samples: Samples) -> Iterator[Shortage]:
    """Counts and sizes that an objective sets an upper limit: connections, memory."""
    facts = Facts({}, evidence.total, {}, 0.0, gauges={key: [value for _, value in found] for key, found in samples.items()})
    for objective in evidence.plan.parsed_objectives.values():
        metric = objective.metric
        bounded = metric.kind == "gauge" and metric.unit in ("count", "size") and objective.comparison in ("<", "<=")
        observed = observe(objective, facts) if bounded and objective.threshold > 0 else None
        if observed is not None:
            name = f"{metric.name}({objective.selector})" if objective.selector else metric.name
            shown, limit = objective.format_value(observed), objective.format_value(objective.threshold)
            yield Shortage(name, observed / objective.threshold, f"{name}: {shown}, with a limit of {limit}")


def _queues(evidence: Evidence, samples: Samples) -> Iterator[Shortage]:
    """Queues that grew all the while: their workers were given more than they could do. Of others the use is not known."""
    accepted = evidence.accepted / evidence.end_s if evidence.end_s > 0 else 0.0
    for (metric, queue), found in samples.items():
        third = len(found) // 3
        if metric != "celery_queue_depth" or third < 1:
            continue
        growth = _mean(found[-third:]) - _mean(found[:third])
        slope = linear_regression(*zip(*found, strict=True)).slope
        if growth < LEAST_GROWTH or slope < accepted / 100:
            continue
        use = min(MOST_USE, accepted / (accepted - slope)) if accepted > slope else MOST_USE
        words = f"the workers of queue {queue}: it grew by {significant(slope)} messages/s, to {found[-1][1]:,.0f}"
        yield Shortage(f"celery_queue_depth({queue})", use, words)


def _locks(samples: Samples) -> Iterator[Shortage]:
    """Sessions that waited for a lock, of those with a statement under way."""
    waiting, active = samples.get(("pg_lock_waits", None)), samples.get(("pg_connections_active", None))
    if waiting and active and (sessions := max(_mean(active), _mean(waiting))) > 0:
        told = f"{significant(_mean(waiting))} of {significant(sessions)} active sessions waited for one"
        yield Shortage("pg_lock_waits", _mean(waiting) / sessions, f"locks of the database: {told}")
