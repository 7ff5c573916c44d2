"""Signals that should end this command: received, counted, told to whoever waits for processes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from loadtests.errors import InterruptedRun, LoadtestError
from loadtests.orchestrate.processes import ProcessManager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """What the user, or whoever else ends commands, has asked of one run so far."""

    def __init__(self) -> None:
        self.received: list[signal.Signals] = []
        """In order; the second means less patience than the first."""
        self._processes: ProcessManager | None = None

    @contextmanager
    def handled(self, *broken: type[LoadtestError]) -> Iterator[None]:
        """Receive signals. Errors of the types `broken`, once there was a signal, become InterruptedRun."""
        with handled(self._on_signal):
            try:
                yield
            except broken as error:
                if self.received:  # whoever starts several runs must not take it for one that broke
                    raise InterruptedRun(f"interrupted; {error}") from error
                raise

    def tell(self, processes: ProcessManager) -> None:
        """From now on waits of these processes end by a signal; by one that came before, too."""
        self._processes = processes
        if self.received:
            processes.interrupted = self.received[-1]

    def _on_signal(self, number: signal.Signals) -> None:
        self.received.append(number)
        if self._processes is not None:
            self._processes.interrupted = number


@contextmanager
def handled(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `on_signal` for each signal that should end this command; afterwards the handlers are what they were."""

    def handler(number: int, _: FrameType | None) -> None:
        on_signal(signal.Signals(number))

    before = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
