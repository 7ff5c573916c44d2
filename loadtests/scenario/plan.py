"""A plan: a scenario after validation and overrides, frozen, complete and hashable. Nothing is decided after it."""

import json
import math
import shutil
from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from loadtests.errors import InputError
from loadtests.objectives import catalog
from loadtests.objectives.grammar import BUILT_IN, Metric, Objective, parse_objective
from loadtests.pacing.mix import Mix
from loadtests.pacing.recorded import RecordedLoad
from loadtests.pacing.schedule import RateProfile, wave
from loadtests.pacing.stream import ClosedLoad, OpenLoad, expected_turns
from loadtests.scenario.schema import Load, Scenario, Stage
from loadtests.scenario.system import Probes, Selection, Tasks
from loadtests.traffic.payloads import payload_digest, task_payloads
from loadtests.traffic.recording import digest_of, read_recording

CHANGED = "another recording than that of the plan"


class Plan(BaseModel):
    """What a run is going to do. Two plans with the same `hash` offer the same load and ask for the same things."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: Scenario
    objectives: dict[str, str]
    """Name to objective, scaled to the number of users."""
    notes: tuple[str, ...] = ()
    """What a reader of the verdict must know about the plan."""
    recording: str | None = None
    """SHA-256 of the load's recording, if it has one."""
    journeys: tuple[str, ...] = ()
    """SHA-256 of each of the scenario's files of journeys, in their order."""

    @cached_property
    def load(self) -> OpenLoad | ClosedLoad | RecordedLoad:
        """The load as pacing understands it. Raises InputError when a recording is no longer that of the plan."""
        load = self.scenario.load
        if load.think_time is not None:
            return ClosedLoad(load.think_time[0], load.think_time[1], load.total_s)
        if load.arrivals == "recorded":
            return self._recorded(Path(load.recording or ""))
        return OpenLoad(rate_profile(load), load.arrivals)

    def _recorded(self, path: Path) -> RecordedLoad:
        if digest_of(path) != self.recording:
            raise InputError(f"{path}: {CHANGED}")
        load = self.scenario.load
        moments_us, found = read_recording(path, {share.journey: index for index, share in enumerate(self.scenario.mix)})
        return RecordedLoad(moments_us, found, load.users, load.total_s, load.speed)

    def check_journeys(self) -> None:
        """Raises InputError when a file of journeys is not here, or is another one than when the plan was made."""
        for file, digest in zip(self.scenario.journeys, self.journeys, strict=False):  # plans had no digests once
            if digest_of(Path(file)) != digest:
                raise InputError(f"{file}: another file than that of the plan: copy it from where the run was started")

    def keep_recording(self, path: Path) -> None:
        """Copy the recording, if there is one. Raises InputError when it cannot be, or is no longer that of the plan."""
        source = self.scenario.load.recording
        if source is None:
            return
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            raise InputError(f"{source}: cannot be copied to {path}: {error.strerror}") from error
        if digest_of(path) != self.recording:
            raise InputError(f"{source}: {CHANGED}")

    def with_recording(self, path: Path) -> "Plan":
        """The same plan, its recording read from a copy, where there is one."""
        if self.recording is None or not path.exists():
            return self
        load = self.scenario.load.model_copy(update={"recording": str(path)})
        return self.model_copy(update={"scenario": self.scenario.model_copy(update={"load": load})})

    @cached_property
    def mix(self) -> Mix:
        """Weights of the journeys."""
        return Mix([share.weight for share in self.scenario.mix])

    @cached_property
    def parsed_objectives(self) -> dict[str, Objective]:
        """The objectives by name."""
        known = metrics(self.scenario.probes, self.scenario.tasks)
        return {name: parse_objective(text, known) for name, text in self.objectives.items()}

    @property
    def steady_from_s(self) -> float:
        """When the load is at its full rate, in seconds after its start."""
        return self.scenario.load.ramp_up

    def steady_seconds(self, end_s: float) -> tuple[int, int]:
        """First second of the steady part of a load that ends at `end_s`, and the one after its last.

        Whole seconds, as windows are; the whole load when it has no steady second.
        """
        first, last = math.ceil(self.steady_from_s), math.floor(end_s)
        return (first, last) if first < last else (0, max(1, math.ceil(end_s)))

    @property
    def offered_rate(self) -> float | None:
        """Turns per second offered in the steady part; None for a closed model, which offers what the target permits."""
        if isinstance(self.load, ClosedLoad):
            return None
        load = self.scenario.load
        upto, before = (expected_turns(self.load, load.users, time_s) for time_s in (load.total_s, self.steady_from_s))
        return (upto - before) / (load.total_s - self.steady_from_s)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the plan's canonical JSON; of recordings and journeys counts what is in them, not where they lie."""
        data = self.model_dump(mode="json")
        if self.recording is not None:
            data["scenario"]["load"]["recording"] = None
        if self.journeys:
            data["scenario"]["journeys"] = []
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    def stream_hash(self, digest: int) -> str:
        """Hash of (moment, user, journey, payload) of a whole stream, from the digest of its turns.

        The bodies that the turns choose from are part of it, so equal hashes mean equal requests at equal moments.
        """
        whole = blake2b(digest.to_bytes(16), digest_size=16)
        whole.update(" ".join(share.journey for share in self.scenario.mix).encode())
        whole.update(payload_digest(task_payloads(self.scenario.seed)))
        return whole.hexdigest()

    def with_stack(self, definition: str) -> "Plan":
        """The same plan for the stack that another file defines."""
        stack = self.scenario.stack.model_copy(update={"definition": definition})
        scenario = self.scenario.model_copy(update={"stack": stack})
        return Plan(
            scenario=scenario,
            objectives=self.objectives,
            notes=self.notes,
            recording=self.recording,
            journeys=self.journeys,
        )

    def to_json(self) -> dict[str, Any]:
        """As the manifest has it, and as the master sends it to its workers."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Any) -> "Plan":
        """The plan that `to_json` wrote."""
        return cls.model_validate(data)


def rate_profile(load: Load) -> RateProfile:
    """The rate of one user over time."""
    full = load.rate_per_user
    if not load.stages:
        ramp = [(0.0, 0.0), (load.ramp_up, full)] if load.ramp_up else [(0.0, full)]
        return RateProfile((*ramp, (load.total_s, full)))
    knots = [(0.0, 0.0)]
    for stage in load.stages:
        begin_s = knots[-1][0]
        knots.extend((begin_s + after_s, rate * full) for after_s, rate in _knots(stage))
    return RateProfile(tuple(knots))


def _knots(stage: Stage) -> Iterator[tuple[float, float]]:
    """Knots of one stage in multiples of the full rate: the end of a ramp, the whole of a step or a wave."""
    if stage.at is None:
        yield stage.duration, stage.level
    elif stage.wave is None:
        yield from ((0.0, stage.at), (stage.duration, stage.at))
    else:
        yield from wave(stage.duration, stage.at, stage.wave.amplitude, stage.wave.period)


def metrics(probes: Probes, tasks: Tasks | None) -> dict[str, Metric]:
    """The metrics that the objectives of a scenario with these tables may speak of."""
    known = dict(BUILT_IN)
    wanted = (
        (catalog.POSTGRES, probes.postgres_statistics),
        (catalog.REDIS, probes.redis),
        (catalog.CELERY, probes.celery),
        (catalog.PROCESSES, probes.processes or probes.containers),
        (catalog.MACHINE, probes.processes),
        (catalog.SAMPLED_TASKS, tasks is not None and tasks.sampled),
    )
    known.update({metric.name: metric for delivered, asked in wanted if asked for metric in delivered})
    known.update(
        {name: Metric(name, "gauge", "count", source="PostgreSQL: own query", probe="postgres") for name in probes.postgres}
    )
    for place, endpoint in probes.prometheus.items():
        known.update({name: _selected(name, one, place) for name, one in endpoint.select.items()})
    counted = {name: place for place, endpoint in probes.prometheus.items() for name in endpoint.select}
    for name, share in probes.shares.items():
        place = counted.get(share.whole, "")
        known[name] = Metric(name, "share", "ratio", False, f"Prometheus: {place}", f"prometheus {place}")
    return known


def _selected(name: str, selection: Selection, place: str) -> Metric:
    source, probe = f"Prometheus: {place}", f"prometheus {place}"
    match selection.kind:
        case "counter":
            return Metric(name, "gauge", "rate", False, source, probe)
        case "histogram":
            return Metric(name, "distribution", "duration", False, source, probe)
    return Metric(name, "gauge", selection.unit, False, source, probe)
