"""Works many tasks at once on one event loop; claims them and writes their ends in batches.

A Celery message only says which tasks there are. Once they are claimed the lease stands for them,
not the message: if this process dies, the lease runs out and the relay publishes them again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import asyncpg

from app.core import metrics
from app.core.batch import Batcher
from app.core.cache import Cache
from app.core.database import Database, Unavailable
from app.repositories import work
from app.repositories.work import Claim, Ending, Fate
from app.settings import WorkerSettings

# Waits between tries while PostgreSQL is away; after the last the lease decides.
RETRY_DELAYS_S = (0.2, 1.0, 3.0)
END_BATCH = 200
# Ends that come within this time are written together; a task is that much later done.
LINGER_S = 0.05
# However often a task was tried, and whatever its error says.
MAX_RETRY_DELAY_S = 3600.0
MAX_ERROR_LENGTH = 1000
OBSERVE_S = 0.5

_T = TypeVar("_T")
_ENDED = {fate: metrics.TASKS_ENDED.labels(fate.name.lower()) for fate in Fate}
_LOST = metrics.TASKS_ENDED.labels("lost")

Perform = Callable[[WorkerSettings, Claim], Awaitable[Ending]]
_log = logging.getLogger("agenthq.worker")


class Stopping(Exception):  # noqa: N818 - a state, in which somebody else should be asked
    """The engine takes no more tasks."""


@dataclass(slots=True)
class _Held:
    """A task that is being worked."""

    claim: Claim
    task: "asyncio.Task[None]"
    since_s: float


class Engine:
    """The tasks of one worker process; all methods belong to one event loop."""

    def __init__(
        self, settings: WorkerSettings, database: Database, cache: Cache | None, perform: Perform
    ) -> None:
        self._settings, self._database, self._cache = settings, database, cache
        self._perform = perform
        self._working: dict[UUID, _Held] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._claiming = 0
        self._freed = asyncio.Event()
        self._stopping = False
        self._ends: Batcher[Ending, bool] = Batcher(self._end, END_BATCH, LINGER_S, lanes=2)

    async def start(self) -> None:
        """Begin; does not wait for PostgreSQL."""
        await self._database.open()
        self._loops.append(asyncio.create_task(self._observe()))
        self._loops.append(asyncio.create_task(self._renew()))
        if self._cache is not None:
            self._loops.append(asyncio.create_task(self._cache.run()))

    async def take(self, task_ids: Sequence[UUID], message_id: str) -> int:
        """Wait until there is room, claim what is to be had of the tasks, begin to work them.

        Returns how many that were.

        Raises:
            Stopping: it is too late; somebody else should have them.
            Unavailable: PostgreSQL stays away; the relay publishes the tasks again.
        """
        capacity = self._settings.worker_capacity
        while self._busy >= capacity and not self._stopping:
            self._freed.clear()
            await self._freed.wait()
        if self._stopping:
            raise Stopping
        self._claiming += len(task_ids)
        try:
            lease_s = self._settings.task_lease_s
            claims = await _patiently(
                lambda: work.claim(self._database, task_ids, message_id, lease_s)
            )
            now_s = _now_s()
            for claim in claims:
                task = asyncio.create_task(self._work(claim))
                self._working[claim.task_id] = _Held(claim, task, now_s)
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            self._claiming -= len(task_ids)
            self._freed.set()
        await self._tell(claims)
        return len(claims)

    def refuse(self) -> None:
        """Take no more from now on, also of those who wait for room."""
        self._stopping = True
        self._freed.set()

    async def stop(self) -> None:
        """Let tasks end for the grace time, give back those that have not, write all that."""
        self.refuse()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.worker_grace_s + 5.0):
                while self._claiming:  # it is to be given back as well
                    self._freed.clear()
                    await self._freed.wait()
        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.worker_grace_s)
        for held in list(self._working.values()):
            held.task.cancel("released")
        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.worker_grace_s + 5.0)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._cache is not None:
            await self._cache.close()
        await self._database.close()

    @property
    def _busy(self) -> int:
        return len(self._working) + self._claiming

    async def _work(self, claim: Claim) -> None:
        began_s = _now_s()
        metrics.TASK_WAIT.observe(claim.waited_s)
        try:
            ending = await self._attempt(claim)
        finally:
            self._working.pop(claim.task_id, None)
            self._freed.set()
        try:
            written = await _patiently(lambda: self._ends.call(ending))
        except (Unavailable, asyncpg.PostgresError) as error:
            # Its lease runs out, and somebody else works it.
            _log.error("task %s: its end could not be written: %s", claim.task_id, error)
            written = False
        metrics.TASK_RUN.observe(_now_s() - began_s)
        (_ENDED[ending.fate] if written else _LOST).inc()

    async def _attempt(self, claim: Claim) -> Ending:
        limit_s = self._settings.task_time_limit_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._perform(self._settings, claim)
        except TimeoutError:
            return self._again(claim, f"longer than {limit_s:g} s")
        except asyncio.CancelledError as cancelled:
            if "released" not in cancelled.args:
                raise  # the lease is lost: somebody else has the task, or it was cancelled
            return Ending(claim, Fate.AGAIN, error="its worker was stopped")
        except Exception as error:
            return self._again(claim, f"{type(error).__name__}: {error}")

    def _again(self, claim: Claim, error: str) -> Ending:
        """Another attempt, later each time; none after the last that is allowed."""
        settings = self._settings
        # PostgreSQL's text has no NUL and no lone surrogate, and ends are written together.
        error = error.replace("\0", "").encode(errors="replace").decode()[:MAX_ERROR_LENGTH]
        if claim.attempt >= settings.task_max_attempts:
            said = f"given up after {claim.attempt} attempts: {error}"
            return Ending(claim, Fate.FAILED, error=said, dead=True)
        delay_s = settings.task_retry_delay_s * 2 ** (claim.attempt - 1)
        return Ending(claim, Fate.AGAIN, error=error, delay_s=min(delay_s, MAX_RETRY_DELAY_S))

    async def _end(self, endings: Sequence[Ending]) -> list[bool | Exception]:
        written = await work.end(self._database, endings)
        await self._tell([one.claim for one, done in zip(endings, written, strict=True) if done])
        return [*written]

    async def _tell(self, claims: Sequence[Claim]) -> None:
        """Lists of these users changed."""
        if self._cache is not None and claims:
            await self._cache.changed({claim.user_id for claim in claims})

    async def _observe(self) -> None:
        while True:
            metrics.TASKS_IN_PROGRESS.set(len(self._working))
            await asyncio.sleep(OBSERVE_S)

    async def _renew(self) -> None:
        """Renew leases three times in their life; stop work whose lease is lost."""
        lease_s = self._settings.task_lease_s
        while True:
            await asyncio.sleep(lease_s / 4)
            old = [h for h in self._working.values() if _now_s() - h.since_s > lease_s / 4]
            if not old:
                continue
            try:
                held = await work.renew(self._database, [one.claim for one in old], lease_s)
            except (Unavailable, asyncpg.PostgresError) as error:  # without leases all is lost
                _log.warning("leases could not be renewed: %s", error)
                continue
            for one in old:
                if one.claim.task_id not in held and one.claim.task_id in self._working:
                    one.task.cancel("lost")
                    _LOST.inc()


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask again while PostgreSQL is away. Raises Unavailable when it stays away."""
    for delay_s in RETRY_DELAYS_S:
        try:
            return await ask()
        except Unavailable as error:
            _log.warning("PostgreSQL is away, next try in %s s: %s", delay_s, error)
            await asyncio.sleep(delay_s)
    return await ask()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
