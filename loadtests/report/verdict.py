"""The verdict: a pure function of the run's files. Health first, for what cannot be believed is neither met nor missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loadtests.exitcodes import ExitCode
from loadtests.objectives.clocks import clock_notes
from loadtests.objectives.evaluate import Result, evaluate
from loadtests.objectives.health import HealthLimits, judge_health
from loadtests.report.evidence import Evidence
from loadtests.scenario.schema import Health

VERSION = 1
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
    objectives = [evaluate(name, objective, facts) for name, objective in evidence.plan.parsed_objectives.items()]
    word: Word = "pass"
    if any(result.status == "fail" for result in health):
        word = "invalid"
    elif any(result.status == "fail" for result in objectives):
        word = "fail"
    notes = clock_notes(evidence.clocks or (), evidence.plan.scenario.health.clock)
    return Verdict(word, objectives, health, (*evidence.plan.notes, *notes))


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
