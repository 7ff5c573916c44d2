"""What users do when it is their turn.

A journey is a function of one person; it makes a request or a few and returns. A journey of your own:

    from loadtests.traffic.journeys import Person, journey

    @journey(requests=["search"])
    def search(person: Person) -> None:
        person.client.get(f"/search?q={person.choice(['shoes', 'hats'])}", name="search")

and in the scenario `journeys = ["my_journeys.py"]` and `mix = [{ journey = "search" }]`.

A request that is sent often is better prepared once (traffic/prepared.py): it then costs half as much.

A journey must take its randomness from the person alone, so that the seed alone decides what is sent.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from loadtests.traffic.prepared import JSON_HEADERS, Prepared

T = TypeVar("T")


class Response(Protocol):
    """What came back."""

    @property
    def status_code(self) -> int:
        """The status; 0 when nothing came back."""

    @property
    def content(self) -> bytes | None:
        """The body; None when nothing came back."""

    @property
    def text(self) -> str | None:
        """The body as text; None when nothing came back."""

    @property
    def ok(self) -> bool:
        """Whether the answer was one that the request expected."""

    def json(self) -> Any:
        """The parsed body; raises ValueError when it is not JSON."""


class Client(Protocol):
    """A person's own connection; every request is measured under its `name`. Failures are recorded, never raised.

    At run time it has the whole face of Locust's FastHttpSession: `put`, `catch_response`, `params`, `auth` and the rest.
    """

    def send(self, request: Prepared, data: bytes | None = None, **parts: object) -> Response:
        """A prepared request, with this body and these parts of its path."""

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
        """Send and wait. Any status below 400 is ok, or only those of `expect`."""

    def get(self, url: str, *, name: str, expect: Sequence[int] = ()) -> Response:
        """A GET request."""

    def post(
        self, url: str, data: bytes | str | None = None, json: Any = None, *, name: str, expect: Sequence[int] = ()
    ) -> Response:
        """A POST request; `json` is encoded for it."""


class Person(Protocol):
    """One simulated user, as its journeys see it."""

    @property
    def client(self) -> Client:
        """The person's connection, with its token."""

    @property
    def number(self) -> int:
        """0, 1, 2 ... over the whole run."""

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, decided by the turn's draw."""

    def payload(self) -> bytes:
        """One of the prepared bodies, decided by the turn's draw."""

    def accepted(self, task_id: str) -> None:
        """The target promised to work this task off: the ledger follows it to its end."""


Action = Callable[[Person], None]


@dataclass(frozen=True)
class Journey:
    """A registered journey and the request names it may measure."""

    name: str
    requests: tuple[str, ...]
    run: Action


REGISTRY: dict[str, Journey] = {}


def journey(requests: Sequence[str]) -> Callable[[Action], Action]:
    """Register a function as a journey of its own name."""

    def register(action: Action) -> Action:
        REGISTRY[action.__name__] = Journey(action.__name__, tuple(requests), action)
        return action

    return register


def load_file(path: Path) -> None:
    """Run a file that registers journeys. Raises whatever the file raises."""
    if not path.is_file():
        raise FileNotFoundError("no such file")
    spec = importlib.util.spec_from_file_location(f"journeys_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and the like look a module up
    spec.loader.exec_module(module)


@contextmanager
def as_before() -> Iterator[None]:
    """Journeys that are registered within it are forgotten afterwards."""
    known = dict(REGISTRY)
    try:
        yield
    finally:
        REGISTRY.clear()
        REGISTRY.update(known)


LIST_TASKS = Prepared("GET", "/api/v1/tasks?page=1&page_size=20", name="list_tasks")
CREATE_TASK = Prepared("POST", "/api/v1/tasks", name="create_task", headers=JSON_HEADERS, expect=(201,))
BY_REQUEST = {(one.method, one.path.partition("?")[0]): one.name for one in (LIST_TASKS, CREATE_TASK)}
"""Method and path, without its query, to the journey that makes this request."""


@journey(requests=["list_tasks"])
def list_tasks(person: Person) -> None:
    """The newest page of one's own tasks."""
    person.client.send(LIST_TASKS)


@journey(requests=["create_task"])
def create_task(person: Person) -> None:
    """Ask for a document to be written."""
    response = person.client.send(CREATE_TASK, person.payload())
    if response.ok:
        person.accepted(str(response.json()["id"]))
