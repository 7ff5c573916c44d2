"""Journeys that a scenario spells out itself, in `[requests.NAME]`: one request each, without any Python."""

from collections.abc import Mapping, Sequence

from loadtests.traffic.journeys import REGISTRY, Journey, Person
from loadtests.traffic.prepared import Prepared


def declare(
    name: str, method: str, paths: Sequence[str], *, body: str | None, headers: Mapping[str, str], expect: Sequence[int]
) -> None:
    """Register a journey of this name. Which of its paths a turn asks for is decided by the turn's draw.

    Raises ValueError for what makes no request (traffic/prepared.py).
    """
    made = {path: Prepared(method, path, name=name, headers=headers, expect=tuple(expect)) for path in paths}
    prepared = [made[path] for path in paths]
    if any(request.is_template for request in prepared):
        raise ValueError("a path has no placeholders; braces are written %7B and %7D")
    data = None if body is None else body.encode()

    def ask(person: Person) -> None:
        person.client.send(person.choice(prepared), data)

    REGISTRY[name] = Journey(name, (name,), ask)
