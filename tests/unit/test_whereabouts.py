"""Workers of many machines have names that nobody confuses, and places for people."""

import socket

import pytest

from loadtests.engine.whereabouts import Whereabouts, introduction, unique_names

HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("workers", "names"),
    [
        ([("a", HERE), ("b", "x")], ["a", "b"]),
        ([("worker-1", HERE), ("worker-1", "x")], ["worker-1", "worker-1@x"]),
        ([("worker-1", "x"), ("worker-1", HERE)], ["worker-1@x", "worker-1"]),
        ([("w", "x"), ("w", "y")], ["w@x", "w@y"]),
        ([("w", "x"), ("w", "x"), ("w", "x")], ["w@x", "w@x#2", "w@x#3"]),
        ([("w", ""), ("w", "")], ["w", "w#2"]),
        ([("w#2", ""), ("w", ""), ("w", "")], ["w#2", "w", "w#3"]),
    ],
)
def test_names(workers: list[tuple[str, str]], names: list[str]) -> None:
    """Shared ones get their machine; those of this machine, whose processes the run knows by name, keep theirs."""
    assert unique_names([Whereabouts(*worker) for worker in workers]) == names


def test_where_a_worker_is() -> None:
    """On loopback it is this machine's, and of another one the address is told too."""
    said = introduction("127.0.0.1", 5557)
    assert (said["machine"], said["address"]) == (HERE, "127.0.0.1")
    assert not Whereabouts("a", said["machine"], said["address"]).elsewhere
    assert not Whereabouts("a").elsewhere
    other = Whereabouts("a", "loader-2", "10.0.0.7")
    assert other.elsewhere and other.place == "loader-2 (10.0.0.7)" and Whereabouts("a", "loader-2").place == "loader-2"


def test_no_way_is_no_fault() -> None:
    """A machine without a route to the master says nothing of its address."""
    assert introduction("255.255.255.255", 9)["address"] == ""
