"""What tests of the probes share."""

import time
from collections.abc import Callable, Iterable

from loadtests.probes.sample import Fact, Sample


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def values(facts: Iterable[Fact]) -> dict[tuple[str, str | None], float]:
    """The samples of one round."""
    return {(fact.metric, fact.selector): fact.value for fact in facts if isinstance(fact, Sample)}
