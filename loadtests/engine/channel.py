"""Locust's sockets between master and workers, made to survive a network that is away for a while."""

import zmq.green as zmq
from locust.rpc import rpc

PING_MS = 1_000
"""Each worker asks its master for a sign of life this often; sockets do it by themselves, however busy the process is."""
DEAD_MS = 3_000
"""Without one for so long it connects anew. TCP alone would be silent after a cut of 10 s for up to as long again."""
CONNECT_MS = 2_000
"""Longest time for one attempt to connect; the next follows at once."""
LINGER_MS = 1_000
"""How long a process that ends waits for its last words to be sent."""


class WorkerSocket(rpc.Client):
    """A worker's end. What was not sent yet outlives the connection."""

    def __init__(self, host: str, port: int, identity: str) -> None:
        # Not the class between: it connects before it can be told anything.
        rpc.BaseSocket.__init__(self, zmq.DEALER, self.ipv4_only(host, port))  # type: ignore[no-untyped-call]
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, PING_MS)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_MS)
        self.socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        self.socket.setsockopt(zmq.LINGER, LINGER_MS)
        self.socket.connect(f"tcp://{host}:{port}")


class MasterSocket(rpc.Server):
    """The master's end."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)  # type: ignore[no-untyped-call]
        # A worker that connects anew is not turned away because its old connection seems to live.
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
