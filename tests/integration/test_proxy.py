"""The proxy in front of a part of the stack, against real servers on real sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loadtests.errors import RunError
from loadtests.orchestrate.processes import ProcessManager
from loadtests.orchestrate.proxy import RESET, Front

TIMEOUT_S = 20.0
BULK = 64 * 1024 * 1024
"""More than all buffers between the two ends hold."""


def echo(connection: socket.socket) -> None:
    """Send back what comes, until it ends."""
    while data := connection.recv(65536):
        connection.sendall(data)


def answer_at_the_end(connection: socket.socket) -> None:
    """Read everything until the client says that it is all, then answer how much it was."""
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    connection.sendall(str(count).encode())


def never_read(connection: socket.socket) -> None:
    """Keep the connection open and leave it alone."""
    threading.Event().wait(TIMEOUT_S)
    connection.close()


@contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server with a thread a connection; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        threading.Thread(target=_accept, args=(listening, handle), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_handled, args=(connection, handle), daemon=True).start()


def _handled(connection: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    with connection, suppress(OSError):
        handle(connection)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessManager]:
    """Ends what the test started."""
    with ProcessManager(tmp_path) as made:
        yield made


def front(processes: ProcessManager, port: int, tmp_path: Path) -> Front:
    """A proxy to the port."""
    return Front(processes, "proxy", port, tmp_path)


def connect(front: Front) -> socket.socket:
    """A client of the proxy."""
    return socket.create_connection(("127.0.0.1", front.port), timeout=TIMEOUT_S)


def ask(client: socket.socket, text: bytes = b"hello") -> float:
    """Seconds until all of it came back."""
    begun = time.monotonic()
    client.sendall(text)
    received = b""
    while len(received) < len(text):
        data = client.recv(65536)
        assert data, "the connection ended"
        received += data
    assert received == text
    return time.monotonic() - begun


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_is_as_if_it_were_not_there(processes: ProcessManager, tmp_path: Path) -> None:
    """What is sent comes back whole and in order, also much of it."""
    with server(echo) as port, connect(front(processes, port, tmp_path)) as client:
        ask(client)
        ask(client, bytes(range(256)) * 400)


def test_delay_is_added_each_way_and_ends(processes: ProcessManager, tmp_path: Path) -> None:
    """A question and its answer take twice the delay longer; data that is on its way when it ends keeps its order."""
    with server(echo) as port:
        made = front(processes, port, tmp_path)
        with connect(made) as client:
            made.delay(0.2)
            wait_until(lambda: ask(client) >= 0.4)
            for number in range(20):
                client.sendall(b"%02d" % number)
            made.delay(0.0)
            client.sendall(b"20")
            received = b""
            while len(received) < 42:
                received += client.recv(100)
            assert received == b"".join(b"%02d" % number for number in range(21))
            wait_until(lambda: ask(client) < 0.2)


def test_a_share_of_the_connections_is_reset_each_second(processes: ProcessManager, tmp_path: Path) -> None:
    """All connections get RST when the share is all; new ones live on when it is over."""
    with server(echo) as port:
        made = front(processes, port, tmp_path)
        clients = [connect(made) for _ in range(30)]
        for client in clients:
            ask(client)
        made.reset(1.0)
        for client in clients:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            client.close()
        made.reset(0.0)
        with connect(made) as later:
            ask(later)


def test_half_closed_connections_get_their_answer(processes: ProcessManager, tmp_path: Path) -> None:
    """The end of the client's data reaches the server, whose answer and end reach the client; also with a delay."""
    with server(answer_at_the_end) as port:
        made = front(processes, port, tmp_path)
        for delay_s in (0.0, 0.05):
            made.delay(delay_s)
            with connect(made) as client:
                client.sendall(b"x" * 100_000)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b"100000"
                assert client.recv(100) == b""


@pytest.mark.parametrize("delay_s", [0.0, 30.0])
def test_who_does_not_read_makes_the_sender_wait(processes: ProcessManager, tmp_path: Path, delay_s: float) -> None:
    """With a server that does not read, or data that waits for its moment, the client cannot send without end."""
    with server(never_read) as port:
        made = front(processes, port, tmp_path)
        made.delay(delay_s)
        with connect(made) as client:
            client.settimeout(1.0)
            with pytest.raises(TimeoutError):
                client.sendall(bytes(BULK))


def test_a_target_that_is_away_resets_the_connection(processes: ProcessManager, tmp_path: Path) -> None:
    """The client's connection is accepted and reset at once; when the target is back, connections work."""
    with server(echo) as port:
        pass
    made = front(processes, port, tmp_path)
    with pytest.raises(ConnectionResetError), connect(made) as client:
        client.recv(1)
    with socket.create_server(("127.0.0.1", port)) as listening, connect(made) as client:
        connection, _ = listening.accept()
        connection.sendall(b"back")
        assert client.recv(10) == b"back"
        connection.close()


def test_a_reset_goes_through(processes: ProcessManager, tmp_path: Path) -> None:
    """A server that resets a connection does it to the client behind the proxy, too."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = front(processes, listening.getsockname()[1], tmp_path)
        with connect(made) as client:
            connection, _ = listening.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_many_idle_connections(processes: ProcessManager, tmp_path: Path) -> None:
    """Hundreds of connections that say little are all kept, and each gets its own answers."""
    with server(echo) as port:
        made = front(processes, port, tmp_path)
        clients = [connect(made) for _ in range(300)]
        for number, client in enumerate(clients):
            ask(client, b"%d" % number)
        for number, client in enumerate(clients):
            ask(client, b"%d again" % number)
            client.close()


def test_a_proxy_that_is_gone_says_so(processes: ProcessManager, tmp_path: Path) -> None:
    """Telling a dead proxy something is an error with its fate."""
    with server(echo) as port:
        made = front(processes, port, tmp_path)
        processes.stop(processes.named("proxy"))
        with pytest.raises(RunError, match=r"proxy was killed by SIGTERM and cannot be told 'delay 1\.0'"):
            made.delay(1.0)
