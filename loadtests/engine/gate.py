"""The master at its door: who may join, who has been silent for how long, and who may not come back."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from locust import __version__
from locust.rpc import Message
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner

from loadtests.engine import messages
from loadtests.store.build import difference, this_build

JOIN = "client_ready"
"""Locust's own message with which a worker joins; ours carries a name and a build instead of Locust's version."""
TOO_LATE = "the load has begun already"
GIVEN_UP = "it gave this worker up"
Happened = Callable[[str, Mapping[str, Any]], None]
"""Told of an event's kind and what more there is to say of it."""


class GatedMaster(MasterRunner):
    """Locust's master, to which only workers of its own build belong, and no new ones while a load runs.

    Locust counts whoever says that it is ready, and gives users of a running test to newcomers and to workers that come back.
    Here the users of a worker are a part of the plan, so both are told to leave before Locust hears of them.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._build = this_build()
        self._members: set[str] = set()
        """All that were let in."""
        self._refused: set[str] = set()
        self._turned_away: set[str] = set()
        self._heard: dict[str, float] = {}
        """When each node said something last."""
        self.happened: Happened = lambda *_: None
        super().__init__(*arguments, **named)

    def handle_message(self, client_id: str, msg: Message) -> None:
        """Locust's handling of what a worker says, if it is one of ours."""
        self._heard[client_id] = time.monotonic()
        if client_id in self._turned_away:
            self._refuse(client_id, GIVEN_UP)
        elif msg.type != JOIN:
            super().handle_message(client_id, msg)
        elif client_id in self.clients:  # asked twice, for our answer was slow: Locust would give it users twice
            index = self.get_worker_index(client_id)  # type: ignore[no-untyped-call]
            self.send_message("ack", {"index": index}, client_id)
        elif client_id in self._members or self._admit(client_id, msg.data):
            super().handle_message(client_id, Message(JOIN, __version__, client_id))  # type: ignore[no-untyped-call]

    def silent_s(self, node: str) -> float:
        """Seconds since a worker said something, whatever it was."""
        return time.monotonic() - self._heard.get(node, 0.0)

    def turn_away(self, node: str) -> None:
        """Have nothing more to do with a worker; whatever it says, it is told to leave."""
        self._turned_away.add(node)
        client = self.clients.pop(node, None)
        if client is not None and self._users_dispatcher is not None:
            self._users_dispatcher.remove_worker(client)
        self._refuse(node, GIVEN_UP)

    def _admit(self, node: str, said: Any) -> bool:
        """Whether a new worker may join. Plain Locust says its version and nothing else."""
        told = said if isinstance(said, dict) else {"build": {"locust": str(said)}}
        name, other = str(told.get("name", node)), difference(self._build, told.get("build", {}))
        if other is not None:
            self._refuse(node, None)  # it says by itself what the difference is, as seen from there
        elif self.state in (STATE_SPAWNING, STATE_RUNNING):
            other = TOO_LATE
            self._refuse(node, TOO_LATE)
        if other is not None:
            if node not in self._refused:  # it may ask again before it has our answer
                self._refused.add(node)
                self.happened("worker_refused", {"name": name, "why": other})
            return False
        self._members.add(node)
        self.happened("worker_joined", {"name": name, "joined": self.worker_count + 1})
        return True

    def _refuse(self, node: str, why: str | None) -> None:
        self.send_message(messages.REFUSED, {"why": why, "build": self._build}, node)
