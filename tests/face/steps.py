"""Steps: each tries one part of FastHttpUser, and has its name in the names of its requests, so that rows can be told apart."""

from collections.abc import Callable
from typing import Any

STEPS: dict[str, Callable[[Any, str], Any]] = {}


def step(function: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Register a step: it is called with the user and its own name; what it returns is compared."""
    STEPS[function.__name__] = function
    return function


def seen(response: Any) -> list[Any]:
    """What a response shows of itself; ours has the parameters that were sent in its URL."""
    url = None if response.url is None else response.url.split("/", 3)[-1].partition("?")[0]
    return [response.status_code, response.text, type(response.content).__name__, url]


def decided(response: Any, decide: Callable[[Any], None]) -> list[Any]:
    """What becomes of a caught response."""
    with response:
        decide(response)
    return seen(response)
