"""Calls that travel together: order, limits, lanes, errors, callers that leave."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.batch import Batcher


class Carrier:
    """Answers each item with its double; notes the batches, and holds them while `gate` is shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most_under_way = 0

    async def send(self, items: Sequence[int]) -> list[int | Exception]:
        """Carry one batch; negative items are errors of their own."""
        self.batches.append([*items])
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        return [2 * item if item >= 0 else ValueError(item) for item in items]


async def turns(count: int = 5) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_calls_of_one_turn_travel_together() -> None:
    """In the order in which they were made, as many as a batch may hold."""

    async def scenario() -> None:
        carrier = Carrier()
        batcher = Batcher(carrier.send, 3)
        assert await asyncio.gather(*map(batcher.call, range(7))) == [0, 2, 4, 6, 8, 10, 12]
        assert carrier.batches == [[0, 1, 2], [3, 4, 5], [6]]

    asyncio.run(scenario())


def test_an_idle_one_sends_at_once() -> None:
    """A call alone waits for nobody."""

    async def scenario() -> None:
        carrier = Carrier()
        batcher = Batcher(carrier.send, 10)
        for item in range(3):
            assert await batcher.call(item) == 2 * item
        assert carrier.batches == [[0], [1], [2]]

    asyncio.run(scenario())


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_while_all_lanes_are_taken_calls_gather(lanes: int) -> None:
    """Never more batches at once than lanes; what waits makes the next one, together."""

    async def scenario() -> None:
        carrier = Carrier()
        carrier.gate.clear()
        batcher = Batcher(carrier.send, 10, lanes=lanes)
        calls = []
        for item in range(lanes + 4):
            calls.append(asyncio.create_task(batcher.call(item)))
            await turns()
        alone = [[item] for item in range(lanes)]
        assert carrier.batches == alone
        carrier.gate.set()
        assert await asyncio.gather(*calls) == [2 * item for item in range(lanes + 4)]
        assert carrier.batches == [*alone, list(range(lanes, lanes + 4))]
        assert carrier.most_under_way == lanes

    asyncio.run(scenario())


def test_an_error_among_the_results_is_that_call_s_alone() -> None:
    """Its neighbours get what is theirs."""

    async def scenario() -> None:
        batcher = Batcher(Carrier().send, 10)
        outcomes = await asyncio.gather(*map(batcher.call, [1, -1, 2]), return_exceptions=True)
        assert [str(one) for one in outcomes] == ["2", "-1", "4"]
        assert isinstance(outcomes[1], ValueError)

    asyncio.run(scenario())


def test_an_error_of_the_batch_is_everybody_s() -> None:
    """And the next batch is sent as if nothing had happened."""

    async def scenario() -> None:
        async def send(items: Sequence[int]) -> list[int | Exception]:
            if 0 in items:
                raise OSError("away")
            return [*items]

        batcher = Batcher(send, 2)
        outcomes = await asyncio.gather(*map(batcher.call, range(4)), return_exceptions=True)
        assert [type(one) for one in outcomes] == [OSError, OSError, int, int]
        assert await batcher.call(7) == 7

    asyncio.run(scenario())


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_too_few_or_too_many_results_are_an_error(answers: int) -> None:
    """Nobody waits for ever for a result that is not there."""

    async def scenario() -> None:
        async def send(_: Sequence[int]) -> list[int | Exception]:
            return [1] * answers

        batcher = Batcher(send, 2)
        outcomes = await asyncio.gather(batcher.call(1), batcher.call(2), return_exceptions=True)
        assert any(isinstance(one, ValueError) for one in outcomes) or answers > 2
        assert all(isinstance(one, ValueError) or one == 1 for one in outcomes)

    asyncio.run(scenario())


def test_a_caller_that_leaves_takes_nobody_along() -> None:
    """Before or while its batch travels: what it asked for is done, the others are answered."""

    async def scenario() -> None:
        carrier = Carrier()
        carrier.gate.clear()
        batcher = Batcher(carrier.send, 10)
        calls = [asyncio.create_task(batcher.call(item)) for item in range(2)]
        await turns()
        calls += [asyncio.create_task(batcher.call(item)) for item in (2, 3)]
        await turns()
        for leaving in (calls[0], calls[2]):
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
        carrier.gate.set()
        async with asyncio.timeout(5):
            assert [await calls[1], await calls[3]] == [2, 6]
        assert carrier.batches == [[0, 1], [2, 3]]
        assert await batcher.call(4) == 8

    asyncio.run(scenario())


def test_the_first_of_a_batch_waits_for_company() -> None:
    """With a linger time calls of several turns travel together, and no longer than that apart."""

    async def scenario() -> None:
        carrier = Carrier()
        linger_s = 0.05
        batcher = Batcher(carrier.send, 10, linger_s)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        calls = []
        for item in range(4):
            calls.append(asyncio.create_task(batcher.call(item)))
            await turns()
        assert await asyncio.gather(*calls) == [0, 2, 4, 6]
        assert carrier.batches == [[0, 1, 2, 3]]
        assert loop.time() - began_s >= linger_s - 0.001

    asyncio.run(scenario())


@given(
    items=st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 4)), max_size=60),
    limit=st.integers(1, 7),
    lanes=st.integers(1, 4),
)
def test_every_call_gets_its_own_result(
    items: list[tuple[int, int]], limit: int, lanes: int
) -> None:
    """Whenever it comes, however long batches take; each item travels once, within the limits."""

    async def scenario() -> None:
        carrier = Carrier()

        async def send(batch: Sequence[int]) -> list[int | Exception]:
            carrier.under_way += 1
            carrier.most_under_way = max(carrier.most_under_way, carrier.under_way)
            carrier.batches.append([*batch])
            await turns(sum(batch) % 4)
            carrier.under_way -= 1
            return [2 * one if one >= 0 else ValueError(one) for one in batch]

        batcher = Batcher(send, limit, lanes=lanes)

        async def call(item: int, delay: int) -> None:
            await turns(delay)
            if item >= 0:
                assert await batcher.call(item) == 2 * item
            else:
                with pytest.raises(ValueError, match=f"^{item}$"):
                    await batcher.call(item)

        await asyncio.gather(*(call(*item) for item in items))
        assert sorted(one for batch in carrier.batches for one in batch) == sorted(
            item for item, _ in items
        )
        assert max(map(len, carrier.batches), default=0) <= limit
        assert carrier.most_under_way <= lanes

    asyncio.run(scenario())
