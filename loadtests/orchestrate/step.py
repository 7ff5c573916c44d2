"""One step of a capacity search: from a rate to a plan, and from its run to what the search must know of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.capacity.search import Step
from loadtests.errors import InputError
from loadtests.measure.histogram import Histogram
from loadtests.objectives.evaluate import Result
from loadtests.objectives.grammar import Objective, percentile
from loadtests.orchestrate.run import Outcome
from loadtests.pacing.stream import OpenLoad
from loadtests.report.breaking import first_to_break
from loadtests.report.evidence import Evidence
from loadtests.report.found import Limit, Party, StepResult
from loadtests.report.shortage import MACHINE, SHORT, Shortage, shortages_of
from loadtests.scenario.load import load_plan
from loadtests.scenario.meaning import why_not_abort
from loadtests.scenario.plan import Plan
from loadtests.scenario.schema import ObjectiveTable
from loadtests.settings import overrides
from loadtests.units import duration_text

SHOWN = ("p50", "p95", "p99")
GENERATOR_CHECKS = ("lateness", "cpu", "loop_lag", "memory", "clock")
"""Health checks that fail when the generator, or its machine, has too little of something."""
TARGET_CHECKS = ("reconnects", "sockets")
"""Those that fail when the target does not keep connections open."""


@dataclass(frozen=True)
class Stepper:
    """Makes plans of a scenario for any rate."""

    path: Path
    seed: str | None
    host: str | None
    step_s: float
    """Length of a step, the scenario's ramp, shortened in proportion, included."""
    plateau_s: float
    definition: str | None = None
    """File that defines the stack, where it is another one than the scenario's."""
    environ: Mapping[str, str] | None = None
    """Where overrides are looked for; None for the environment of this process."""

    def base(self) -> Plan:
        """The scenario as its file has it. Raises InputError for one whose rate cannot be chosen."""
        plan = self._loaded({})
        if plan.scenario.load.stages or not isinstance(plan.load, OpenLoad):
            raise InputError(
                f"scenario {plan.scenario.name}: a capacity search needs a load of one rate, with rate_per_user and duration; "
                "this one follows stages, the answers or a recording"
            )
        return plan

    def users(self, rate: float, per_user: float) -> int:
        """Users that offer a rate, to the nearest."""
        return max(1, round(rate / per_user))

    def plan(self, step: Step, per_user: float) -> Plan:
        """The scenario at this rate and length; what is missed for half of the steady part ends the load."""
        flags = {"users": str(self.users(step.rate, per_user)), "duration": duration_text(self.length_s(step))}
        return ending_early(self._loaded(flags))

    def _loaded(self, flags: Mapping[str, str]) -> Plan:
        plan = load_plan(self.path, overrides({**flags, "seed": self.seed, "host": self.host}, self.environ))
        return plan if self.definition is None else plan.with_stack(self.definition)

    def length_s(self, step: Step) -> float:
        """How long its load lasts."""
        return self.plateau_s if step.plateau else self.step_s


def ending_early(plan: Plan) -> Plan:
    """The plan whose load ends when an objective is missed over half of its steady part, unless its own table says when.

    Over so few seconds the requests at both ends are too large a part of a rate, and a gauge with a lower limit may still have
    to grow: these end nothing.
    """
    load = plan.scenario.load
    window_s = max(1.0, (load.total_s - load.ramp_up) / 2)
    tables: dict[str, str | ObjectiveTable] = {}
    for name, value in plan.scenario.objectives.items():
        table = ObjectiveTable(objective=value) if isinstance(value, str) else value
        if not table.abort_on_fail and _ends(plan.parsed_objectives[name]):
            table = table.model_copy(update={"abort_on_fail": True, "grace": load.ramp_up, "window": window_s})
        tables[name] = table
    scenario = plan.scenario.model_copy(update={"objectives": tables})
    return Plan(scenario=scenario, objectives=plan.objectives, notes=plan.notes, journeys=plan.journeys)


def _ends(objective: Objective) -> bool:
    if objective.metric.kind == "rate" or (objective.metric.kind == "gauge" and objective.comparison in (">", ">=")):
        return False
    return not list(why_not_abort(objective, staged=False))


def rate_of_one(plan: Plan) -> float:
    """Turns per second that each user of a load of one rate offers."""
    assert plan.offered_rate is not None, "the load is an open one"
    return round(plan.offered_rate / plan.scenario.load.users, 9)


def limits_of(plan: Plan) -> list[Limit]:
    """Limits of the percentiles that the curve shows."""
    return [
        Limit(name, objective.statistic or "", objective.threshold * 1e3)
        for name, objective in plan.parsed_objectives.items()
        if objective.metric.name == "response_time" and objective.selector is None and percentile(objective.statistic or "")
    ]


def result_of(number: int, step: Step, length_s: float, outcome: Outcome, embedded: bool, root: Path) -> StepResult:
    """What a run says; `embedded` when the stack shares the generator's machine."""
    evidence = Evidence.of(outcome.folder)
    verdict, found = outcome.verdict, shortages_of(evidence)
    unhealthy = [result for result in verdict.health if result.status == "fail"]
    party = None if verdict.word == "pass" else _party(unhealthy, evidence, found, embedded)
    return StepResult(
        number=number,
        rate=step.rate,
        users=evidence.plan.scenario.load.users,
        plateau=step.plateau,
        duration_s=length_s,
        verdict=verdict.word,
        passed=None if verdict.word == "invalid" and party is None else verdict.word == "pass",
        party=party,
        achieved=round(evidence.rate, 3),
        latency_ms=_latency_ms(evidence.total.response_time),
        broke=first_to_break(evidence, verdict) if party in ("target", "machine") else None,
        doubts=[f"{one.name}: {one.observed_text} (asked: {one.objective})" for one in unhealthy],
        shortages=found,
        folder=str(outcome.folder.path.relative_to(root)),
    )


def _latency_ms(times: Histogram) -> dict[str, float] | None:
    """The percentiles that are shown; None without answers, as a rate of less than one turn in a step has none."""
    return {name: times.quantile(float(f"0.{name[1:]}")) / 1e3 for name in SHOWN} if times.count else None


def _party(unhealthy: Sequence[Result], evidence: Evidence, found: Sequence[Shortage], embedded: bool) -> Party | None:
    """Who was short of a run that did not pass; None when that is not what was wrong with it."""
    parties = set(_parties(unhealthy, evidence))
    if None in parties:
        return None
    if "generator" in parties:
        used_up = any(one.name == MACHINE and one.use >= SHORT for one in found)
        alone = any(one.name == "cpu" for one in unhealthy)  # a core that it had for itself
        return "machine" if embedded and used_up and not alone else "generator"
    return "target"


def _parties(unhealthy: Sequence[Result], evidence: Evidence) -> Iterator[Party | None]:
    """Of each failed check."""
    for check in unhealthy:
        if check.observed is None:  # nothing was measured, so nothing was seen to be short
            yield None
        elif check.name in GENERATOR_CHECKS:
            yield "generator"
        elif check.name in TARGET_CHECKS:
            yield "target"
        elif check.name == "offered":
            # Turns were not sent because their user was still waiting for the target, or because the generator was late.
            counts = evidence.totals.counts
            yield "target" if counts.waiting and counts.waiting * 2 >= counts.dropped else "generator"
        else:
            yield None
