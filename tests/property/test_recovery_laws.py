"""Laws of recovery times: whatever a run looked like."""

from hypothesis import given
from hypothesis import strategies as st

from loadtests.report.recovery import GOOD_SECONDS, Course, Second, effects
from loadtests.scenario.system import Fault

KINDS = {
    "good": (3, {}, 0.2, 0.2),
    "failed": (3, {"status_503": 1}, 0.2, 0.2),
    "slow": (3, {}, 2.0, 2.0),
    "hung": (3, {"read_timeout": 1}, 6.5, 6.5),
    "silent": (0, {}, 0.0, 0.0),
}
BAD = ["failed", "slow", "hung"]
FAULT = Fault.model_validate({"at": "1s", "service": "redis", "kind": "kill"})
runs = st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=30)
moments = st.integers(0, 30_000).map(lambda ms: ms / 1000)
lengths = st.integers(0, 10_000).map(lambda ms: ms / 1000)


def recovery(kinds: list[str], begin_s: float, lasts_s: float, first: int = 0) -> float | None:
    """The recovery time of one fault in a run whose seconds are of these kinds."""
    seconds = [Second(first + number, *KINDS[kind]) for number, kind in enumerate(kinds)]
    (effect,) = effects([Course(1, FAULT, begin_s, begin_s + lasts_s)], seconds, float(first + len(kinds)), users=1)
    return effect.recovery_s


@given(runs, moments, lengths)
def test_a_time_lies_within_the_load_and_good_seconds_follow(kinds: list[str], begin_s: float, lasts_s: float) -> None:
    """Never below 0, and after it come three seconds with answers of which none is bad, all after the fault."""
    time_s = recovery(kinds, begin_s, lasts_s)
    if time_s is None:
        return
    assert time_s >= 0.0
    recovered_s = round(begin_s + time_s, 6)
    later = [kind for number, kind in enumerate(kinds) if number >= max(recovered_s, begin_s + lasts_s) and kind != "silent"]
    assert later[:GOOD_SECONDS] == ["good"] * GOOD_SECONDS


@given(runs, moments, lengths, st.data())
def test_more_harm_is_never_recovered_from_sooner(
    kinds: list[str], begin_s: float, lasts_s: float, data: st.DataObject
) -> None:
    """One good second that turns bad makes the time longer, or unknown, or changes nothing."""
    worse = list(kinds)
    worse[data.draw(st.integers(0, len(kinds) - 1))] = data.draw(st.sampled_from(BAD))
    before, after = recovery(kinds, begin_s, lasts_s), recovery(worse, begin_s, lasts_s)
    if all(old in ("good", new) for old, new in zip(kinds, worse, strict=True)) and after is not None:
        assert before is not None and after >= before


@given(runs, st.integers(0, 29), lengths, st.integers(1, 1000))
def test_the_start_of_the_clock_does_not_matter(kinds: list[str], begin: int, lasts_s: float, later: int) -> None:
    """The same run later is recovered from as fast."""
    assert recovery(kinds, begin, lasts_s) == recovery(kinds, begin + later, lasts_s, first=later)


@given(runs, moments, lengths)
def test_a_good_end_is_a_recovery(kinds: list[str], begin_s: float, lasts_s: float) -> None:
    """With three good seconds after everything there is a time, and it reaches no further than the last bad second."""
    before = max(len(kinds), int(begin_s + lasts_s) + 1)
    whole = [*kinds, *["silent"] * (before - len(kinds)), *["good"] * GOOD_SECONDS]
    time_s = recovery(whole, begin_s, lasts_s)
    bad = [number + 1 for number, kind in enumerate(kinds) if kind in BAD]
    assert time_s is not None and time_s <= max(0.0, max(bad, default=0) - begin_s) + 1e-9
