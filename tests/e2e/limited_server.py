"""A server that answers so many requests a second and no more: others wait for their turn.

    python limited_server.py RATE

prints its port and serves until its input is closed.
"""

import asyncio
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Gives each request the next free moment; what was not used of the last 100 ms is not lost, so a stall is made up for."""

    def __init__(self, rate: float) -> None:
        self._rate, self._next = rate, 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                if not request.startswith(b"GET /healthz"):
                    await self._turn()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _turn(self) -> None:
        now = time.perf_counter()
        self._next = max(now - 0.1, self._next) + 1 / self._rate
        await asyncio.sleep(max(0.0, self._next - now))


async def main() -> None:
    """Serve until the input ends."""
    server = Server(float(sys.argv[1]))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
