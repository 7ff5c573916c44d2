"""Laws of replays: nothing is lost between a log, its scenario and the stream that it offers."""

import tempfile
from collections import Counter
from itertools import chain
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.pacing.mix import Mix
from loadtests.pacing.recorded import RecordedLoad
from loadtests.pacing.shard import shard
from loadtests.pacing.stream import DIGEST_MODULUS, planned_stream, planned_turns, turns_between, turns_of
from loadtests.scenario.rates import MOST_STAGES, stage_counts, users_for
from loadtests.traffic.access_log import Reading, hits
from loadtests.traffic.recording import read_recording, write_recording
from loadtests.traffic.tally import Tally, Wanted
from tests.unit.access_logs import main_line

MOMENTS_MS = st.lists(st.integers(0, 200_000), min_size=1, max_size=60)
REQUESTS = ("GET /api/v1/tasks HTTP/1.1", "POST /api/v1/tasks HTTP/1.1", "GET /a?b=c HTTP/1.1")


@st.composite
def recordings(draw: st.DrawFn) -> RecordedLoad:
    """A recorded load, part of which may come after its end."""
    moments_us = sorted(draw(st.lists(st.integers(0, 20_000_000), min_size=1, max_size=60)))
    journeys = draw(st.lists(st.integers(0, 2), min_size=len(moments_us), max_size=len(moments_us)))
    duration_s, speed = draw(st.floats(0.1, 25)), draw(st.floats(0.1, 10))
    return RecordedLoad(moments_us, journeys, draw(st.integers(1, 9)), duration_s, speed)


@given(load=recordings(), workers=st.integers(1, 6), seed=st.integers(0, 2**63))
def test_recorded_stream_does_not_depend_on_the_number_of_workers(load: RecordedLoad, workers: int, seed: int) -> None:
    """Shards add up to the same turns and the same digest as one worker alone, and to the number that was planned."""
    mix = Mix([1, 1, 1])
    turns, digest = planned_stream(load, mix, seed, range(load.users))
    parts = [planned_stream(load, mix, seed, shard(load.users, index, workers)) for index in range(workers)]
    assert sum(part[0] for part in parts) == turns == planned_turns(load, mix, seed, load.users)
    assert sum(part[1] for part in parts) % DIGEST_MODULUS == digest


@given(load=recordings(), users=st.integers(1, 9), seed=st.integers(0, 2**63))
def test_recorded_turns_are_those_of_the_recording(load: RecordedLoad, users: int, seed: int) -> None:
    """However many users share them, together they have each once, before the end, and each user's in order of time."""
    shared = RecordedLoad(load.moments_us, load.journeys, users, load.duration_s, load.speed)
    by_user = [[turn[:2] for turn in turns_of(shared, Mix([1, 1, 1]), seed, user)] for user in range(users)]
    due = [(us / 1e6 / load.speed, journey) for us, journey in zip(load.moments_us, load.journeys, strict=True)]
    assert sorted(chain.from_iterable(by_user)) == sorted(one for one in due if one[0] < load.duration_s)
    assert all([due_s for due_s, _ in turns] == sorted(due_s for due_s, _ in turns) for turns in by_user)


@given(load=recordings(), from_s=st.floats(-1, 30), length_s=st.floats(0, 30))
def test_recorded_turns_between_two_moments(load: RecordedLoad, from_s: float, length_s: float) -> None:
    """As many as are due there."""
    due = [turn.due_s for user in range(load.users) for turn in turns_of(load, Mix([1, 1, 1]), 1, user)]
    to_s = from_s + length_s
    assert turns_between(load, 1, load.users, from_s, to_s) == sum(from_s <= due_s < to_s for due_s in due)


@given(counts=st.dictionaries(st.integers(0, 100_000), st.integers(1, 500), min_size=1, max_size=50), data=st.data())
def test_stages_lose_no_request(counts: dict[int, int], data: st.DataObject) -> None:
    """Their counts and lengths add up to the log's, and they are no more than MOST_STAGES."""
    first, last = min(counts), max(counts)
    begin_s = first + data.draw(st.integers(0, 999)) / 1000
    end_s = max(last + data.draw(st.integers(1, 1000)) / 1000, begin_s + 0.001)
    pieces = stage_counts(counts, begin_s, end_s)
    assert sum(count for _, count in pieces) == sum(counts.values())
    assert abs(sum(length_s for length_s, _ in pieces) - (end_s - begin_s)) < 1e-6
    assert all(length_s > 0 for length_s, _ in pieces)
    assert len(pieces) <= MOST_STAGES + 1
    users, total = users_for(pieces), sum(counts.values())
    assert users <= max(10, total)  # a log of a moment has a high rate, and needs no crowd
    assert users >= min(10, total)
    assert users >= total or all(count <= users * length_s * (1 + 1e-9) for length_s, count in pieces)


@given(moments_ms=st.lists(st.integers(0, 2_000_000), min_size=1, max_size=60))
def test_each_stage_has_the_requests_that_came_in_it(moments_ms: list[int]) -> None:
    """Whatever the width of the stages, and where the log begins and ends within a second."""
    begin_ms, end_ms = min(moments_ms), max(moments_ms) + 1
    edges_ms = [begin_ms]
    pieces = stage_counts(Counter(ms // 1000 for ms in moments_ms), begin_ms / 1000, end_ms / 1000)
    for length_s, count in pieces:
        edges_ms.append(edges_ms[-1] + round(length_s * 1000))
        assert count == sum(edges_ms[-2] <= ms < edges_ms[-1] for ms in moments_ms)
    assert edges_ms[-1] == end_ms


@given(counts=st.dictionaries(st.integers(0, 280), st.integers(1, 50), min_size=1, max_size=50))
def test_each_second_of_a_short_log_has_its_own_count(counts: dict[int, int]) -> None:
    """With whole seconds at both ends there is a stage a second."""
    first, end = min(counts), max(counts) + 1
    assert [count for _, count in stage_counts(counts, first, end)] == [counts.get(second, 0) for second in range(first, end)]


@settings(max_examples=60)
@given(requests=st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from(REQUESTS)), min_size=1, max_size=60))
def test_exact_moments_come_back(requests: list[tuple[int, str]]) -> None:
    """What is written to a recording, and read again, is what the log says, to the millisecond, from the first request on."""
    tally = Tally(Wanted(exact=True))
    for hit in hits([main_line(at_ms / 1000, request, took_s=at_ms % 7 / 10) for at_ms, request in requests], Reading()):
        tally.add(hit)
    names = {(index, 0): one.title for index, one in enumerate(tally.endpoints)}
    indices = {name: index for (index, _), name in names.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_recording(Path(folder) / "a.moments", ((at_us, names[place]) for at_us, place in tally.in_order()))
        moments_us, found = read_recording(Path(folder) / "a.moments", indices)
    first_ms = min(at_ms for at_ms, _ in requests)
    expected = sorted(((at_ms - first_ms) * 1000, request.rsplit(" ", 1)[0].partition("?")[0]) for at_ms, request in requests)
    titles = list(indices)
    assert sorted((us, titles[index]) for us, index in zip(moments_us, found, strict=True)) == expected
    assert list(moments_us) == sorted(moments_us)
