"""CPU, memory and files of processes, as they tell them over HTTP."""

from collections.abc import Iterator
from threading import Thread
from wsgiref.simple_server import WSGIServer

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from loadtests.probes.exposed import ExposedProbe
from loadtests.probes.sample import Gap
from tests.probing import values


class Instance:
    """A server that tells what the test wants its process to have used."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.cpu = Counter("process_cpu_seconds", "CPU.", registry=registry)
        self.memory = Gauge("process_resident_memory_bytes", "Memory.", registry=registry)
        self.server: WSGIServer
        self.thread: Thread
        self.server, self.thread = start_http_server(0, "127.0.0.1", registry)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"

    def stop(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def instances() -> Iterator[tuple[Instance, Instance]]:
    """Two of a service."""
    both = Instance(), Instance()
    yield both
    for one in both:
        one.stop()


def test_the_busiest_and_the_largest_speak_for_the_service(instances: tuple[Instance, Instance]) -> None:
    """CPU is what was used since the round before; each instance is told too, and one that was restarted begins at 0."""
    seconds = [0.0]
    one, other = instances
    probe = ExposedProbe({"api": [one.url, other.url]}, clock=lambda: seconds[0])
    one.cpu.inc(100)
    other.cpu.inc(7)
    one.memory.set(1000)
    other.memory.set(3000)
    first = values(probe.read())
    assert first == {("memory", "api-1"): 1000, ("memory", "api-2"): 3000, ("memory", "api"): 3000}
    one.cpu.inc(1)
    other.cpu.inc(0.5)
    seconds[0] = 2.0
    second = values(probe.read())
    assert [second["cpu", name] for name in ("api-1", "api-2", "api")] == [0.5, 0.25, 0.5]
    probe.close()


def test_an_instance_that_does_not_tell_is_a_gap(instances: tuple[Instance, Instance]) -> None:
    """The others are told all the same; a service of one instance is told once."""
    one, _ = instances
    dead = "http://127.0.0.1:1/metrics"
    facts = list(ExposedProbe({"worker": [one.url], "relay": [dead]}).read())
    (gap,) = [fact for fact in facts if isinstance(fact, Gap)]
    assert gap.what == "process relay"
    assert values(facts) == {("memory", "worker"): 0.0}
