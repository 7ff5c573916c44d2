"""The people: what they send, who they are, what they do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from loadtests.traffic import journeys
from loadtests.traffic.journeys import REGISTRY, Client, Person, Response, journey, load_file
from loadtests.traffic.payloads import POOL_SIZE, payload_digest, task_payloads
from loadtests.traffic.prepared import Prepared

T = TypeVar("T")


@dataclass
class FakeResponse:
    """An answer."""

    status_code: int = 200
    content: bytes | None = b"{}"
    text: str | None = "{}"

    @property
    def ok(self) -> bool:
        """Below 400."""
        return 0 < self.status_code < 400

    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.content or b"")


@dataclass
class FakeClient:
    """Remembers what was asked and answers as told."""

    answer: FakeResponse = field(default_factory=FakeResponse)
    asked: list[tuple[str, str, str, object, tuple[int, ...]]] = field(default_factory=list)

    def send(self, request: Prepared, data: bytes | None = None, **parts: object) -> Response:
        """A prepared request."""
        return self.request(request.method, request.fill(parts), request.name, data=data, expect=request.expect)

    def request(
        self,
        method: str,
        url: str,
        name: str,
        *,
        data: bytes | str | Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        expect: Sequence[int] = (),
    ) -> Response:
        """Any request."""
        self.asked.append((method, url, name, data, tuple(expect)))
        return self.answer

    def get(self, url: str, *, name: str, expect: Sequence[int] = ()) -> Response:
        """A GET request."""
        return self.request("GET", url, name, expect=expect)

    def post(
        self, url: str, data: bytes | str | None = None, json: Any = None, *, name: str, expect: Sequence[int] = ()
    ) -> Response:
        """A POST request."""
        return self.request("POST", url, name, data=data, json=json, expect=expect)


@dataclass
class FakePerson:
    """A person without a network."""

    fake: FakeClient = field(default_factory=FakeClient)
    number: int = 3
    tasks: list[str] = field(default_factory=list)

    @property
    def client(self) -> Client:
        """The connection."""
        return self.fake

    def choice(self, options: Sequence[T]) -> T:
        """Always the first."""
        return options[0]

    def payload(self) -> bytes:
        """Always the same."""
        return b'{"prompt":"x","output_type":"docs"}'

    def accepted(self, task_id: str) -> None:
        """Remember the task."""
        self.tasks.append(task_id)


@pytest.fixture
def registry() -> Iterator[dict[str, journeys.Journey]]:
    """The registry, put back as it was."""
    before = dict(REGISTRY)
    yield REGISTRY
    REGISTRY.clear()
    REGISTRY.update(before)


def act(name: str, person: Person) -> None:
    """Let a person do a journey."""
    REGISTRY[name].run(person)


def test_list_tasks_asks_for_the_newest_page() -> None:
    """One GET of the first page, measured as list_tasks."""
    person = FakePerson()
    act("list_tasks", person)
    assert person.fake.asked == [("GET", "/api/v1/tasks?page=1&page_size=20", "list_tasks", None, ())]
    assert person.tasks == []


def test_create_task_notes_what_was_accepted() -> None:
    """One POST of the prepared body that expects 201; the id of the answer goes into the ledger."""
    person = FakePerson(FakeClient(FakeResponse(201, b'{"id": "abc"}')))
    act("create_task", person)
    assert person.fake.asked == [("POST", "/api/v1/tasks", "create_task", person.payload(), (201,))]
    assert person.tasks == ["abc"]


@pytest.mark.parametrize("status", [0, 429, 500])
def test_create_task_that_failed_promises_nothing(status: int) -> None:
    """A task that was not accepted is not waited for, and its body is not even read."""
    person = FakePerson(FakeClient(FakeResponse(status, b"<html>")))
    act("create_task", person)
    assert person.tasks == []


def test_journeys_name_the_requests_that_they_make() -> None:
    """Objectives are checked against these names before the run, so they must be true."""
    for name in ("list_tasks", "create_task"):
        person = FakePerson(FakeClient(FakeResponse(201, b'{"id": 1}')))
        act(name, person)
        assert tuple(asked[2] for asked in person.fake.asked) == REGISTRY[name].requests


def test_journey_registers_a_function_and_leaves_it_usable(registry: dict[str, journeys.Journey]) -> None:
    """The decorator returns the function itself, under its own name."""

    @journey(requests=["a", "b"])
    def my_own(person: Person) -> None:
        person.client.get("/a", name="a")

    person = FakePerson()
    my_own(person)
    assert registry["my_own"].requests == ("a", "b")
    assert registry["my_own"].run is my_own
    assert len(person.fake.asked) == 1


def test_load_file_registers_journeys_of_ones_own(tmp_path: Path, registry: dict[str, journeys.Journey]) -> None:
    """The example of the module's docstring works."""
    text = (journeys.__doc__ or "").partition("    from loadtests")[2].partition("\n\nand in the scenario")[0]
    source = "\n".join(line.removeprefix("    ") for line in ("    from loadtests" + text).splitlines())
    file = tmp_path / "my_journeys.py"
    file.write_text(source)
    load_file(file)
    person = FakePerson()
    act("search", person)
    assert registry["search"].requests == ("search",)
    assert person.fake.asked[0][:3] == ("GET", "/search?q=shoes", "search")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("none.py", None, FileNotFoundError),
        ("words.txt", "hello", ImportError),
        ("bad.py", "1 / 0", ZeroDivisionError),
        ("syntax.py", "def (", SyntaxError),
    ],
)
def test_load_file_raises_what_is_wrong(tmp_path: Path, name: str, content: str | None, error: type[Exception]) -> None:
    """A file that is missing, no Python or broken is never taken for an empty one."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error):
        load_file(tmp_path / name)


def test_payloads_depend_on_the_seed_alone() -> None:
    """The same seed gives the same bodies, whatever Faker was used for in between; another seed gives others."""
    one = task_payloads(7, 50)
    task_payloads(8, 3)
    assert task_payloads(7, 50) == one
    assert task_payloads(8, 50) != one
    assert task_payloads(7, 20) == one[:20]


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_payloads_are_what_the_api_takes(seed: int) -> None:
    """A prompt of 1 to 5,000 characters, one of four output types, metadata: compact JSON in UTF-8."""
    kinds = set()
    for body in task_payloads(seed):
        data = json.loads(body)
        assert set(data) == {"prompt", "output_type", "metadata"}
        assert 1 <= len(data["prompt"]) <= 5000
        assert data["prompt"].strip() == data["prompt"]
        assert isinstance(data["metadata"], dict)
        assert b'": ' not in body
        kinds.add(data["output_type"])
    assert kinds == {"docs", "sheets", "slides", "research"}


def test_pool_has_its_size_and_variety() -> None:
    """The pool is as large as it says, and nearly all of its bodies differ."""
    pool = task_payloads(1)
    assert len(pool) == POOL_SIZE
    assert len(set(pool)) > 0.99 * POOL_SIZE


def test_digest_of_a_pool_sees_every_byte_and_boundary() -> None:
    """Another byte, another order or another cut gives another digest."""
    digests = {
        payload_digest(pool)
        for pool in ([b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"c", b"ab"], [b"ab", b"d"], [b"ab", b"c", b""])
    }
    assert len(digests) == 6
    assert payload_digest([b"ab", b"c"]) == payload_digest((b"ab", b"c"))
