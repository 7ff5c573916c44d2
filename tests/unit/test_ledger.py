"""The ledger: it balances, or says in words what does not."""

import re
from dataclasses import replace

import pytest

from loadtests.measure.series import Series
from loadtests.measure.snapshot import Counts
from loadtests.store.ledger import FinalReport, Ledger, TaskLedger


def series(ok: int, failed: int) -> Series:
    """A series with so many requests."""
    made = Series()
    for number in range(ok + failed):
        made.record(1000, 1000, 10, None if number < ok else "timeout")
    return made


def final(worker: int, scheduled: int, sent: int, ok: int, failed: int) -> FinalReport:
    """A worker's last report."""
    counts = Counts(scheduled=scheduled, started=scheduled, finished=scheduled, sent=sent)
    return FinalReport(
        worker, f"worker-{worker}", 5, counts, ok, {"reset": failed} if failed else {}, accepted=0, users=1, stream_digest=0
    )


ONE_TOO_MANY = Counts(scheduled=41, started=40, finished=40, sent=40)
"""Of a worker that lost sight of a turn."""


def balanced() -> Ledger:
    """100 turns, of which 3 dropped; 97 planned requests and 2 logins; 95 ok and 4 failed."""
    counts = Counts(scheduled=100, started=97, finished=97, dropped=3, sent=99, unplanned=2)
    return Ledger(
        counts=counts,
        series={"list_tasks": series(60, 4), "create_task": series(33, 0), "auth_refresh": series(2, 0)},
        finals=[final(0, 60, 59, 57, 2), final(1, 40, 40, 38, 2)],
        tasks=TaskLedger(accepted=33, completed=30, failed=1, unfinished=2, lost=0, rows=33),
    )


def test_balanced_ledger_says_nothing() -> None:
    """Equal sides are no news."""
    assert balanced().imbalances() == []


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (
            replace(balanced(), counts=replace(balanced().counts, scheduled=101), finals=[final(0, 101, 99, 95, 4)]),
            ["turns: scheduled 101 is not sent 97 + dropped 3 + in flight 0"],
        ),
        (
            replace(balanced(), counts=replace(balanced().counts, dropped=2)),
            ["turns: scheduled 100 is not sent 97 + dropped 2 + in flight 0"],
        ),
        (
            replace(balanced(), counts=replace(balanced().counts, sent=100), finals=[final(0, 100, 100, 95, 4)]),
            ["requests: sent 100 is not ok 95 + failed 4 + in flight 0", "worker-0: sent 100 is not ok 95 + failed 4"],
        ),
        (
            replace(balanced(), counts=replace(balanced().counts, started=98, finished=97, dropped=2)),
            ["turns: 1 began and never ended"],
        ),
        (replace(balanced(), finals=[final(0, 60, 59, 57, 2), final(1, 41, 40, 38, 2)]), ["scheduled: .* 100, .* 101"]),
        (
            replace(balanced(), finals=[final(0, 60, 59, 57, 2), final(1, 40, 39, 38, 2)]),
            ["worker-1: sent 39 is not ok 38 + failed 2", "sent: .* 99, .* 98"],
        ),
        (
            replace(balanced(), finals=[final(0, 60, 59, 58, 2), final(1, 40, 40, 38, 2)]),
            ["worker-0: sent 59 is not ok 58 + failed 2", "ok: .* hold 95, .* counted 96"],
        ),
        (
            replace(balanced(), finals=[final(0, 60, 59, 57, 2), final(1, 40, 40, 38, 1)]),
            ["worker-1: sent 40 is not ok 38 + failed 1", "failed: .* hold 4, .* counted 3"],
        ),
        (
            replace(balanced(), finals=[final(0, 60, 59, 57, 2), replace(final(1, 40, 40, 38, 2), counts=ONE_TOO_MANY)]),
            ["worker-1: scheduled 41 is not sent 40 + dropped 0", "scheduled: .* 100, .* 101"],
        ),
        (replace(balanced(), finals=[]), ["scheduled: ", "sent: ", "ok: ", "failed: "]),
        (
            replace(balanced(), lost_in_flight=1),
            ["requests: sent 99 is not ok 95 . failed 4 . in flight 1"],
        ),
        (replace(balanced(), accepted=7), ["accepted: the files hold 7 tasks, the workers counted 0"]),
    ],
    ids=[
        "a turn too many",
        "a drop too few",
        "a request lost",
        "a turn without end",
        "scheduled by workers",
        "sent by workers",
        "ok by workers",
        "failed by workers",
        "a worker's turn without end",
        "no finals",
        "in flight without loss",
        "accepted by workers",
    ],
)
def test_each_imbalance_is_found_and_said(ledger: Ledger, words: list[str]) -> None:
    """One number off is one line that names both sides."""
    found = ledger.imbalances()
    assert len(found) == len(words)
    for text, pattern in zip(found, words, strict=True):
        assert re.search(pattern.replace("+", "."), text), text


def test_lost_worker_leaves_its_flights_open() -> None:
    """With a lost worker its requests in flight belong to the books, and its totals cannot be compared."""
    ledger = Ledger(
        counts=Counts(scheduled=50, started=48, finished=45, dropped=2, sent=48),
        series={"a": series(40, 5)},
        finals=[final(0, 30, 30, 28, 2)],
        lost_in_flight=3,
        unreported=12,
    )
    assert ledger.imbalances() == []
    assert ledger.in_flight == 3
    assert replace(ledger, lost_in_flight=2).imbalances() != []


TASKS = TaskLedger(accepted=10, completed=7, failed=1, unfinished=1, lost=1, duplicated=2, foreign=3, rows=99)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (TASKS, []),
        (replace(TASKS, completed=6), ["accepted 10 is not completed 6"]),
        (replace(TASKS, accepted=11), ["accepted 11 is not"]),
    ],
    ids=["balanced", "missing", "extra"],
)
def test_task_ledger(tasks: TaskLedger, words: list[str]) -> None:
    """Tasks: accepted = completed + failed + unfinished + lost; what is wrong with tasks is no fault of the books."""
    found = list(tasks.imbalances())
    assert len(found) == len(words)
    for text, pattern in zip(found, words, strict=True):
        assert re.search(pattern, text), text


def test_final_report_is_read_from_its_event() -> None:
    """Counts become counts, the digest a number again."""
    data = {
        "worker": 1,
        "name": "w",
        "snapshots": 3,
        "counts": Counts(scheduled=4).to_json(),
        "ok": 4,
        "failures": {},
        "accepted": 1,
        "users": 2,
        "stream_digest": "00ff",
    }
    report = FinalReport.from_json(data)
    assert report.counts == Counts(scheduled=4)
    assert report.stream_digest == 255


def test_ledger_as_json() -> None:
    """`ledger.json` carries every account, and the workers in order."""
    data = replace(balanced(), finals=list(reversed(balanced().finals))).to_json()
    assert (data["version"], data["balanced"], data["imbalances"]) == (2, True, [])
    assert data["turns"] == {"scheduled": 100, "sent": 97, "dropped": 3, "in_flight": 0}
    assert data["requests"] == {
        "sent": 99,
        "ok": 95,
        "failed": 4,
        "failures": {"timeout": 4},
        "in_flight": 0,
        "authentication": 2,
    }
    counts = {"accepted": 33, "completed": 30, "failed": 1, "unfinished": 2, "lost": 0, "duplicated": 0, "rows": 33}
    assert data["tasks"] == {**counts, "foreign": None, "unanswered": None, "names": {}}
    assert [worker["worker"] for worker in data["workers"]] == [0, 1]
    assert data["unreported"] is None


def test_unbalanced_ledger_says_so_in_its_file() -> None:
    """The file carries the same words as the verdict."""
    ledger = replace(balanced(), counts=replace(balanced().counts, dropped=4))
    data = ledger.to_json()
    assert data["balanced"] is False
    assert data["imbalances"] == ledger.imbalances()


def test_empty_books_balance() -> None:
    """A run in which nothing happened has nothing to explain."""
    assert Ledger(Counts(), {}, []).imbalances() == []
