"""The verdict: a pure function of the run's files. Health first, for what cannot be believed is neither met nor missed."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from loadtests.exitcodes import ExitCode
from loadtests.objectives.clocks import clock_notes
from loadtests.objectives.evaluate import Result, evaluate
from loadtests.objectives.grammar import format_interval
from loadtests.objectives.health import HealthLimits, judge_health
from loadtests.report.evidence import Evidence
from loadtests.scenario.schema import Health

VERSION = 2
"""Of `verdict.json`; 1 knew no intervals."""
MOST_NAMED = 5
"""Objectives that share a note."""
Word = Literal["pass", "fail", "invalid"]
EXIT_CODES: dict[Word, ExitCode] = {"pass": ExitCode.PASS, "fail": ExitCode.FAIL, "invalid": ExitCode.INVALID}


@dataclass(frozen=True)
class Verdict:
    """One word and what it rests on."""

    word: Word
    objectives: Sequence[Result]
    health: Sequence[Result]
    notes: Sequence[str]

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return EXIT_CODES[self.word]

    def to_json(self) -> dict[str, Any]:
        """As `verdict.json` has it."""
        return {
            "version": VERSION,
            "verdict": self.word,
            "notes": list(self.notes),
            "objectives": [result.to_json() for result in self.objectives],
            "health": [result.to_json() for result in self.health],
        }


def judge(evidence: Evidence) -> Verdict:
    """Invalid when any health check fails; else fail when any objective does; else pass."""
    health = judge_health(evidence.health_facts(), health_limits(evidence.plan.scenario.health))
    facts = evidence.facts()
    judged = (evaluate(name, objective, facts) for name, objective in evidence.plan.parsed_objectives.items())
    objectives = [_as_aborted(result, evidence.aborts.get(result.name)) for result in judged]
    word: Word = "pass"
    if any(result.status == "fail" for result in health):
        word = "invalid"
    elif any(result.status == "fail" for result in objectives):
        word = "fail"
    notes = [
        *evidence.plan.notes,
        *_aborts(evidence),
        *_doubts(evidence, objectives),
        *_clocks(evidence),
        *_silences(evidence),
        *_take_overs(evidence),
        *_following(evidence),
        *_gaps(evidence),
    ]
    return Verdict(word, objectives, health, notes)


def _as_aborted(result: Result, abort: Mapping[str, Any] | None) -> Result:
    """The result that ended the load is what it was then, even if the whole load looks better."""
    if abort is None:
        return result
    text = f"{abort['observed_text']} over the last {abort['window_s']} s"
    return replace(result, observed=abort["observed"], observed_text=text, status="fail", interval=None, decided=True)


def _aborts(evidence: Evidence) -> Iterator[str]:
    """That the load ended before its time, and by what."""
    for name, abort in evidence.aborts.items():
        yield f"aborted {abort['at_s']:g} s into the load by {name}; everything else is judged of what was done until then"


def _doubts(evidence: Evidence, results: Sequence[Result]) -> Iterator[str]:
    """Objectives whose limit lies within what chance leaves open; those of too few values together, as small runs have many."""
    open_ended = [result.name for result in results if not result.decided and result.open_ended]
    if open_ended:
        more = f" and {len(open_ended) - MOST_NAMED} more" if len(open_ended) > MOST_NAMED else ""
        names = ", ".join(open_ended[:MOST_NAMED]) + more
        yield f"{names}: too few values to tell how high they may be, so another run may say otherwise"
    for result in results:
        if result.interval is not None and not result.decided and not result.open_ended:
            objective = evidence.plan.parsed_objectives[result.name]
            limit = objective.format_value(objective.threshold)
            within = format_interval(objective.metric, *result.interval)
            yield f"{result.name}: the limit of {limit} lies within {within}, so another run may say otherwise"


def _clocks(evidence: Evidence) -> Iterable[str]:
    """Clocks of workers that were off."""
    return clock_notes(evidence.clocks or (), evidence.plan.scenario.health.clock)


def _silences(evidence: Evidence) -> Iterator[str]:
    """Workers that the master did not hear for a while; what became of those that were lost is told elsewhere."""
    for event in evidence.events_of("worker_silent"):
        until = "before the load" if event["at_s"] is None else f"until {event['at_s']:.1f} s into the load"
        yield f"{event['name']} was not heard for {event['silent_s']:g} s, {until}; it went on, and reported it afterwards"


def _take_overs(evidence: Evidence) -> Iterator[str]:
    """Workers that were lost in a load that may go on without them."""
    losses = evidence.losses
    if losses.compensated:
        hole = (
            f"{losses.missed:,} were missed" if losses.missed else f"users were away for {losses.away * 100:.2g} % of the load"
        )
        yield "; ".join([*losses.compensated, f"{losses.unreported:,} turns at the most are unreported, {hole}"])


def _following(evidence: Evidence) -> Iterator[str]:
    """That it is not known what became of the accepted tasks."""
    if evidence.tasks is not None and evidence.tasks.trouble is not None:
        yield f"accepted tasks could not all be followed to their end: {evidence.tasks.trouble}"
    elif evidence.tasks is not None and evidence.tasks.rows_trouble is not None:
        yield f"tasks that nobody accepted could not be looked for: {evidence.tasks.rows_trouble}"


def _gaps(evidence: Evidence) -> Iterator[str]:
    """Probes that could not be had, did not keep up or did not answer, whether an objective needed them or not."""
    for name, reason in sorted(evidence.probed.absent.items()):
        yield f"{name}: not available: {reason}"
    for name, rounds in sorted(evidence.probed.rare.items()):
        yield f"{name}: {rounds:,} of {math.ceil(evidence.end_s):,} rounds"
    for name, (rounds, reason) in sorted(evidence.probed.gaps.items()):
        yield f"{name}: no answer in {rounds:,} of {math.ceil(evidence.end_s):,} s ({reason})"


def health_limits(health: Health) -> HealthLimits:
    """The limits of a scenario's `[health]` table."""
    return HealthLimits(
        lateness_p99_s=health.lateness_p99,
        offered_ratio=health.offered,
        cpu=health.cpu,
        loop_lag_p99_s=health.loop_lag_p99,
        reconnects=health.reconnects,
        sockets_per_user=health.sockets_per_user,
        memory_bytes=health.memory,
        clock_s=health.clock,
    )
