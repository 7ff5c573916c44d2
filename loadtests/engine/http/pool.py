"""The connections of one person: usually one, more when it asks several origins or from several greenlets at once."""

from collections import defaultdict

from loadtests.engine.http.connection import Connection, Limits
from loadtests.engine.http.origin import Origin


class Pool:
    """Kept connections by origin."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._closed = False
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)

    def take(self, origin: Origin) -> Connection:
        """A connection that nobody else uses until it is given back."""
        self._closed = False
        idle = self._idle[origin]
        return idle.pop() if idle else Connection(origin, self._limits)

    def give(self, connection: Connection) -> None:
        """Its user is done with it."""
        if self._closed:
            connection.close()
        self._idle[connection.origin].append(connection)

    def close(self) -> None:
        """Close what is idle, and what is given back after this."""
        self._closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
