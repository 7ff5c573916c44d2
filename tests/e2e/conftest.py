"""A stack under test that several end-to-end tests share as their target."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtests import settings
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.processes import ProcessManager
from tests.e2e.command import ROOT, STARTED

HOSTED = str(Path(__file__).with_name("hosted.toml"))


@dataclass(frozen=True)
class Target:
    """A running stack, and what the command must know to use it."""

    host: str
    env: dict[str, str]
    stack: Stack

    @property
    def secret(self) -> str:
        """The key that signs its tokens."""
        return self.env[settings.JWT_SECRET]


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The stack under test, up for the whole session, with 200 users."""
    with ProcessManager(tmp_path_factory.mktemp("stack-logs")) as processes:
        stack = EmbeddedStack(processes, ROOT / "backend" / "stack.toml", "wheels", None).up(200, {})
        assert stack.host is not None
        yield Target(stack.host, dict(stack.secrets), stack)


@pytest.fixture(autouse=True)
def _clean_up() -> Iterator[None]:
    """No command outlives its test."""
    yield
    while STARTED:
        STARTED.pop().clean_up()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty results folder."""
    return tmp_path / "results"
