"""Can the generator be believed? Each check has a limit and an observed value; one that fails makes the run invalid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loadtests.measure.clocks import WorkerClock
from loadtests.measure.histogram import Histogram
from loadtests.objectives.clocks import judge_clocks
from loadtests.objectives.evaluate import Result
from loadtests.units import format_duration, format_size


@dataclass(frozen=True)
class HealthLimits:
    """Limits of the scenario's `[health]` table."""

    lateness_p99_s: float
    offered_ratio: float
    cpu: float
    """Cores of the busiest worker, on average over the run."""
    loop_lag_p99_s: float
    reconnects: float
    """Connections beyond the first of each user, per request."""
    sockets_per_user: float
    memory_bytes: float
    """Of the largest worker."""
    clock_s: float
    """Of the doubt about a worker's clock, and of its drift during the load."""


@dataclass(frozen=True)
class HealthFacts:
    """What is known about the generator, from the run's files."""

    finished: str | None
    """None when the load ran to its planned end, else what stopped it."""
    lost_workers: Sequence[str]
    """Workers that died or never sent their final report, in words."""
    missing_snapshots: int
    imbalances: Sequence[str]
    lateness: Histogram
    planned: int
    """Turns of the plan, from the plan alone; of a halted or a closed load, those whose moment came."""
    sent: int
    users_planned: int
    users_started: int
    journey_errors: int
    cpu: float | None
    """Cores of the busiest worker; None without windows."""
    loop_lag: Histogram
    connections: int
    """Connections that were opened."""
    requests: int
    most_sockets: int
    memory_bytes: int | None
    """Largest resident memory of a worker; None without windows."""
    waiting: int = 0
    """Turns not sent because their user still waited for the target; `waiting_users` had such turns."""
    waiting_users: int = 0
    late: int = 0
    """Turns not sent because the generator was too late for them."""
    clocks: Sequence[WorkerClock] | None = None
    """Of the workers that reported their end; None when nobody looked."""
    aborted: str = ""
    """What an objective did that ended the load before its time; that is a result, and nothing is wrong with it."""


def judge_health(facts: HealthFacts, limits: HealthLimits) -> list[Result]:
    """Every check, in the order in which a reader wants them."""
    return [
        _flag("complete", "the load ran to its planned end", facts.finished, facts.aborted),
        _flag("workers", "every worker reported its end, or others took over", "; ".join(facts.lost_workers) or None),
        _count("snapshots", "missing snapshots", facts.missing_snapshots),
        _flag("ledger", "the ledger balances", "; ".join(facts.imbalances) or None),
        _users(facts),
        _count("journeys", "journeys that raised an exception", facts.journey_errors),
        _lateness(facts, limits),
        _offered(facts, limits),
        *_generator(facts, limits),
        *([] if facts.clocks is None else [judge_clocks(facts.clocks, limits.clock_s)]),
    ]


SOURCES = {
    "complete": "events.jsonl",
    "workers": "events.jsonl",
    "snapshots": "events.jsonl",
    "ledger": "windows.jsonl, events.jsonl, tasks.jsonl",
    "users": "manifest.json, events.jsonl",
    "offered": "manifest.json, windows.jsonl",
    "reconnects": "windows.jsonl, events.jsonl",
    "sockets": "windows.jsonl, events.jsonl",
}
"""Files that a check rests on; of all others `windows.jsonl` alone."""


def _result(name: str, text: str, ok: bool, observed: float | None, shown: str, limit: float) -> Result:
    return Result(name, text, observed, shown, "pass" if ok else "fail", limit, SOURCES.get(name, "windows.jsonl"))


def _flag(name: str, text: str, trouble: str | None, fine: str = "") -> Result:
    return _result(name, text, trouble is None, float(trouble is None), trouble or fine or "yes", 1.0)


def _count(name: str, text: str, count: int) -> Result:
    return _result(name, f"{text} <= 0", count == 0, float(count), f"{count:,}", 0.0)


def _users(facts: HealthFacts) -> Result:
    text = f"users started >= {facts.users_planned:,}"
    ok = facts.users_started >= facts.users_planned
    started = facts.users_started
    return _result("users", text, ok, float(started), f"{started:,}", float(facts.users_planned))


def _lateness(facts: HealthFacts, limits: HealthLimits) -> Result:
    text = f"lateness.p99 <= {format_duration(limits.lateness_p99_s)}"
    if not facts.lateness.count:
        return _result("lateness", text, False, None, "no data", limits.lateness_p99_s)
    value = facts.lateness.quantile(0.99) / 1e6
    return _result("lateness", text, value <= limits.lateness_p99_s, value, format_duration(value), limits.lateness_p99_s)


def _offered(facts: HealthFacts, limits: HealthLimits) -> Result:
    text = f"offered >= {limits.offered_ratio * 100:g} % of planned"
    if not facts.planned:
        return _result("offered", text, False, None, "no data", limits.offered_ratio)
    ratio = facts.sent / facts.planned
    shown = "; ".join([f"{ratio * 100:.4g} % ({facts.sent:,} of {facts.planned:,})", *_unsent(facts)])
    return _result("offered", text, ratio >= limits.offered_ratio, ratio, shown, limits.offered_ratio)


def _unsent(facts: HealthFacts) -> Iterator[str]:
    """Who was short of the turns that were not sent."""
    if facts.waiting:
        yield f"the target: {facts.waiting_users:,} users were still waiting for it ({facts.waiting:,} turns)"
    if facts.late:
        yield f"the generator: it was too late for {facts.late:,} turns"
    unknown = facts.planned - facts.sent - facts.waiting - facts.late
    if unknown > 0:
        yield f"nobody reported {unknown:,} turns"


def _generator(facts: HealthFacts, limits: HealthLimits) -> Iterator[Result]:
    """The workers' own use of their machines; nothing of a load that never began, which `complete` says."""
    if facts.cpu is None:
        return
    yield _at_most("cpu", "cpu of the busiest worker", facts.cpu, limits.cpu, lambda cores: f"{cores * 100:.3g} %")
    lag_s = facts.loop_lag.quantile(0.99) / 1e6 if facts.loop_lag.count else None
    yield _at_most("loop_lag", "loop_lag.p99", lag_s, limits.loop_lag_p99_s, format_duration)
    again = max(0, facts.connections - facts.users_started)
    ratio = again / facts.requests if facts.requests else None
    yield _at_most(
        "reconnects", "reconnects per request", ratio, limits.reconnects, lambda value: f"{value * 100:.3g} %", f" ({again:,})"
    )
    per_user = facts.most_sockets / facts.users_started if facts.users_started else None
    sockets = f" ({facts.most_sockets:,})"
    yield _at_most("sockets", "open sockets per user", per_user, limits.sockets_per_user, lambda value: f"{value:.3g}", sockets)
    yield _at_most("memory", "memory of the largest worker", facts.memory_bytes, limits.memory_bytes, format_size)


def _at_most(name: str, what: str, value: float | None, limit: float, shown: Callable[[float], str], more: str = "") -> Result:
    text = f"{what} <= {shown(limit)}"
    if value is None:
        return _result(name, text, False, None, "no data", limit)
    return _result(name, text, value <= limit, float(value), shown(value) + more, limit)
