"""Accepted tasks followed in a real PostgreSQL."""

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import psycopg
import pytest

from loadtests.measure.snapshot import Accepted
from loadtests.orchestrate.follow import follow_tasks
from loadtests.orchestrate.follow_sql import SqlWay
from loadtests.scenario.system import Tasks
from loadtests.store.accepted import AcceptedWriter
from loadtests.store.folder import RunFolder
from loadtests.store.records import read_lines
from loadtests.store.tasks import State, TaskIndex

QUERY = "SELECT id, status, ended FROM jobs WHERE id = ANY(%(ids)s)"


def _insert(dsn: str, rows: list[tuple[str, str | None, float | None]]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs")
        cursor.executemany("INSERT INTO jobs VALUES (%s, %s, %s)", rows)


def _accept(folder: RunFolder, *ids: str) -> None:
    writer = AcceptedWriter(folder, "0")
    writer.append([Accepted(one, 0, 0.0, 0.0) for one in ids])
    writer.close()


def _follow(folder: RunFolder, dsn: str, pause: Callable[[float], None] = time.sleep, own: bool = True, **tasks: str) -> None:
    asked = Tasks.model_validate({"query": QUERY, **tasks})
    with closing(SqlWay(dsn, asked, own)) as way:
        follow_tasks(folder, asked, way, pause)


def test_follow_waits_for_the_end_of_each_task(database: tuple[str, int], folder: RunFolder) -> None:
    """Tasks are asked about until each has ended; what happens meanwhile is seen."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0), ("b", "processing", None), ("c", "failed", 6.0)])
    _accept(folder, "a", "b", "c")
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("UPDATE jobs SET status = 'completed', ended = 7 WHERE id = 'b'")

    _follow(folder, dsn, pause, rows="SELECT count(*) FROM jobs")
    found = {record["id"]: (record["status"], record["ended"]) for record in read_lines(folder.file("tasks.jsonl"))}
    assert found == {"a": ("completed", 5.0), "b": ("completed", 7.0), "c": ("failed", 6.0)}
    assert len(pauses) == 1
    (event,) = read_lines(folder.file("events.jsonl"))
    assert (event["accepted"], event["known"], event["rows"], event["extra"], event["trouble"]) == (3, 3, 3, 0, None)
    assert abs(event["clock_offset_s"]) < 60
    assert event["clock_doubt_s"] > 0


def test_follow_gives_up_at_the_deadline(database: tuple[str, int], folder: RunFolder) -> None:
    """At the deadline tasks without an end are unfinished, with the status they have, and unknown ones are lost."""
    dsn, _ = database
    _insert(dsn, [("a", "processing", None)])
    _accept(folder, "a", "nobody-knows")
    _follow(folder, dsn, deadline="200ms")
    found = [(record["id"], record["status"], record["outcome"]) for record in read_lines(folder.file("tasks.jsonl"))]
    assert found == [("a", "processing", "unfinished"), ("nobody-knows", None, "lost")]


def test_follow_says_that_the_database_is_away(folder: RunFolder) -> None:
    """A database that does not answer is noted with its reason; nothing is taken for lost."""
    _accept(folder, "a")
    _follow(folder, "postgresql://nobody@127.0.0.1:9/none", deadline="100ms")
    (event,) = read_lines(folder.file("events.jsonl"))
    assert "refused" in event["trouble"]
    assert (event["known"], event["rows"], event["extra"]) == (0, None, None)
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["unfinished"]


def test_follow_names_tasks_that_nobody_accepted(database: tuple[str, int], folder: RunFolder) -> None:
    """In a database of one's own a row too many is named, and an id that was accepted twice is one task."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0), ("of-nobody", "completed", 6.0), ("b", "completed", 6.0)])
    _accept(folder, "a", "b", "a")
    _follow(folder, dsn, rows="SELECT count(*) FROM jobs", ids="SELECT id FROM jobs")
    followed, names = read_lines(folder.file("events.jsonl"))
    assert (followed["accepted"], followed["duplicated"], followed["rows"], followed["extra"]) == (2, 1, 3, 1)
    assert (names["duplicated"], names["foreign"]) == (["a"], ["of-nobody"])
    assert [record["id"] for record in read_lines(folder.file("tasks.jsonl"))] == ["a", "b"]


def test_rows_of_a_database_of_others_say_nothing(database: tuple[str, int], folder: RunFolder) -> None:
    """Where others make tasks too, the rows are told and nobody is to account for them."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0), ("of-others", "completed", 6.0)])
    _accept(folder, "a")
    _follow(folder, dsn, own=False, rows="SELECT count(*) FROM jobs", ids="SELECT id FROM jobs")
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert (followed["rows"], followed["extra"]) == (2, None)


def test_follow_tells_when_work_began(database: tuple[str, int], folder: RunFolder) -> None:
    """The query's fourth column is the begin of the task's work."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0)])
    _accept(folder, "a")
    _follow(folder, dsn, query="SELECT id, status, ended, ended - 2 FROM jobs WHERE id = ANY(%(ids)s)")
    (record,) = read_lines(folder.file("tasks.jsonl"))
    assert (record["started"], record["ended"]) == (3.0, 5.0)


def test_a_query_with_too_few_columns_is_said(database: tuple[str, int], folder: RunFolder) -> None:
    """Trouble in one line, not a traceback."""
    dsn, _ = database
    _accept(folder, "a")
    _follow(folder, dsn, query="SELECT id FROM jobs WHERE id = ANY(%(ids)s)", deadline="100ms")
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert followed["trouble"].startswith("tasks.query gives 1 columns")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT id, status, ended, ended, ended FROM jobs WHERE id = ANY(%(ids)s)", "tasks.query gives 5 columns"),
        ("SELECT id, status, now() FROM jobs WHERE id = ANY(%(ids)s)", "tasks.query: end and begin are not seconds"),
        ("SELECT id, status, 1, 'noon' FROM jobs WHERE id = ANY(%(ids)s)", "tasks.query: end and begin are not seconds"),
        ("SELECT id, status, 'infinity'::float8 FROM jobs WHERE id = ANY(%(ids)s)", "tasks.query: end and begin are not"),
        ("SELECT id, state, ended FROM jobs WHERE id = ANY(%(ids)s)", 'column "state" does not exist'),
        ("SELECT id, status, ended FROM jobs WHERE id LIKE '%a' AND id = ANY(%(ids)s)", "only '%s'"),
        ("SELECT id, status, ended FROM jobs WHERE id::uuid = ANY(%(ids)s::uuid[])", "invalid input syntax for type uuid"),
        ("CREATE TEMPORARY TABLE a ()", "tasks.query gives 0 columns"),
    ],
    ids=["too many columns", "a timestamp", "a text", "no end of time", "no column", "per cent", "no uuid", "no query"],
)
def test_wrong_query_is_trouble_in_one_line(database: tuple[str, int], folder: RunFolder, query: str, words: str) -> None:
    """It says what is wrong; nothing is taken for lost."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0)])
    _accept(folder, "a")
    _follow(folder, dsn, query=query, deadline="10ms")
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert words in followed["trouble"]
    assert "\n" not in followed["trouble"]
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["unfinished"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("SELECT count(*), 1 FROM jobs", "tasks.rows does not select one number"),
        ("SELECT id FROM jobs", "tasks.rows does not select one number"),
        ("SELECT max(ended) FROM jobs WHERE false", "tasks.rows does not select one number"),
        ("SELECT count(*) FROM nothing", 'relation "nothing" does not exist'),
    ],
    ids=["two columns", "rows", "null", "no table"],
)
def test_wrong_count_is_told_beside_the_tasks(database: tuple[str, int], folder: RunFolder, rows: str, words: str) -> None:
    """What became of the accepted tasks is known all the same; who else there is, is not."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0), ("b", "completed", 5.0)])
    _accept(folder, "a")
    _follow(folder, dsn, rows=rows)
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert words in followed["rows_trouble"]
    assert (followed["trouble"], followed["rows"], followed["extra"]) == (None, None, None)
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["completed"]


def test_ids_and_statuses_need_not_be_text(database: tuple[str, int], folder: RunFolder) -> None:
    """A uuid, a number for a status, a status that is null: known all the same, and foreign ones are named."""
    dsn, _ = database
    mine, other = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    _insert(dsn, [(mine, "3", 5.0), (other, "3", 6.0), ("33333333-3333-3333-3333-333333333333", None, None)])
    _accept(folder, mine, "33333333-3333-3333-3333-333333333333")
    asked = Tasks.model_validate(
        {
            "query": "SELECT id::uuid, status::int, ended FROM jobs WHERE id::uuid = ANY(%(ids)s::uuid[])",
            "rows": "SELECT count(*) FROM jobs",
            "ids": "SELECT id::uuid FROM jobs",
            "completed": ["3"],
            "deadline": "10ms",
        }
    )
    with closing(SqlWay(dsn, asked, own=True)) as way:
        follow_tasks(folder, asked, way, time.sleep)
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["completed", "unfinished"]
    followed, names = read_lines(folder.file("events.jsonl"))
    assert (followed["known"], followed["extra"], names["foreign"]) == (2, 1, [other])


def test_many_tasks_are_asked_for_in_batches(
    database: tuple[str, int], folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tasks than one statement takes, and more foreign ones: each is counted once."""
    monkeypatch.setattr("loadtests.orchestrate.follow_sql.BATCH", 7)
    dsn, _ = database
    mine = [f"t{number:03}" for number in range(50)]
    _insert(dsn, [(task, "completed", 5.0) for task in [*mine, *(f"x{number}" for number in range(30))]])
    _accept(folder, *mine)
    _follow(folder, dsn, rows="SELECT count(*) FROM jobs", ids="SELECT id FROM jobs")
    followed, names = read_lines(folder.file("events.jsonl"))
    assert (followed["known"], followed["rows"], followed["extra"], len(names["foreign"])) == (50, 80, 30, 30)
    assert [record["id"] for record in read_lines(folder.file("tasks.jsonl"))] == mine


def test_hurry_ends_the_following_of_a_database(
    database: tuple[str, int], folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches: the first is known, and nothing of the second is taken for lost."""
    monkeypatch.setattr("loadtests.orchestrate.follow_sql.BATCH", 2)
    dsn, _ = database
    _insert(dsn, [(task, "completed", 5.0) for task in ("a", "b", "c")])
    _accept(folder, "a", "b", "c")
    asked = Tasks.model_validate({"query": QUERY, "deadline": "1h"})
    batches: list[Sequence[State]] = []

    class Watched(SqlWay):
        def ask(self, index: TaskIndex, check: Callable[[], None]) -> Iterator[Sequence[State]]:
            for states in super().ask(index, check):
                batches.append(states)
                yield states

    with closing(Watched(dsn, asked, own=True)) as way:
        follow_tasks(folder, asked, way, time.sleep, hurry=lambda: bool(batches))
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert followed["trouble"].startswith("interrupted")
    found = [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))]
    assert found == ["completed", "completed", "unfinished"]


SLEEPS = "SELECT 'a', 'completed', 5 FROM pg_sleep(120) WHERE 'a' = ANY(%(ids)s)"


@pytest.mark.parametrize("by", ["hurry", "its time", "the deadline"])
def test_statement_without_an_answer_is_cut(
    database: tuple[str, int], folder: RunFolder, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """By who is in a hurry, after its own time, and when the following's time is over; nothing is taken for lost."""
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0)])
    _accept(folder, "a")
    if by == "its time":
        monkeypatch.setattr("loadtests.orchestrate.follow_sql.SILENT_S", 0.3)
    if by == "the deadline":
        monkeypatch.setattr("loadtests.orchestrate.follow.GRACE_S", 1.0)
    asked = Tasks.model_validate({"query": SLEEPS, "deadline": "1h" if by == "hurry" else "100ms"})

    def hurry() -> bool:
        with psycopg.connect(dsn, autocommit=True) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(120)%WHERE%a%'"
            ((sleeping,),) = connection.execute(query + " AND pid <> pg_backend_pid()").fetchall()
        return bool(sleeping)

    before = time.monotonic()
    with closing(SqlWay(dsn, asked, own=True)) as way:
        follow_tasks(folder, asked, way, time.sleep, hurry if by == "hurry" else lambda: False)
    assert time.monotonic() - before < 9, "the server's own limit of ten seconds had no part in it"
    (followed,) = read_lines(folder.file("events.jsonl"))
    words = {"hurry": "interrupted", "its time": "no answer within 0.3 s", "the deadline": "1 s after the deadline"}
    assert followed["trouble"].startswith(words[by])
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["unfinished"]


def test_server_that_lets_nobody_in_is_left(folder: RunFolder) -> None:
    """By who is in a hurry, while the connection is being made."""
    _accept(folder, "a")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        asked = Tasks.model_validate({"query": QUERY, "deadline": "1h"})
        way = SqlWay(f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/none", asked, own=True)

        def hurry() -> bool:
            return bool(select.select([server], [], [], 0)[0])

        with closing(way):
            follow_tasks(folder, asked, way, time.sleep, hurry)
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert followed["trouble"].startswith("interrupted")


def test_count_without_an_answer_is_cut(database: tuple[str, int], folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of the accepted tasks is known all the same."""
    monkeypatch.setattr("loadtests.orchestrate.follow.GRACE_S", 1.0)
    dsn, _ = database
    _insert(dsn, [("a", "completed", 5.0)])
    _accept(folder, "a")
    _follow(folder, dsn, rows="SELECT count(*) FROM pg_sleep(120)")
    (followed,) = read_lines(folder.file("events.jsonl"))
    assert followed["rows_trouble"] == "the target's other tasks could not be counted in time"
    assert [record["outcome"] for record in read_lines(folder.file("tasks.jsonl"))] == ["completed"]
