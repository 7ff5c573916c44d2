"""A probe of accepted tasks while the load runs: some of them are asked for through the API, as their users would."""

import json
import random
import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from loadtests.orchestrate.follow_api import read_item
from loadtests.orchestrate.people import People, UnansweredError
from loadtests.orchestrate.ways import start_of
from loadtests.probes.sample import Fact, Gap, Sample
from loadtests.scenario.system import TasksApi
from loadtests.store.accepted import accepted_files
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineTail

AT_ONCE = 8
KEPT_ROUNDS = 5
"""So many rounds' tasks are kept while they have no end; meanwhile no others are taken in."""


class Watched(NamedTuple):
    """A task without an end, its moments in seconds since the start of the load."""

    task_id: str
    user: int
    due_s: float
    accepted_s: float


class Look(NamedTuple):
    """What was seen of a task: `ended` on this machine's clock, None while it has no end."""

    task: Watched
    ended: float | None
    trouble: str | None = None


class TaskSampler:
    """Each round asks for up to `most` tasks: the choice is random, those without an end are asked for again."""

    def __init__(self, folder: RunFolder, people: People, api: TasksApi, final: Collection[str], most: int) -> None:
        self._folder, self._people, self._api, self._final, self._most = folder, people, api, frozenset(final), most
        self._watched: deque[Watched] = deque()
        self._tails: dict[Path, LineTail] = {}
        self._chance = random.Random(0)
        self._start: float | None = None
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sample")

    def read(self) -> Iterator[Fact]:
        """Largest processing time, of those without an end until now; age of the oldest of these; their number.

        A round without tasks has none that took long; of one without answers nothing is known.
        """
        self._start = self._start or start_of(self._folder)
        if self._start is None:
            return
        self._take_in()
        asked = [self._watched.popleft() for _ in range(min(self._most, len(self._watched)))]
        looks = list(self._threads.map(self._look, asked))
        self._watched.extend(look.task for look in looks if look.ended is None)
        now_s = time.time() - self._start
        taken = [_end_s(look, self._start, now_s) - look.task.due_s for look in looks if look.trouble is None]
        if taken or not looks:
            yield Sample("tasks_sampled_processing", None, max(taken, default=0.0))
        yield Sample("tasks_sampled_oldest", None, max((now_s - task.accepted_s for task in self._watched), default=0.0))
        yield Sample("tasks_sampled_unfinished", None, float(len(self._watched)))
        troubles = [look.trouble for look in looks if look.trouble is not None]
        if troubles:
            yield Gap("sampled tasks", f"{len(troubles)} of {len(looks)} requests: {troubles[0]}")

    def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(cancel_futures=True)
        self._people.close()

    def _take_in(self) -> None:
        """Some of the tasks that were accepted since the last round; only these are parsed."""
        lines: list[bytes] = []
        for path in accepted_files(self._folder):
            lines += self._tails.setdefault(path, LineTail(path)).lines()
        room = KEPT_ROUNDS * self._most - len(self._watched)
        for line in self._chance.sample(lines, max(0, min(self._most, room, len(lines)))):
            record = json.loads(line)
            self._watched.append(Watched(str(record["id"]), record["user"], record["due_s"], record["accepted_s"]))

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


def _end_s(look: Look, start: float, now_s: float) -> float:
    return now_s if look.ended is None else look.ended - start
