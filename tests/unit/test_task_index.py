"""Accepted tasks while they are followed: what is counted, what is asked for again, what is written."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import RunError
from loadtests.store import tasks as store
from loadtests.store.tasks import State, TaskIndex

FINAL = ("completed", "failed")


def accepted(*ids: str, user: int = 0) -> list[dict[str, Any]]:
    """Records of a user's accepted tasks, due one second after the other."""
    return [
        {"id": one, "user": user, "due_s": float(number), "accepted_s": number + 0.5, "request": "create_task"}
        for number, one in enumerate(ids)
    ]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TaskIndex]:
    """An index without tasks."""
    with TaskIndex(tmp_path) as index:
        yield index


def outcomes(index: TaskIndex) -> dict[str, str]:
    """Each task's outcome; what is not known is lost."""
    return {record["id"]: record["outcome"] for record in index.records(("completed",), ("failed",), "lost")}


def test_each_status_has_its_outcome(index: TaskIndex) -> None:
    """Completed, failed, neither (unfinished), or nothing at all (lost)."""
    index.fill(accepted("a", "b", "c", "d"))
    index.note([State("a", "completed", 1.0, 2.0), State("b", "failed"), State("c", "new to us")], FINAL)
    assert outcomes(index) == {"a": "completed", "b": "failed", "c": "unfinished", "d": "lost"}
    assert (index.accepted, index.known, index.open, index.duplicated, index.extra) == (4, 3, 2, 0, 0)


def test_record_carries_what_was_accepted_and_what_was_told(index: TaskIndex) -> None:
    """A line of tasks.jsonl, key by key."""
    index.fill(accepted("a", "b", user=7))
    index.note([State("b", "completed", 11.0, 12.0)], FINAL)
    _, record = index.records(("completed",), (), "lost")
    assert record == {
        "id": "b",
        "user": 7,
        "request": "create_task",
        "due_s": 1.0,
        "accepted_s": 1.5,
        "status": "completed",
        "started": 11.0,
        "ended": 12.0,
        "outcome": "completed",
    }


def test_records_come_in_the_order_of_acceptance(index: TaskIndex) -> None:
    """Whatever their ids are."""
    index.fill(accepted("z", "a", "m"))
    assert list(outcomes(index)) == ["z", "a", "m"]


def test_only_tasks_without_an_end_are_asked_for(index: TaskIndex) -> None:
    """In batches; a task that ended while they are gone through is not asked for any more."""
    index.fill(accepted("a", "b", "c", "d", "e"))
    index.note([State("a", "completed"), State("b", "processing")], FINAL)
    batches = index.open_ids(2)
    assert next(batches) == ["b", "c"]
    index.note([State("d", "failed")], FINAL)
    assert list(batches) == [["e"]]
    assert list(chain(*index.open_ids())) == ["b", "c", "e"]


def test_open_tasks_of_each_user(index: TaskIndex) -> None:
    """Users whose tasks have all ended are left alone."""
    index.fill([*accepted("a", "b", user=3), *accepted("c", user=1), *accepted("d", user=2)])
    index.note([State("a", "completed"), State("d", "failed")], FINAL)
    assert list(index.open_by_user()) == [(1, {"c"}), (3, {"b"})]


def test_later_word_replaces_the_one_before(index: TaskIndex) -> None:
    """A task that is told of in every round has the last status and the last moments, and is counted once."""
    index.fill(accepted("a"))
    for state in (State("a", "queued"), State("a", "processing", 1.0), State("a", "completed", 1.0, 2.0)):
        index.note([state], FINAL)
    (record,) = index.records(("completed",), (), "lost")
    assert (record["status"], record["started"], record["ended"]) == ("completed", 1.0, 2.0)
    assert (index.known, index.open) == (1, 0)


def test_id_that_comes_again_is_one_task(index: TaskIndex) -> None:
    """It keeps its first record; each time more is counted; the id is named once."""
    index.fill([*accepted("a", "b", "a", user=1), *accepted("a", user=2)])
    assert (index.accepted, index.duplicated, index.names("again")) == (2, 2, ["a"])
    first, _ = index.records((), (), "lost")
    assert (first["id"], first["user"], first["due_s"]) == ("a", 1, 0.0)
    index.note([State("a", "completed")], FINAL)
    assert index.known == 1


def test_tasks_that_nobody_accepted(index: TaskIndex) -> None:
    """They are counted once, however often they are seen, and are no accepted task's business."""
    index.fill(accepted("a"))
    index.note([State("x", "completed"), State("a", "processing"), State("x", "completed")], FINAL)
    index.note_extra(["y", "a", "x"])
    assert (index.extra, index.names("extra")) == (2, ["x", "y"])
    assert (index.accepted, index.known, index.open) == (1, 1, 1)


def test_extra_task_beside_one_that_is_told_twice(index: TaskIndex) -> None:
    """As many lines as tasks, and still one of them is nobody's."""
    index.fill(accepted("a", "b"))
    index.note([State("a", "queued"), State("a", "completed"), State("x", "completed")], FINAL)
    assert index.names("extra") == ["x"]


def test_names_are_bounded(index: TaskIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts tell the whole."""
    monkeypatch.setattr(store, "MOST_NAMES", 3)
    index.fill(accepted("a"))
    index.note_extra(f"x{number}" for number in range(9))
    assert (index.extra, index.names("extra")) == (9, ["x0", "x1", "x2"])


def test_nothing_accepted(index: TaskIndex) -> None:
    """A run without tasks has nothing to ask for."""
    index.fill([])
    assert (index.accepted, index.known, index.open, index.duplicated, index.extra) == (0, 0, 0, 0, 0)
    assert [*index.open_ids(), *index.open_by_user(), *index.records((), (), "lost")] == []


def test_index_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its file is temporary."""
    with TaskIndex(tmp_path) as index:
        index.fill(accepted("a"))
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []


def test_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    """A full disk ends the following with a line that names the file; here the database may have no more than some pages."""
    with pytest.raises(RunError, match=r"index\.sqlite: the index of accepted tasks cannot be kept: .*full"):
        _overfill(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_index_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its folder nor its tables: the line says where, and nothing is left."""
    with pytest.raises(RunError, match="nowhere: cannot be written"):
        TaskIndex(tmp_path / "nowhere")
    monkeypatch.setattr(store, "_TABLES", f"PRAGMA max_page_count = 1; {store._TABLES}")
    index = TaskIndex(tmp_path)
    with pytest.raises(RunError, match=r"index\.sqlite: the index of accepted tasks cannot be kept"):
        index.__enter__()
    assert list(tmp_path.iterdir()) == []


def _overfill(place: Path) -> None:
    with TaskIndex(place) as index:
        index._connection.execute("PRAGMA max_page_count = 8")
        index.fill(accepted(*(f"task-{number}" for number in range(10_000))))
