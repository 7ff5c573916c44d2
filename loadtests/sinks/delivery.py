"""Carries a run's folder to a server, whatever the server does meanwhile.

| answer | what follows |
|---|---|
| 204 | the position moves on |
| none, 429, 5xx, anything unexpected | the same again, later each time (a `Retry-After` is kept), 15 s at the most |
| 404 | the database is made; if that is refused, as 401 |
| 401, 403 | the same again, seldom, while the run goes on: somebody may mend it; `loadtest upload` gives up |
| 413 | in halves |
| 400 | in halves, until the lines at fault are alone: these are dead letters |
"""

import time
from collections.abc import Callable, Sequence

from loadtests.sinks.address import Address
from loadtests.sinks.influx import DELIVERED, Server, connect
from loadtests.sinks.spool import Parcel, Spool
from loadtests.sinks.transport import NoReply, Reply

MAX_LINES = 5000
FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 15.0
POLL_S = 0.5
MAX_SEARCHES = 200
"""Requests spent on finding the bad lines of one parcel; then what is left of it is a dead letter as a whole."""
LAST_CALL_S = 5.0
"""After the end of a run that is followed."""
REFUSED = (401, 403, 404)


class Undelivered(Exception):  # a state, in which one may try again later
    """Time is up, or the server refuses; why, in words."""


class Delivery:
    """One run on its way to one server; `clock` and `sleep` are in seconds."""

    def __init__(
        self,
        spool: Spool,
        address: Address,
        follow: bool,
        within_s: float,
        connect_to: Callable[[Address], Server] = connect,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`follow`: wait for what is still being written; `within_s`: how long a server in trouble is waited for at the end."""
        self._spool, self._address, self._follow, self._within_s = spool, address, follow, within_s
        self._connect, self._clock, self._sleep = connect_to, clock, sleep
        self._server: Server | None = None
        self._deadline: float | None = None if follow else clock() + within_s
        self._searches = 0

    def run(self) -> None:
        """Deliver everything. Raises Undelivered with the reason; what was delivered stays so."""
        last_s = self._clock()
        while True:
            self._look_for_the_end()
            parcel = self._spool.next()
            if parcel is not None:
                self._carry(parcel)
                last_s = self._clock()
            elif not self._follow or self._spool.ended or self._clock() - last_s > self._spool.patience_s:
                return
            else:
                self._sleep(POLL_S)

    def _look_for_the_end(self) -> None:
        if self._deadline is None and self._spool.ended:
            self._deadline = self._clock() + self._within_s

    def _carry(self, parcel: Parcel) -> None:
        self._searches = 0
        for start in range(0, len(parcel.lines), MAX_LINES):
            self._send(parcel.lines[start : start + MAX_LINES])
        self._spool.delivered(parcel)

    def _send(self, lines: Sequence[str]) -> None:
        """Until the lines are there, or are dead letters."""
        reply = self._insist("\n".join(lines).encode())
        if reply.status == DELIVERED:
            self._spool.progress.points += len(lines)
        elif len(lines) == 1 or self._searches >= MAX_SEARCHES:
            self._spool.bury(lines, reply.status, self._address.hide(reply.text))
        else:
            self._searches += 1
            half = len(lines) // 2
            self._send(lines[:half])
            self._send(lines[half:])

    def _insist(self, body: bytes) -> Reply:
        """Ask until the answer is about the lines: 204, 400 or 413."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                reply = self._ask(body)
            except NoReply as error:
                self._wait(str(error), pause_s, None)
            else:
                if reply.status in (DELIVERED, 400, 413):
                    self._better()
                    return reply
                self._refused_or_wait(reply, pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    def _ask(self, body: bytes) -> Reply:
        if self._server is None:
            self._server = self._connect(self._address)
        reply = self._server.write(body)
        if reply.status == 404:
            made = self._server.create()
            if made.status < 300:
                return self._server.write(body)
            return Reply(404, f"{reply.text}; and it cannot be made: {made.status} {made.text}")
        return reply

    def _refused_or_wait(self, reply: Reply, pause_s: float) -> None:
        said = f"{reply.status} {reply.text}".strip()
        if reply.status in REFUSED:
            if not self._follow:
                raise self._undelivered(said)
            pause_s = MAX_PAUSE_S
        self._wait(said, pause_s, reply.retry_after_s)

    def _wait(self, trouble: str, pause_s: float, retry_after_s: float | None) -> None:
        """Sleep before the next try; raises Undelivered when the time is up."""
        trouble = self._address.hide(trouble)
        if self._spool.progress.trouble != trouble:
            self._spool.progress.trouble = trouble
            self._spool.save()
        until = self._clock() + min(max(pause_s, retry_after_s or 0.0), MAX_PAUSE_S)
        while self._clock() < until:
            self._look_for_the_end()
            if self._deadline is not None and self._clock() >= self._deadline:
                raise self._undelivered(trouble)
            self._sleep(POLL_S / 2)

    def _undelivered(self, why: str) -> Undelivered:
        return Undelivered(self._address.hide(why))

    def _better(self) -> None:
        if self._spool.progress.trouble is not None:
            self._spool.progress.trouble = None
            self._spool.save()
