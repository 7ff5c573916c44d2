"""The master at its door: who may join, who has been silent for how long, and who may not come back."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from locust import __version__
from locust.rpc import Message
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner

from loadtests.engine import messages
from loadtests.engine.silence import Attention
from loadtests.engine.whereabouts import Whereabouts
from loadtests.store.build import difference, this_build

BYE = "quit"
"""Locust's own message with which a worker leaves."""
JOIN = "client_ready"
"""Locust's own message with which a worker joins; ours carries a name and a build instead of Locust's version."""
TOO_LATE = "the load has begun already"
LOOK_S, GONE_AFTER_S = 0.5, 5.0
"""Until the load begins it is looked so often who says nothing any more; a worker that lives says something every second."""
GIVEN_UP = "it gave this worker up"
Happened = Callable[[str, Mapping[str, Any]], None]
"""Told of an event's kind and what more there is to say of it."""


class GatedMaster(MasterRunner):
    """Locust's master, to which only workers of its own build belong, and no new ones while a load runs.

    Locust counts whoever says that it is ready, and gives users of a running test to newcomers and to workers that come back,
    and those of one that leaves to the others. Here the users of a worker are a part of the plan, so newcomers are told to
    leave, and Locust hears neither of them nor of who left. It would also end itself when the only worker so far leaves.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._build = this_build()
        self.known: dict[str, Whereabouts] = {}
        """All that were let in, by node."""
        self._refused: set[str] = set()
        self._turned_away: set[str] = set()
        self._left: set[str] = set()
        """Those who said that they leave."""
        self._asked: set[str] = set()
        """Those for whom there was no place."""
        self._heard: dict[str, float] = {}
        """When each node said something last."""
        self.happened: Happened = lambda *_: None
        super().__init__(*arguments, **named)
        self.greenlet.spawn(self._watch_waiting)

    def handle_message(self, client_id: str, msg: Message) -> None:
        """Locust's handling of what a worker says, if it is one of ours."""
        self._heard[client_id] = time.monotonic()
        if client_id in self._left:
            return
        if client_id in self._turned_away:
            self._refuse(client_id, GIVEN_UP)
        elif msg.type == BYE and (self._loading or self.state == STATE_INIT):
            self._let_go(client_id)
        elif msg.type != JOIN:
            super().handle_message(client_id, msg)
        elif client_id in self.clients:  # asked twice, for our answer was slow: Locust would give it users twice
            index = self.get_worker_index(client_id)  # type: ignore[no-untyped-call]
            self.send_message("ack", {"index": index}, client_id)
        elif (client_id in self.known and not self._loading) or self._admit(client_id, msg.data):
            super().handle_message(client_id, Message(JOIN, __version__, client_id))  # type: ignore[no-untyped-call]

    @property
    def _loading(self) -> bool:
        return self.state in (STATE_SPAWNING, STATE_RUNNING)

    def silent_s(self, node: str) -> float:
        """Seconds since a worker said something, whatever it was."""
        return time.monotonic() - self._heard.get(node, 0.0)

    def turn_away(self, node: str) -> None:
        """Have nothing more to do with a worker; whatever it says, it is told to leave."""
        self._turned_away.add(node)
        self._forget(node)
        if node not in self._left:
            self._refuse(node, GIVEN_UP)

    def _let_go(self, node: str) -> None:
        """A worker leaves: before the load its place is free again; during the load it is lost, whatever it says afterwards."""
        if node in self.clients:
            self._left.add(node)
            self._forget(node)
            if self.state == STATE_INIT:
                self.happened("worker_left", {"name": self.known[node].name})

    def _forget(self, node: str) -> None:
        client = self.clients.pop(node, None)
        if client is not None and self._users_dispatcher is not None:
            self._users_dispatcher.remove_worker(client)

    def _admit(self, node: str, said: Any) -> bool:
        """Whether a new worker may join. Plain Locust says its version and nothing else."""
        told = said if isinstance(said, dict) else {"build": {"locust": str(said)}}
        build = told.get("build")
        name, other = str(told.get("name", node)), difference(self._build, build if isinstance(build, dict) else {})
        if self._loading:
            other = TOO_LATE
            self._refuse(node, other)
        elif other is not None:
            self._refuse(node, None)  # it says by itself what the difference is, as seen from there
        elif (most := self._full_with()) is not None:
            if node not in self._asked:  # it may be the successor of one that died just now: asked again, we know
                self._asked.add(node)
                return False
            other = f"this run has all its {most} workers"
            self._refuse(node, other)
        if other is not None:
            if node not in self._refused:  # it may ask again before it has our answer
                self._refused.add(node)
                self.happened("worker_refused", {"name": name, "why": other})
            return False
        who = self.known[node] = Whereabouts(name, str(told.get("machine", "")), str(told.get("address", "")))
        place = {"place": who.place} if who.elsewhere else {}
        self.happened("worker_joined", {"name": name, "joined": self.worker_count + 1, **place})
        return True

    def _full_with(self) -> int | None:
        """How many workers a run has that wants no more; plain Locust's master takes whoever comes."""
        options = self.environment.parsed_options
        if options is None or not options.run_folder or self.worker_count < options.expect_workers:
            return None
        return int(options.expect_workers)

    def _watch_waiting(self) -> None:
        """While workers gather, those that are gone make room: the load must not begin with their users, nor wait for them."""
        attention = Attention()
        while True:
            asleep_s = time.monotonic()
            gevent.sleep(LOOK_S)
            if attention.fair(time.monotonic() - asleep_s > 2 * LOOK_S) and self.state == STATE_INIT:
                self._drop_silent()

    def _drop_silent(self) -> None:
        for node in list(self.clients):
            if (silent_s := self.silent_s(node)) > GONE_AFTER_S:
                self.turn_away(node)
                self.happened("worker_left", {"name": self.known[node].name, "silent_s": round(silent_s, 1)})

    def _refuse(self, node: str, why: str | None) -> None:
        self.send_message(messages.REFUSED, {"why": why, "build": self._build}, node)
