"""A probe of accepted tasks while the load runs: some of them are asked for through the API, as their users would."""

import json
import random
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from loadtests.orchestrate.askers import Askers
from loadtests.orchestrate.follow_api import read_item
from loadtests.orchestrate.people import People, UnansweredError
from loadtests.probes.sample import Fact, Gap, Sample
from loadtests.scenario.system import TasksApi
from loadtests.store.accepted import accepted_files
from loadtests.store.folder import RunFolder, start_of
from loadtests.store.records import LineTail

AT_ONCE = 8
ROUND_S = 2.0
"""For all requests of a round; what has no answer by then is a gap."""


class Watched(NamedTuple):
    """A task without an end, its moments in seconds since the start of the load."""

    task_id: str
    user: int
    due_s: float
    accepted_s: float


class Look(NamedTuple):
    """What was seen of a task: `ended` on this machine's clock, None while it has no end; `trouble`: nothing was seen."""

    task: Watched
    ended: float | None
    trouble: str | None = None


class TaskSampler:
    """Each round asks for up to `most` tasks: those that had no end again, and new ones at random."""

    def __init__(self, folder: RunFolder, people: People, api: TasksApi, final: Collection[str], most: int) -> None:
        self._folder, self._people, self._api, self._final, self._most = folder, people, api, frozenset(final), most
        self._watched: list[Watched] = []
        self._tails: dict[Path, LineTail] = {}
        self._chance = random.Random(0)
        self._start: float | None = None
        self._askers = Askers(AT_ONCE, "sample")

    def read(self) -> Iterator[Fact]:
        """Largest processing time, of those without an end until now; age of the oldest of these; their number.

        A round without tasks has none that took long; of one without answers nothing is known.
        """
        self._start = self._start or start_of(self._folder)
        if self._start is None:
            return
        self._take_in()
        looks = self._looks()
        self._watched = [look.task for look in looks if look.ended is None]
        answered = [look for look in looks if look.trouble is None]
        if answered or not looks:
            yield from _samples(answered, self._start, time.time() - self._start)
        troubles = [look.trouble for look in looks if look.trouble is not None]
        if troubles:
            yield Gap("sampled tasks", f"{len(troubles)} of {len(looks)} requests: {troubles[0]}")

    def close(self) -> None:
        """Ask nothing any more; nobody waits for what is under way."""
        self._people.close()
        self._askers.close()

    def _take_in(self) -> None:
        """Some of the tasks that were accepted since the last round, as many as there is room for; only these are parsed."""
        lines: list[bytes] = []
        for path in accepted_files(self._folder):
            lines += self._tails.setdefault(path, LineTail(path)).lines()
        room = self._most - len(self._watched)
        for line in self._chance.sample(lines, min(room, len(lines))):
            record = json.loads(line)
            self._watched.append(Watched(str(record["id"]), record["user"], record["due_s"], record["accepted_s"]))

    def _looks(self) -> list[Look]:
        """A look at each task, within the time that a round has."""
        asked = {self._askers.ask(partial(self._look, task)): task for task in self._watched}
        answered, late = wait(asked, timeout=ROUND_S)
        for one in late:
            one.cancel()
        silence = f"no answer within {ROUND_S:g} s"
        return [one.result() if one in answered else Look(task, None, silence) for one, task in asked.items()]

    def _look(self, task: Watched) -> Look:
        path = (self._api.item or "").format(id=quote(task.task_id, safe=""))
        try:
            answer = self._people.get(task.user, path, expect=(200, 404))
            if answer.status == 404:  # not there, or not yet: the end of the run decides
                return Look(task, None)
            state = read_item(answer.data, self._api, path).state
        except UnansweredError as error:
            return Look(task, None, str(error))
        if state.status not in self._final:
            return Look(task, None)
        ended = state.ended if answer.clock is None else answer.clock.ours(state.ended)
        return Look(task, time.time() if ended is None else ended)


def _samples(looks: Sequence[Look], start: float, now_s: float) -> Iterator[Sample]:
    """What these looks say; moments are counted from `start`, which is on the epoch."""
    took = [(now_s if look.ended is None else look.ended - start) - look.task.due_s for look in looks]
    ages = [now_s - look.task.accepted_s for look in looks if look.ended is None]
    yield Sample("tasks_sampled_processing", None, max(took, default=0.0))
    yield Sample("tasks_sampled_oldest", None, max(ages, default=0.0))
    yield Sample("tasks_sampled_unfinished", None, float(len(ages)))
