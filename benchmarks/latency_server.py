"""A server whose latency is known: it waits as its script says, and keeps what it did.

    python latency_server.py SCRIPT SEED

prints its port, serves until its input is closed, then prints as JSON the seconds from each request's arrival to its answer
(`waited`) and the moments between which it was frozen (`stalls`, seconds of the Unix epoch).
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Callable

BODY = b"{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
SCRIPTS: dict[str, Callable[[random.Random], float]] = {
    "constant": lambda _: 0.4,
    "bimodal": lambda rng: 0.2 if rng.random() < 0.9 else 1.0,
    "lognormal": lambda rng: min(rng.lognormvariate(-0.9, 0.4), 2.0),
    "stall": lambda _: 0.0,
}
"""Seconds to wait before an answer."""
STALL_AFTER_S, STALL_S = 5.0, 2.0


class Server:
    """Plays one script."""

    def __init__(self, script: str, seed: int) -> None:
        self._script, self._rng = script, random.Random(seed)
        self._first: float | None = None
        self.waited: list[float] = []
        self.stalls: list[tuple[float, float]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                if not request.startswith(b"GET /healthz"):
                    await self._wait()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _wait(self) -> None:
        arrived = time.perf_counter()
        if self._first is None:
            self._first = arrived
        if self._script == "stall":
            self._freeze(arrived - self._first)
        delay = SCRIPTS[self._script](self._rng)
        if delay:
            await asyncio.sleep(delay)
        self.waited.append(time.perf_counter() - arrived)

    def _freeze(self, since_first_s: float) -> None:
        """Once, nobody is answered: the whole server stands still, as in a collection of garbage or a lost lock."""
        if since_first_s >= STALL_AFTER_S and not self.stalls:
            begin = time.time()
            time.sleep(STALL_S)
            self.stalls.append((begin, time.time()))


async def main() -> None:
    """Serve until the input ends."""
    gc.disable()
    server = Server(sys.argv[1], int(sys.argv[2]))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps({"waited": server.waited, "stalls": server.stalls}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
