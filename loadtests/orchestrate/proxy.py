"""A TCP proxy that stands in front of a part of the stack, to be slow or to reset connections when a fault asks for it.

A process of its own, one for each part that a fault needs it for. What one side sends the other gets, half-closes included;
a side that does not read makes the other wait, so memory stays bounded however many connections there are. A target that is
away, or resets a connection, resets the client's, and the other way round.

    lines of its control pipe:   delay SECONDS   reset SHARE        0 for as if it were not there
"""

import argparse
import asyncio
import math
import os
import random
import socket
import struct
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

from loadtests.errors import RunError
from loadtests.orchestrate.processes import Managed, ProcessManager

READY_WITHIN_S = 20.0
BACKLOG = 4096
MOST_HELD_BYTES = 256 * 1024
"""Of one direction of one connection, while it is delayed; then its sender waits."""
ROUND_S = 1.0
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a connection that ends by RST: what was not sent yet is thrown away."""


class Front:
    """The run's end of the control pipe."""

    def __init__(self, processes: ProcessManager, name: str, target_port: int, state: Path) -> None:
        """Start a proxy to a port of 127.0.0.1; returns when it listens. Raises NotReadyError."""
        self.port = processes.ports.choose(0)
        self._pipe = state / f"{name}.control"
        command = [sys.executable, "-m", "loadtests.orchestrate.proxy", str(self.port), str(target_port), str(self._pipe)]
        root = str(Path(__file__).parents[2])
        self._managed: Managed = processes.start(name, command, env={**os.environ, "PYTHONPATH": root})
        processes.wait_ready(self._managed, self._pipe.exists, READY_WITHIN_S, "it listened")

    def delay(self, seconds: float) -> None:
        """Let each piece of data go through so much later. Raises RunError when the proxy is gone."""
        self._tell(f"delay {seconds!r}")

    def reset(self, share: float) -> None:
        """Reset this share of the open connections in each second. Raises RunError when the proxy is gone."""
        self._tell(f"reset {share!r}")

    def _tell(self, line: str) -> None:
        try:
            pipe = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, f"{line}\n".encode())
            finally:
                os.close(pipe)
        except OSError as error:
            raise RunError(f"{self._managed.name} {self._managed.fate()} and cannot be told {line!r}") from error


class Side(asyncio.Protocol):
    """One of a pair of connections: what it receives is sent on by its peer."""

    transport: asyncio.Transport

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy, self._loop = proxy, asyncio.get_running_loop()
        self.peer: Side | None = None
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        """What is to be sent here, each with its moment; None is the end of the data."""
        self._waiting_bytes = 0
        self._choked = self._holding = self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is read before there is a peer to send it to."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # Not at once: with Python 3.11.2, Debian 12's, the transport begins to read after this call, paused or not.
        self._loop.call_soon(self._hold)
        self._proxy.opened(self)

    def _hold(self) -> None:
        if self.peer is None:
            self.transport.pause_reading()

    def join(self, peer: "Side") -> None:
        """From now on each sends what the other receives."""
        self.peer, peer.peer = peer, self
        for side in (self, peer):
            side.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        assert self.peer is not None, "nothing is read before there is a peer"
        self.peer.send(data)

    def eof_received(self) -> bool:
        """Pass it on; the other direction stays open."""
        assert self.peer is not None, "nothing is read before there is a peer"
        self.peer.send(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer does not outlive it."""
        self._waiting.clear()
        self._proxy.closed(self)
        if self.peer is not None and not self.peer.transport.is_closing():
            self.peer.reset()

    def pause_writing(self) -> None:
        """Who receives here does not keep up."""
        self._choked = True
        self._balance()

    def resume_writing(self) -> None:
        """It does again."""
        self._choked = False
        self._balance()

    def send(self, data: bytes | None) -> None:
        """Send the data, or its end, now or after the delay; always in order."""
        if not self._waiting and not self._proxy.delay_s:
            self._write(data)
            return
        due = self._loop.time() + self._proxy.delay_s
        self._waiting.append((due, data))
        self._waiting_bytes += len(data or b"")
        if len(self._waiting) == 1:
            self._loop.call_at(due, self._send_due)
        self._balance()

    def reset(self) -> None:
        """End this connection by RST."""
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def _send_due(self) -> None:
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            data = self._waiting.popleft()[1]
            self._waiting_bytes -= len(data or b"")
            self._write(data)
        if self._waiting:
            self._loop.call_at(self._waiting[0][0], self._send_due)
        self._balance()

    def _write(self, data: bytes | None) -> None:
        if self.transport.is_closing():
            return
        if data is not None:
            self.transport.write(data)
            return
        self._finished = True
        if self.peer is not None and self.peer._finished:
            self.transport.close()
            self.peer.transport.close()
        else:
            self.transport.write_eof()

    def _balance(self) -> None:
        """Let the peer read only while this side can keep up."""
        hold = self._choked or self._waiting_bytes > MOST_HELD_BYTES
        if self.peer is None or hold == self._holding:
            return
        self._holding = hold
        if hold:
            self.peer.transport.pause_reading()
        else:
            self.peer.transport.resume_reading()


class Client(Side):
    """The side of who connected: it brings its peer along."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the target."""
        super().connection_made(transport)
        self._dialling = self._loop.create_task(self._dial())

    async def _dial(self) -> None:
        try:
            _, target = await self._loop.create_connection(lambda: Side(self._proxy), "127.0.0.1", self._proxy.target_port)
        except OSError:
            self.reset()  # what comes nearest to a refused connection, now that this one was accepted
            return
        if self.transport.is_closing():
            target.transport.abort()
        else:
            self.join(target)


class Proxy:
    """All connections, and what is done to them."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_s = 0.0
        self._share = 0.0
        self._clients: set[Client] = set()
        self._round: asyncio.TimerHandle | None = None
        self._unread = b""

    def opened(self, side: Side) -> None:
        """A connection is there."""
        if isinstance(side, Client):
            self._clients.add(side)

    def closed(self, side: Side) -> None:
        """It is gone."""
        if isinstance(side, Client):
            self._clients.discard(side)

    def control(self, pipe: int) -> None:
        """Carry out the lines that the pipe has; a part of a line waits for its rest."""
        *lines, self._unread = (self._unread + os.read(pipe, 4096)).split(b"\n")
        for line in lines:
            word, value = line.decode().split()
            if word == "delay":
                self.delay_s = float(value)
            elif word == "reset":
                self._reset_share(float(value))

    def _reset_share(self, share: float) -> None:
        self._share = share
        if self._round is not None:
            self._round.cancel()
            self._round = None
        if share:
            self._reset_some()

    def _reset_some(self) -> None:
        """The share of the connections that are open now, at moments all over the second to come."""
        loop = asyncio.get_running_loop()
        # A share of a few connections is no whole number: its fraction is the chance of one more.
        count = math.floor(self._share * len(self._clients) + random.random())
        for client in random.sample(list(self._clients), min(count, len(self._clients))):
            loop.call_later(random.random() * ROUND_S, self._reset_one, client)
        self._round = loop.call_later(ROUND_S, self._reset_some)

    def _reset_one(self, client: Client) -> None:
        if self._share and not client.transport.is_closing():
            client.reset()


async def serve(port: int, target_port: int, pipe: Path) -> None:
    """Listen on 127.0.0.1 for ever. The control pipe is there when it listens."""
    loop = asyncio.get_running_loop()
    proxy = Proxy(target_port)
    server = await loop.create_server(lambda: Client(proxy), "127.0.0.1", port, backlog=BACKLOG)
    os.mkfifo(pipe, 0o600)
    control = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # also for writing, so that it never ends
    loop.add_reader(control, proxy.control, control)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run until a signal ends it."""
    parser = argparse.ArgumentParser(description="A TCP proxy that can be slow or reset connections.")
    parser.add_argument("port", type=int)
    parser.add_argument("target_port", type=int)
    parser.add_argument("pipe", type=Path)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.target_port, options.pipe))


if __name__ == "__main__":
    main()
