"""Can the workers' clocks be believed? How far one is off was measured and taken out; what counts is how sure that is."""

from collections.abc import Iterable, Sequence

from loadtests.measure.clocks import WorkerClock
from loadtests.objectives.evaluate import Result
from loadtests.units import format_duration


def judge_clocks(clocks: Sequence[WorkerClock], limit_s: float) -> Result:
    """The worst clock's doubt or drift against the limit; one that gave no time at its end has no known drift, and fails."""
    silent = [clock.name for clock in clocks if clock.end is None]
    worst = max(clocks, key=lambda clock: clock.error_s, default=None)
    if silent:
        observed, shown = None, f"{', '.join(silent)} gave no time at the end"
    elif worst is None:
        observed, shown = None, "no data"
    else:
        observed, shown = worst.error_s, _described(worst)
    ok = observed is not None and observed <= limit_s
    text = f"doubt and drift of each worker's clock <= {format_duration(limit_s)}"
    return Result("clock", text, observed, shown, "pass" if ok else "fail", limit_s, "events.jsonl")


def clock_notes(clocks: Iterable[WorkerClock], limit_s: float) -> list[str]:
    """What a reader should know of clocks that are further off than the limit."""
    return [
        f"{one.name}'s clock is {offset_text(one.begin.offset_s)}; taken out"
        for one in clocks
        if abs(one.begin.offset_s) > limit_s
    ]


def _described(clock: WorkerClock) -> str:
    way = "forward" if clock.drift_s > 0 else "back"
    drift = f"drifted {format_duration(abs(clock.drift_s))} {way}" if clock.drift_s else "no drift"
    return f"{clock.name}: {offset_text(clock.begin.offset_s)} ± {format_duration(clock.doubt_s)}, {drift}"


def offset_text(seconds: float) -> str:
    """How far a clock is ahead of another."""
    if not seconds:
        return "0 us off"
    size = f"{abs(seconds):,.0f} s" if abs(seconds) >= 10 else format_duration(abs(seconds))
    return f"{size} {'ahead' if seconds > 0 else 'behind'}"
