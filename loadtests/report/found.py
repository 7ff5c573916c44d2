"""`capacity.json`: what a search for the capacity tried, in order, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from loadtests.capacity.search import Answer, Bounds, Step, Tried, interval
from loadtests.exitcodes import ExitCode
from loadtests.report.breaking import Broken
from loadtests.report.shortage import MACHINE, Shortage, short_words
from loadtests.units import format_duration, significant

VERSION = 1
Party = Literal["target", "machine", "generator"]
"""Who was short: `machine` where stack and generator share one, and it was used up."""
QUEUE = "celery_queue_depth("


@dataclass(frozen=True)
class StepResult:
    """One run of the search."""

    number: int
    """From 1, in the order in which they ran."""
    rate: float
    """Turns per second that were offered in the steady part."""
    users: int
    plateau: bool
    duration_s: float
    verdict: str
    passed: bool | None
    """None: the run says nothing, because something else than the load went wrong with it."""
    party: Party | None
    """Who was short of a step that did not pass."""
    achieved: float
    """Requests per second that were answered without failure."""
    latency_ms: Mapping[str, float] | None
    """Of all requests: p50, p95, p99; None without answers."""
    broke: Broken | None
    """The objective that was missed first; None where none was, or where the run was not to be believed."""
    doubts: Sequence[str]
    """What is wrong with a run that is not to be believed."""
    shortages: Sequence[Shortage]
    folder: str
    """Relative to that of `capacity.json`."""

    @property
    def why(self) -> str:
        """Why it did not pass, in one line; empty when it did."""
        if self.passed:
            return ""
        if self.broke is not None:
            return f"{self.broke.name}: {self.broke.observed_text} (asked: {self.broke.objective})"
        return "; ".join(self.doubts)

    def to_json(self) -> dict[str, Any]:
        """As `capacity.json` has it."""
        return {
            **{name: value for name, value in vars(self).items() if name not in ("broke", "shortages")},
            "latency_ms": None if self.latency_ms is None else dict(self.latency_ms),
            "doubts": list(self.doubts),
            "first_to_break": None if self.broke is None else self.broke.to_json(),
            "shortages": [one.to_json() for one in self.shortages],
        }


@dataclass(frozen=True)
class Limit:
    """A limit of response times, for the chart: a percentile of all requests, in milliseconds."""

    name: str
    percentile: str
    value_ms: float


@dataclass
class Found:
    """A search, as far as it has come."""

    scenario: str
    bounds: Bounds
    settings: Mapping[str, str]
    """Of the stack, that were chosen for this search."""
    limits: Sequence[Limit]
    steps: list[StepResult] = field(default_factory=list)
    answer: Answer | None = None
    """None while it goes on, and of one that was ended before its time."""
    trouble: str | None = None
    """What ended it before its time."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Commit, machine and the like, from the first run's manifest."""

    @property
    def tried(self) -> list[Tried]:
        """As the search has it: without runs that say nothing."""
        return [Tried(Step(one.rate, one.plateau), one.passed) for one in self.steps if one.passed is not None]

    @property
    def passing(self) -> float | None:
        """The highest rate that passed."""
        return interval(self.tried, self.bounds.tries)[0]

    @property
    def failing(self) -> float | None:
        """The lowest rate that failed as often as it takes."""
        return interval(self.tried, self.bounds.tries)[1]

    @property
    def breaking(self) -> StepResult | None:
        """The step that says what the limit is: the last that failed at the lowest failing rate, by the target if one was."""
        failed = [one for one in self.steps if one.passed is False and one.rate == self.failing]
        order: Sequence[Party | None] = ("generator", "machine", "target")
        return max(failed, key=lambda one: (order.index(one.party), one.number), default=None)

    @property
    def confirmation(self) -> StepResult | None:
        """The plateau that passed at the answer's rate."""
        confirmed = self.answer is not None and self.answer.kind == "confirmed"
        return self.steps[-1] if confirmed else None

    @property
    def exit_code(self) -> ExitCode:
        """Of a search that came to its end."""
        if self.breaking is not None and self.breaking.party == "generator":
            return ExitCode.INVALID
        return ExitCode.PASS if self.confirmation is not None else ExitCode.FAIL

    def sentences(self) -> list[str]:
        """The answer, what broke first, what was short, and what else must be known of it."""
        told = [_answer(self)]
        breaking = self.breaking
        if breaking is not None:
            told.append(f"At {rate_text(breaking.rate)} broke first: {breaking.why}")
            told.append(f"Short at {rate_text(breaking.rate)}: {short_words(breaking.shortages)}")
            told += _parties(breaking, shared=self.provenance.get("stack") == "embedded")
        if self.confirmation is not None:
            growing = [one.words for one in self.confirmation.shortages if one.name.startswith(QUEUE) and one.short]
            told += [f"This rate does not last: {words} within {self.confirmation.duration_s:g} s" for words in growing]
        return told

    def to_json(self) -> dict[str, Any]:
        """The whole file."""
        breaking, confirmation = self.breaking, self.confirmation
        return {
            "version": VERSION,
            "scenario": self.scenario,
            **self.provenance,
            "settings": dict(self.settings),
            "bounds": asdict(self.bounds),
            "answer": {
                "kind": self.answer.kind if self.answer else "unfinished",
                "rate": self.passing,
                "interval": [self.passing, self.failing],
                "upper_bound_passed": self.answer is not None and self.answer.bounded,
                "first_to_break": None if breaking is None or breaking.broke is None else breaking.broke.to_json(),
                "short_party": None if breaking is None else breaking.party,
                "shortages": [] if breaking is None else [one.to_json() for one in breaking.shortages],
                "confirmed_by": None if confirmation is None else confirmation.number,
                "text": self.sentences(),
            },
            "trouble": self.trouble,
            "limits": [asdict(limit) for limit in self.limits],
            "steps": [step.to_json() for step in self.steps],
        }


def rate_text(rate: float) -> str:
    """A rate for people: `1,250/s`, `12.5/s`."""
    return f"{rate:,.0f}/s" if rate >= 1000 or rate == round(rate) else f"{significant(rate)}/s"


def _answer(found: Found) -> str:
    low, high = found.passing, found.failing
    if low is None:
        word = "none passed" if found.answer is not None else "unknown"
        tried = "nothing was tried" if high is None else f"the lowest rate that was tried, {rate_text(high)}, failed"
        return f"CAPACITY: {word}; {tried}"
    between = "nothing higher failed" if high is None else f"{rate_text(high)} failed"
    if found.answer is not None and found.answer.bounded:
        between = "the upper bound passed, so it may be more"
    confirmation = found.confirmation
    if confirmation is None:
        return f"CAPACITY: {rate_text(low)}, not confirmed; {between}"
    length = format_duration(confirmation.duration_s)
    return f"CAPACITY: {rate_text(low)}, confirmed over {length} with {confirmation.users:,} users; {between}"


def _parties(step: StepResult, shared: bool) -> list[str]:
    """Who was short, where it was not the target alone; `shared` when stack and generator have one machine."""
    used_up = any(one.name == MACHINE and one.short for one in step.shortages)
    if step.party == "generator":
        doubts = "; ".join(step.doubts)
        return [f"The generator was short before the target: {doubts}. Give it more workers, or a machine of its own"]
    if step.party == "machine" or (shared and used_up):
        return ["Generator and stack share this machine, and it was used up: on machines of their own the stack may take more"]
    return []
