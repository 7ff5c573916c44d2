"""Workers from elsewhere: what may be asked for, and what is said of those who came."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.errors import InputError
from loadtests.orchestrate.gathering import EVERYWHERE, NOBODY, Crowd, news_of, who_came

JOINED: dict[str, Any] = {"event": "worker_joined", "name": "host-1", "joined": 1}
REFUSED: dict[str, Any] = {"event": "worker_refused", "name": "host-2", "why": "harness 0.2.0 here, 0.1.0 there"}


@pytest.mark.parametrize(
    ("crowd", "stack", "says"),
    [
        pytest.param(Crowd(remote=-1), "none", "--remote-workers: must be 0 or more", id="fewer than none"),
        pytest.param(Crowd(remote=1), "embedded", "give --host", id="the stack is of this machine alone"),
        pytest.param(Crowd(port=0), "none", "--master-port: must be from 1", id="port 0"),
        pytest.param(Crowd(port=70_000), "none", "--master-port: must be from 1", id="port too high"),
        pytest.param(Crowd(wait_s=0), "none", "--wait: must be at least 1 s", id="no wait"),
        pytest.param(Crowd(bind="192.0.2.1"), "none", "--bind 192.0.2.1: is no address of this machine", id="not ours"),
    ],
)
def test_what_cannot_work_is_refused(crowd: Crowd, stack: str, says: str) -> None:
    """In one line that names the option."""
    with pytest.raises(InputError, match=says):
        crowd.check(stack)


def test_what_can_work_is_taken() -> None:
    """Nobody from elsewhere on any stack; somebody when there is a host."""
    NOBODY.check("embedded")
    replace(NOBODY, remote=3, bind=EVERYWHERE[1], port=5557).check("none")


def test_own_workers_find_the_master_wherever_it_listens() -> None:
    """At its address; on this machine when it listens everywhere."""
    assert Crowd(bind="10.0.0.1").local == "10.0.0.1"
    assert {Crowd(bind=one).local for one in EVERYWHERE} == {NOBODY.local} == {"127.0.0.1"}


def test_news() -> None:
    """A line for each event of a worker from elsewhere; none for this machine's own, nor for what is no news."""
    silent = {"event": "worker_silent", "name": "host-1", "silent_s": 10.5}
    lost = {"event": "worker_lost", "name": "host-1", "how": "stopped answering"}
    own = {"event": "worker_joined", "name": "worker-1", "joined": 2}
    assert list(news_of([JOINED, own, REFUSED, {"event": "start"}, silent, lost], 3, {"worker-1"})) == [
        "worker host-1 joined (1 of 3)",
        "worker host-2 refused: harness 0.2.0 here, 0.1.0 there",
        "host-1 was silent for 10.5 s and is back",
        "host-1 was lost: stopped answering",
    ]


def test_who_came() -> None:
    """How many of how many, who, and who was refused, once each however often it tried."""
    assert who_came([JOINED, REFUSED, REFUSED], 3, 60) == (
        "1 of 3 workers joined within 60 s (host-1); refused: host-2: harness 0.2.0 here, 0.1.0 there"
    )
    left = {"event": "worker_left", "name": "host-1"}
    assert who_came([JOINED, left, left], 1, 5) == "0 of 1 workers joined within 5 s"
    assert who_came([], 1, 5) == "0 of 1 workers joined within 5 s"
    assert who_came([JOINED], 1, 5) is None, "that was not the reason"
