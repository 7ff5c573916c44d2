"""Whether two runs may be compared, and the history of what they measured."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.store.history import Entry, append_history, history_file, nights, read_history
from loadtests.store.measured import Measured, differences, differences_text
from tests.property.nights import run_of

RUN = run_of({"failure_ratio": 0.0, "service_time(list_tasks).p50": 0.01})


def entry(night: str, number: int, side: str = "candidate", **changes: object) -> Entry:
    """A line of the history."""
    measured = replace(run_of({"failure_ratio": 0.0}, number), **changes)  # type: ignore[arg-type]
    return Entry(night, "nightly", "lists", side, number, measured)  # type: ignore[arg-type]


def with_conditions(**changes: object) -> Measured:
    """The run under conditions that are partly others."""
    return replace(RUN, conditions={**RUN.conditions, **changes})  # type: ignore[dict-item]


def test_what_a_run_measured_survives_json() -> None:
    """It comes back as it was; another version is refused."""
    assert Measured.from_json(json.loads(json.dumps(RUN.to_json()))) == RUN
    with pytest.raises(ValueError, match="version 2"):
        Measured.from_json({**RUN.to_json(), "version": 2})


def test_differences_are_named_with_both_values() -> None:
    """In one line; builds, dates and verdicts are none."""
    other = replace(
        with_conditions(workers=2, **{"stack_settings.CACHE": None}), commit="other", created="later", verdict="fail"
    )
    found = differences(RUN, replace(other, scenario="smoke"))
    assert differences_text(found) == "scenario synthetic against smoke; workers 1 against 2"
    assert differences(RUN, replace(other), across=["workers"]) == []
    many = with_conditions(**{f"load.a{number}": True for number in range(10)})
    assert differences_text(differences(RUN, many)).endswith("load.a7 nothing against yes; and 2 more")


def test_memory_is_equal_to_within_a_tenth() -> None:
    """What a kernel keeps for itself makes no other machine; twice the memory does."""
    one = with_conditions(**{"machine.memory_bytes": 25_000_000_000})
    assert differences(one, with_conditions(**{"machine.memory_bytes": 24_000_000_000})) == []
    assert differences(one, with_conditions(**{"machine.memory_bytes": 50_000_000_000})) != []
    assert differences(one, RUN) != []


def test_a_history_is_read_back_by_build_and_night(tmp_path: Path) -> None:
    """In the order of rounds, whatever the order of lines; runs of other conditions are not like this one."""
    path = history_file(tmp_path, "nightly")
    other = with_conditions(workers=9).conditions
    append_history(path, [entry("n1", 2), entry("n1", 1), entry("n1", 1, "baseline")])
    append_history(path, [entry("n2", 1), entry("n2", 2, conditions=other)])
    history = read_history(path)
    assert (len(history.entries), list(history.notes)) == (5, [])
    like = history.like(RUN)
    assert [[run.run_id for run in group] for group in like.groups()] == [["a1"], ["a1", "a2"], ["a1"]]
    assert [(night, len(runs)) for night, runs in nights(like.entries)] == [("n1", 2), ("n2", 1)]
    assert read_history(tmp_path / "none.jsonl").entries == ()


def test_a_torn_last_line_is_told_and_spoils_no_later_one(tmp_path: Path) -> None:
    """The line of a command that was killed is left out, and the next append begins a line of its own."""
    path = history_file(tmp_path, "nightly")
    append_history(path, [entry("n1", 1), entry("n1", 2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    torn = read_history(path)
    assert (len(torn.entries), torn.notes) == (1, [f"{path}:2: left out: a torn last line"])
    append_history(path, [entry("n1", 3)])
    mended = read_history(path)
    assert [one.round for one in mended.entries] == [1, 3]
    assert mended.notes == [f"{path}:2: left out: no JSON"]


def test_lines_that_are_no_entries_are_told(tmp_path: Path) -> None:
    """Each with its number and the reason."""
    path = tmp_path / "h.jsonl"
    whole = json.dumps({**entry("n1", 1).to_json(), "measured": None})
    path.write_text(f'{{"version": 9}}\n[]\n{{}}\n{whole}\n')
    assert len(read_history(path).notes) == 4
    assert read_history(path).notes[0] == f"{path}:1: left out: is of version 9, this harness reads version 1"


def test_processes_that_append_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    """Each append is one write to the file's end."""
    path = tmp_path / "h.jsonl"
    path.touch()
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            for number in range(25):
                append_history(path, [entry(f"n{child}", number)])
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    history = read_history(path)
    assert (len(history.entries), history.notes) == (100, [])
