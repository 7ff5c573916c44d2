"""Requests that a scenario spells out: what they send, and what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtests.traffic.journeys import REGISTRY, as_before
from loadtests.traffic.requests import declare
from tests.unit.test_traffic import FakePerson, T
from tests.unit.texts import BASE, changed, plan_of, problems_of

SEARCH = BASE.replace('journey = "create_task"', 'journey = "search"')


def with_request(table: str) -> str:
    """A scenario with this request, `search`, in its mix."""
    return f"{SEARCH}[requests.search]\n{table}\n"


@dataclass
class Drawing(FakePerson):
    """A person whose choices follow a draw."""

    draw: int = 0

    def choice(self, options: Sequence[T]) -> T:
        """As the engine chooses."""
        return options[self.draw % len(options)]


def test_a_request_is_a_journey_of_its_name(tmp_path: Path) -> None:
    """It may be in the mix, and objectives may speak of it; the next scenario knows nothing of it."""
    text = with_request('path = "/search?q=hat"').replace("response_time.p95", "response_time(search).p95")
    assert plan_of(tmp_path, text).mix.shares == (0.75, 0.25)
    assert "search" not in REGISTRY
    assert {problem.key for problem in problems_of(tmp_path, SEARCH)} == {"mix[1].journey"}


def test_the_draw_chooses_among_paths() -> None:
    """One that is there twice is asked for twice as often."""
    person = Drawing()
    with as_before():
        declare("search", "GET", ["/a", "/b", "/a"], body=None, headers={}, expect=[])
        for person.draw in range(6):
            REGISTRY["search"].run(person)
    assert person.fake.asked == [("GET", path, "search", None, ()) for path in ["/a", "/b", "/a"] * 2]


def test_body_and_statuses_are_the_request_s_own() -> None:
    """The body goes out as UTF-8."""
    person = Drawing()
    with as_before():
        declare("write", "PUT", ["/a"], body='"é"', headers={"Content-Type": "application/json"}, expect=[204, 404])
        REGISTRY["write"].run(person)
    assert person.fake.asked == [("PUT", "/a", "write", '"é"'.encode(), (204, 404))]


@pytest.mark.parametrize(
    ("table", "key", "trouble"),
    [
        ("", "requests.search", "a request has either a path or paths"),
        ('path = "/a"\npaths = ["/b"]', "requests.search", "a request has either a path or paths"),
        ('path = "a"', "requests.search.path", "should match pattern"),
        ('path = "/a b"', "requests.search.path", "should match pattern"),
        ('path = "/{id}"', "requests.search.path", "should match pattern"),
        ('path = "/a"\nmethod = "get"', "requests.search.method", "should match pattern"),
        ('path = "/a"\nexpect = [99]', "requests.search.expect[0]", "greater than or equal to 100"),
        ('path = "/a"\nheaders = { "X" = "a\\r\\nY: b" }', "requests.search.headers.X", "should match pattern"),
        ('path = "/a"\nheaders = { "X Y" = "a" }', "requests.search.headers.X Y", "should match pattern"),
        ('path = "/a"\nbdy = "x"', "requests.search.bdy", "did you mean 'body'"),
    ],
)
def test_a_broken_request_is_a_problem(tmp_path: Path, table: str, key: str, trouble: str) -> None:
    """At its place in the file."""
    found = {problem.key: problem.message for problem in problems_of(tmp_path, with_request(table))}
    assert trouble in found[key]


def test_a_name_too_long_for_a_file_is_a_problem(tmp_path: Path) -> None:
    """Each request has files of its own in the run's folder."""
    name = "a" * 101
    (problem,) = problems_of(tmp_path, BASE.replace("create_task", name) + f'[requests.{name}]\npath = "/a"\n')
    assert problem.key == f"requests.{name}"
    assert "at most 100 characters" in problem.message


def test_a_name_that_is_taken_is_a_problem(tmp_path: Path) -> None:
    """A journey's name means one thing."""
    text = BASE + '[requests.create_task]\npath = "/a"\n[requests.auth_login]\npath = "/b"\n'
    problems = {problem.key: problem.message for problem in problems_of(tmp_path, text)}
    assert problems["requests.create_task"] == "'create_task' is a journey already; take another name"
    assert "requests.auth_login" in problems


def test_the_name_of_a_journey_s_request_is_taken_too(tmp_path: Path) -> None:
    """Both would be measured as one, and objectives would speak of the sum."""
    (tmp_path / "own.py").write_text(
        "from loadtests.traffic.journeys import journey\n@journey(requests=['cart'])\ndef shop(person): pass\n"
    )
    text = changed('name = "small"', 'name = "small"\njourneys = ["own.py"]') + '[requests.cart]\npath = "/cart"\n'
    (problem,) = problems_of(tmp_path, text)
    assert (problem.key, problem.message) == (
        "requests.cart",
        "'cart' is a request of the journey 'shop' already; take another name",
    )
