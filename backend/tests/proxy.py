"""A TCP proxy that can go away or fall silent, to take a server away from one client only."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards a local port to a server, until it is cut off or frozen."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._flowing = threading.Event()
        self.port = 0
        self.restore()

    def restore(self) -> None:
        """Accept connections, on the same port as before."""
        self.thaw()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse connections and end those that there are."""
        if self._listener is not None:
            _shut(self._listener)
        while self._sockets:
            _shut(self._sockets.pop())

    def freeze(self) -> None:
        """Forward nothing more, and close nothing: as a host that hangs, or a cable pulled out."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward again, beginning with what was held back."""
        self._flowing.set()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flowing.wait()
                sink.sendall(data)
        _shut(source)
        _shut(sink)


@contextlib.contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy to the server."""
    running = Proxy((host, port))
    try:
        yield running
    finally:
        running.cut()
        running.thaw()  # so that its threads can end


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
