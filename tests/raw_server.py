"""A TCP server that plays scripts of bytes, so that a client meets every answer, and every silence, at a chosen moment."""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

RECEIVE_BYTES = 65_536
PATIENCE_S = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class Gone(Exception):
    """The client closed the connection: the script is over."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: "RawServer", number: int, sock: socket.socket) -> None:
        self.server, self.number, self.sock = server, number, sock
        self._received = bytearray()

    def receive(self) -> bytes:
        """More bytes. Raises Gone."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except (ConnectionError, ssl.SSLError) as error:
            raise Gone from error
        if not data:
            raise Gone
        return data

    def request(self) -> bytes:
        """One whole request, its body included."""
        while b"\r\n\r\n" not in self._received:
            self._received += self.receive()
        head_bytes = self._received.index(b"\r\n\r\n") + 4
        length = _LENGTH.search(self._received[:head_bytes])
        total = head_bytes + (int(length[1]) if length else 0)
        while len(self._received) < total:
            self._received += self.receive()
        request = bytes(self._received[:total])
        del self._received[:total]
        self.server.requests.append((self.number, request))
        return request

    def send(self, data: bytes) -> None:
        """Bytes for the client, which may have gone."""
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError) as error:
            raise Gone from error


Step = bytes | Callable[[Peer], object]
"""Bytes to send, or something to do."""
Script = Sequence[Step]


def read(peer: Peer) -> None:
    """Wait for a whole request."""
    peer.request()


def read_some(peer: Peer) -> None:
    """Wait for some bytes of a request."""
    peer.server.requests.append((peer.number, peer.receive()))


def close(peer: Peer) -> None:
    """Close properly."""
    if isinstance(peer.sock, ssl.SSLSocket):
        with suppress(OSError):
            peer.sock = peer.sock.unwrap()
    peer.sock.close()
    raise Gone


def half_close(peer: Peer) -> None:
    """Announce the end, and keep listening."""
    peer.sock.shutdown(socket.SHUT_WR)


def reset(peer: Peer) -> None:
    """Reset the connection."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    raise Gone


def wait_until_closed(peer: Peer) -> None:
    """Read whatever comes, until the client closes."""
    while True:
        peer.receive()


def ignore(peer: Peer) -> None:
    """Read nothing until the test is over."""
    peer.server.over.wait(PATIENCE_S)


def pause(seconds: float) -> Step:
    """Wait a little."""
    return lambda _: time.sleep(seconds)


def always(answer: bytes) -> Step:
    """Answer every request so."""

    def serve(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(answer)

    return serve


def answer(body: bytes = b"ok", status: str = "200 OK", *fields: str) -> bytes:
    """A response with these fields and its body's Content-Length."""
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def sent_lines(request: bytes, name: bytes) -> list[bytes]:
    """The values of a header in a request."""
    return [line.partition(b": ")[2] for line in request.split(b"\r\n") if line.partition(b":")[0].lower() == name]


def redirecting(to: str, status: str = "302 Found") -> bytes:
    """An answer that sends elsewhere."""
    return answer(b"", status, f"Location: {to}")


class RawServer:
    """The running server, and what it has heard."""

    def __init__(self, listener: socket.socket, scripts: Sequence[Script], tls: ssl.SSLContext | None) -> None:
        self.requests: list[tuple[int, bytes]] = []
        """Number of the connection, and bytes of the request."""
        self.over = threading.Event()
        self.faults: list[Exception] = []
        """Of the server itself; there must be none."""
        self._listener, self._scripts, self._tls = listener, scripts, tls
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def accepted(self) -> int:
        """Connections so far."""
        return len(self._sockets)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    @property
    def port(self) -> int:
        """The port where it listens."""
        port = self._listener.getsockname()[1]
        assert isinstance(port, int)
        return port

    def serve(self) -> None:
        """Accept until the listener is closed."""
        while not self.over.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._play, args=(sock, len(self._sockets) - 1), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, sock: socket.socket, number: int) -> None:
        peer = Peer(self, number, sock)
        try:
            if self._tls is not None:
                peer.sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets[number] = peer.sock
            for step in (*self._scripts[min(number, len(self._scripts) - 1)], wait_until_closed):
                if isinstance(step, bytes):
                    peer.send(step)
                else:
                    step(peer)
        except (Gone, OSError):
            pass  # the client hung up, or refused the handshake
        except Exception as error:
            self.faults.append(error)
        finally:
            peer.sock.close()

    def stop(self) -> None:
        """End everything."""
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in `accept`
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for sock in self._sockets:
            sock.close()


@contextmanager
def raw_server(*scripts: Script, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server whose first connection plays the first script, and so on; the last one is played by all others."""
    family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(address if family == socket.AF_UNIX else (address, 0))
    listener.listen(256)
    server = RawServer(listener, scripts, tls)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE_S)
    assert server.faults == []


@contextmanager
def nobody() -> Iterator[str]:
    """Where nobody listens, and nobody else will meanwhile."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"
