"""Many workers in one process, for the master to be measured: each sends a snapshot a second and carries out nothing.

    python many_workers.py PORT WORKERS RATE SECONDS ACCEPTED

Everything that they send is what a worker of that many requests per second sends: Locust's own messages as well as ours.
"""

from gevent import monkey

monkey.patch_all()

import random
import sys
import time
from typing import Any
from uuid import uuid4

import gevent
from locust.rpc import Message, zmqrpc

from loadtests.engine import messages
from loadtests.engine.gate import JOIN
from loadtests.engine.recorder import Recorder
from loadtests.measure.snapshot import Accepted, Gauges
from loadtests.store.build import this_build

SERIES = (("list_tasks", 3), ("create_task", 1))


class FakeWorker:
    """One of them."""

    def __init__(self, index: int, port: int, rate: int, seconds: int, accepted: bool) -> None:
        self._id = f"fake-{index}-{uuid4().hex[:8]}"
        self._rate, self._seconds, self._accepted = rate, seconds, accepted
        self._client = zmqrpc.Client("127.0.0.1", port, self._id)  # type: ignore[no-untyped-call]
        self._recorder = Recorder(0)
        self._rng = random.Random(index)
        self._state = "ready"
        self.worker = 0

    def live(self) -> None:
        """Join, and do what the master says."""
        self._tell(JOIN, {"name": self._id, "build": this_build()})
        gevent.spawn(self._beat)
        while True:
            message = self._client.recv()  # type: ignore[no-untyped-call]
            if message.type == messages.PLAN:
                self.worker = message.data["worker"]
                self._recorder = Recorder(self.worker)
                self._tell(messages.READY, {"worker": self.worker, "users": 1, "trouble": None})
            elif message.type == messages.CLOCK:
                self._tell(messages.TIME, {"worker": self.worker, "asked": message.data["asked"], "clock": time.time()})
            elif message.type == "spawn":
                self._state = "running"
                counts = message.data["user_classes_count"]
                self._tell("spawning", None)
                self._tell("spawning_complete", {"user_classes_count": counts, "user_count": sum(counts.values())})
            elif message.type == messages.GO:
                gevent.spawn(self._report, message.data["start"])
            elif message.type in {"quit", "stop"}:
                return

    def _beat(self) -> None:
        while True:
            self._tell("heartbeat", {"state": self._state, "current_cpu_usage": 1.0, "current_memory_usage": 1})
            gevent.sleep(1.0)

    def _report(self, start: float) -> None:
        for second in range(self._seconds):
            self._record(second)
            message = self._recorder.take(second, Gauges(users=1, cpu=0.4, sockets=1, rss_bytes=10**8))
            gevent.sleep(max(0.0, start + second + 1 + self.worker * 0.013 - time.time()))
            self._tell(messages.SNAPSHOT, message)
        recorder = self._recorder
        final = {
            "worker": self.worker,
            "snapshots": recorder.snapshots,
            "counts": recorder.total_counts.to_json(),
            "ok": recorder.total_ok,
            "failures": {},
            "accepted": recorder.total_accepted,
            "users": 1,
            "stream_digest": "0" * 32,
        }
        self._tell(messages.FINAL, final)

    def _record(self, second: int) -> None:
        recorder, rng = self._recorder, self._rng
        for name, share in SERIES:
            for _ in range(self._rate * share // 4):
                recorder.sent(True)
                service_us = int(rng.lognormvariate(7.5, 0.7))
                recorder.done("GET", name, service_us + 50, service_us, 300, None)
                recorder.late(int(rng.lognormvariate(4.5, 0.6)))
                if share == 1 and self._accepted:
                    recorder.accepted(Accepted(str(uuid4()), 1, float(second), second + 0.01, name))

    def _tell(self, kind: str, data: Any) -> None:
        self._client.send(Message(kind, data, self._id))  # type: ignore[no-untyped-call]


def main() -> None:
    """All of them."""
    port, workers, rate, seconds, accepted = (int(argument) for argument in sys.argv[1:6])
    gevent.joinall([gevent.spawn(FakeWorker(index, port, rate, seconds, bool(accepted)).live) for index in range(workers)])


if __name__ == "__main__":
    main()
