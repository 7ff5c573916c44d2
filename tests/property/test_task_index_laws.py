"""The index of accepted tasks is a dictionary, whatever is told in whatever order and parts."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtests.store.tasks import State, TaskIndex

FINAL = frozenset({"completed", "failed"})
IDS = st.sampled_from([f"task-{number}" for number in range(12)])
STATUSES = st.sampled_from(["queued", "processing", "completed", "failed"])
MOMENTS = st.none() | st.floats(0, 1e9)
RECORDS = st.builds(
    lambda task, user, due_s: {"id": task, "user": user, "request": "r", "due_s": due_s, "accepted_s": due_s + 1},
    st.sampled_from([f"task-{number}" for number in range(8)]),
    st.integers(0, 3),
    st.floats(0, 100),
)
ROUNDS = st.lists(st.lists(st.builds(State, IDS, STATUSES, MOMENTS, MOMENTS), max_size=8), max_size=6)


def _outcome(state: State | None) -> str:
    if state is None:
        return "lost"
    return state.status if state.status in FINAL else "unfinished"


@given(st.lists(RECORDS, max_size=15), ROUNDS)
def test_index_agrees_with_a_dictionary(records: list[dict[str, Any]], rounds: list[list[State]]) -> None:
    """Each accepted id has one outcome, of the last word about it; extra is what was seen and never accepted."""
    accepted = {record["id"]: record for record in reversed(records)}
    told = {state.task_id: state for states in rounds for state in states}
    known = {task: told[task] for task in accepted if task in told}
    open_ids = {task for task in accepted if task not in known or known[task].status not in FINAL}
    with TemporaryDirectory() as place, TaskIndex(Path(place)) as index:
        index.fill(records)
        for states in rounds:
            index.note(states, FINAL)
        written = list(index.records(("completed",), ("failed",), "lost"))
        counts = (index.accepted, index.known, index.open, index.duplicated, index.extra)
        assert index.names("extra") == sorted(told.keys() - accepted.keys())
        assert {task for ids in index.open_ids(3) for task in ids} == open_ids
        by_user = dict(index.open_by_user())
    assert counts == (
        len(accepted),
        len(known),
        len(open_ids),
        len(records) - len(accepted),
        len(told.keys() - accepted.keys()),
    )
    assert [record["id"] for record in written] == list(dict.fromkeys(record["id"] for record in records))
    for record in written:
        state, first = told.get(record["id"]), accepted[record["id"]]
        assert record["outcome"] == _outcome(state)
        assert {key: record[key] for key in first} == first
        assert (record["started"], record["ended"]) == ((state.started, state.ended) if state else (None, None))
    assert {task: user for user, ids in by_user.items() for task in ids} == {task: accepted[task]["user"] for task in open_ids}


@given(st.lists(RECORDS, max_size=15), ROUNDS, ROUNDS)
def test_what_is_told_once_more_changes_nothing(
    records: list[dict[str, Any]], rounds: list[list[State]], others: list[list[State]]
) -> None:
    """One batch or many, told once or again: the same books."""
    parts = [*rounds, *others]
    whole = [state for states in parts for state in states]
    assert _books(records, parts) == _books(records, [whole]) == _books(records, [*parts, whole])


def _books(records: list[dict[str, Any]], rounds: list[list[State]]) -> tuple[list[dict[str, Any]], list[str], int, int]:
    with TemporaryDirectory() as place, TaskIndex(Path(place)) as index:
        index.fill(records)
        for states in rounds:
            index.note(states, FINAL)
        return list(index.records(("completed",), ("failed",), "lost")), index.names("extra"), index.known, index.open
