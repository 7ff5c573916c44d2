"""Calls that arrive together travel together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Gathers single calls into batches, as a database's group commit does.

    While a batch is under way, further calls wait and make the next one; so an idle server answers
    a call at once (after `linger_s`), and a busy one is asked less often for more. `send` gets the
    items in their order and returns as many results in the same order; when it raises, every call
    of its batch does. An exception among the results is raised by that call alone.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        limit: int,
        linger_s: float = 0.0,
        lanes: int = 1,
    ) -> None:
        """Items a batch at the most, how long its first waits for company, batches at once."""
        self._send, self._limit, self._linger_s, self._free = send, limit, linger_s, lanes
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._called = False

    async def call(self, item: Item) -> Result:
        """Send the item with whatever else is there; its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if self._free and not self._called:
            self._called = True
            if self._linger_s:
                loop.call_later(self._linger_s, self._flush)
            else:
                loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        self._called = False
        while self._waiting and self._free:
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._carry(batch))
            self._tasks.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._send([item for item, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                _settle(future, result)
        except Exception as error:
            for _, future in batch:
                _settle(future, error)
        finally:
            self._free += 1
            self._flush()


def _settle(future: "asyncio.Future[Result]", result: Result | Exception) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
