"""A circuit breaker: what fails again and again is not asked any more until it answers."""

FAILURES = 3


class Breaker:
    """Opens after `FAILURES` failures in a row; only `close` closes it. Times are the caller's."""

    def __init__(self) -> None:
        self._failures = 0
        self._open = False
        self.failing_since_s: float | None = None
        """When the failures began that have not ended yet."""

    @property
    def is_open(self) -> bool:
        """Whether the service is to be left alone."""
        return self._open

    def succeeded(self) -> None:
        """The service answered; that alone does not close an open circuit."""
        if not self._open:
            self.close()

    def failed(self, now_s: float) -> None:
        """The service did not answer."""
        self._failures += 1
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        if self._failures >= FAILURES:
            self._open = True

    def open(self, now_s: float) -> None:
        """The service is not to be used until it was closed again."""
        self._open = True
        if self.failing_since_s is None:
            self.failing_since_s = now_s

    def close(self) -> None:
        """The service works."""
        self._failures, self._open, self.failing_since_s = 0, False, None
