"""nginx before the API: balancing and retries. Each test runs nginx."""

import threading
from pathlib import Path

import pytest

from tests.edge_support import LOAD, TASKS, Answer, Request, free_port, running_edge, upstream
from tests.edge_support import folder as folder
from tests.support import eventually


def test_requests_are_spread_over_the_instances(folder: Path) -> None:
    """Instances with nothing to do get equal shares."""
    with upstream() as one, upstream() as two, running_edge(folder, one.port, two.port) as edge:
        for _ in range(20):
            assert edge.get(TASKS).status_code == 200
    assert (len(one.requests), len(two.requests)) == (10, 10)


def test_a_busy_instance_gets_less(folder: Path) -> None:
    """While one instance is at work on a request, new ones go to the other."""
    release = threading.Event()

    def hold(_: Request) -> Answer:
        release.wait(10)
        return Answer()

    with upstream() as one, upstream() as two, running_edge(folder, one.port, two.port) as edge:
        one.answer = two.answer = hold
        first = threading.Thread(target=edge.get, args=(TASKS,))
        first.start()
        eventually(lambda: bool(one.requests or two.requests), "the first request came through")
        busy, idle = (one, two) if one.requests else (two, one)
        idle.answer = lambda _: Answer()
        for _ in range(10):
            assert edge.get(TASKS).status_code == 200
        release.set()
        first.join()
    assert (len(busy.requests), len(idle.requests)) == (1, 10)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_instance_that_is_gone_is_not_noticed(folder: Path, method: str) -> None:
    """Requests of any method that it refuses to connect for go to another, once each."""
    with upstream() as alive, running_edge(folder, free_port(), alive.port) as edge:
        for _ in range(10):
            assert edge.client.request(method, TASKS).status_code == 200
    assert [request.method for request in alive.requests] == [method] * 10


def test_an_instance_that_ends_at_work_is_not_noticed_by_readers(folder: Path) -> None:
    """A GET that was cut off is asked again elsewhere; after three the instance has a pause."""
    with (
        upstream(lambda _: None) as dying,
        upstream() as alive,
        running_edge(folder, dying.port, alive.port) as edge,
    ):
        for _ in range(20):
            assert edge.get(TASKS).status_code == 200
    assert len(dying.requests) == 3
    assert len(alive.requests) == 20


def test_a_post_that_was_sent_is_never_repeated(folder: Path) -> None:
    """If the instance ends before it answers, the client hears 502, and no other one is asked."""
    with (
        upstream(lambda _: None) as one,
        upstream(lambda _: None) as two,
        running_edge(folder, one.port, two.port) as edge,
    ):
        assert edge.client.post(TASKS, json={"prompt": "once"}).status_code == 502
    assert len(one.requests) + len(two.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_an_instance_is_an_answer(folder: Path, status: int) -> None:
    """It reaches the client as it is; the others are not burdened with it."""

    def fail(_: Request) -> Answer:
        return Answer(b'{"detail":"away"}', status, {"Retry-After": "1"})

    with (
        upstream(fail) as one,
        upstream(fail) as two,
        running_edge(folder, one.port, two.port) as edge,
    ):
        response = edge.get(TASKS)
    assert response.status_code == status
    assert response.headers["Retry-After"] == "1"
    assert len(one.requests) + len(two.requests) == 1


def test_connections_to_the_instances_are_kept(folder: Path) -> None:
    """Many requests share one connection."""
    with upstream() as api, running_edge(folder, api.port, options=LOAD) as edge:
        for _ in range(50):
            assert edge.get(TASKS).status_code == 200
    assert len(api.requests) == 50
    assert api.connections == 1


def test_a_restarted_instance_costs_no_post(folder: Path) -> None:
    """Kept connections that the instance has ended are not used again."""
    with upstream() as api, running_edge(folder, api.port) as edge:
        assert edge.client.post(TASKS).status_code == 200
        api.say_goodbye()
        assert edge.client.post(TASKS).status_code == 200
    assert api.connections == 2
